# SPDX-License-Identifier: Apache-2.0
"""The three ways in which a task starts: with the execution, after other tasks, and by an event.

    aiflow run examples/quickstart_workflow.py

`north` and `south` have no rule: they start at once and write a file each. `total` starts when both have
succeeded, adds up what they wrote and sends an event. `report` starts when that event arrives, whether
`total` has ended or not. After a second or two the execution ends as SUCCESS, and what the tasks printed
lies in `$AIFLOW_HOME/logs/quickstart_workflow/<execution id>/`.

All tasks of an execution share a working directory: a Bash task runs in it, and a Python task finds it as
the directory of this file.
"""

from pathlib import Path

from ai_flow.model.action import TaskAction
from ai_flow.model.workflow import Workflow
from ai_flow.notification.notification_client import AIFlowNotificationClient
from ai_flow.operators.bash import BashOperator
from ai_flow.operators.python import PythonOperator

TOTAL_IS_KNOWN = "total_is_known"


def add_up() -> None:
    """Read the files of the Bash tasks, and tell the world the sum."""
    here = Path(__file__).parent
    total = sum(int((here / name).read_text()) for name in ("north.txt", "south.txt"))
    (here / "total.txt").write_text(f"{total}\n")
    print(f"The total is {total}.")

    # The address is that of a notification server. Inside `aiflow run` there need not be one.
    client = AIFlowNotificationClient("localhost:50052")
    client.send_event(key=TOTAL_IS_KNOWN, value=str(total))
    client.close()


with Workflow(name="quickstart_workflow") as workflow:
    north = BashOperator(
        name="north", bash_command="sleep 0.2; echo 23 > north.txt; echo Counted in the north."
    )
    south = BashOperator(
        name="south", bash_command="sleep 0.4; echo 19 > south.txt; echo Counted in the south."
    )
    total = PythonOperator(name="total", python_callable=add_up)
    report = BashOperator(name="report", bash_command='echo "Reported: $(cat total.txt) orders."')

    total.start_after([north, south])
    report.action_on_event_received(action=TaskAction.START, event_key=TOTAL_IS_KNOWN)
