# SPDX-License-Identifier: Apache-2.0
"""A workflow that an event of another workflow starts.

    python examples/event_triggered_workflow.py
    aiflow run --until-idle examples/quickstart_workflow.py

The first command uploads the two workflows of this file into the home, adds a trigger and asks for an
execution of `import_orders`. It needs no server: all of it waits in the home until a process decides there.
The second command is such a process: `--until-idle` makes a run carry on with whatever the home has to do,
next to its own file. Either may come first, as long as the run has not ended yet.

`import_orders` sends `orders_imported` with the number of orders, the trigger starts an execution of
`refresh_report`, and its log says that the report is fresh. A trigger works until it is deleted, so the next
`orders_imported` of the namespace starts the next execution.

    aiflow run examples/event_triggered_workflow.py

runs both workflows side by side, as executions of their own: what a file defines is run, and triggers are
not among it.
"""

from ai_flow import ops
from ai_flow.model.internal.conditions import SingleEventCondition
from ai_flow.model.rule import WorkflowRule
from ai_flow.model.workflow import Workflow
from ai_flow.notification.notification_client import AIFlowNotificationClient
from ai_flow.operators.bash import BashOperator
from ai_flow.operators.python import PythonOperator

ORDERS_IMPORTED = "orders_imported"


def import_orders() -> None:
    """Import some orders and say so."""
    client = AIFlowNotificationClient("localhost:50052")
    client.send_event(key=ORDERS_IMPORTED, value="42")
    client.close()
    print("Imported 42 orders.")


with Workflow(name="import_orders") as import_workflow:
    PythonOperator(name="import", python_callable=import_orders)

with Workflow(name="refresh_report") as report_workflow:
    BashOperator(name="refresh", bash_command="echo The report is fresh.")


if __name__ == "__main__":
    ops.upload_workflows(__file__)
    rule = WorkflowRule(SingleEventCondition(expect_event_key=ORDERS_IMPORTED))
    trigger = ops.add_workflow_trigger(rule=rule, workflow_name="refresh_report")
    execution_id = ops.start_workflow_execution("import_orders")
    print(f"Added trigger {trigger.id}, asked for workflow execution {execution_id}.")
