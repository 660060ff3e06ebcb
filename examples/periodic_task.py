# SPDX-License-Identifier: Apache-2.0
"""A task that runs every second, and one that runs after each of its rounds.

    aiflow run examples/periodic_task.py

`measure` starts with the execution and again every second. `average` starts after each success of it. In the
third round `average` sends an event, on which a rule stops `measure`: a stopped task has no further rounds,
so the execution ends as SUCCESS, after about three seconds.

`interval@` takes days, hours, minutes and seconds; `cron@*/5 * * * *` would follow the clock instead.
"""

from pathlib import Path

from ai_flow.model.action import TaskAction
from ai_flow.model.workflow import Workflow
from ai_flow.notification.notification_client import AIFlowNotificationClient
from ai_flow.operators.bash import BashOperator
from ai_flow.operators.python import PythonOperator

MEASURED_ENOUGH = "measured_enough"
ROUNDS = 3


def average() -> None:
    """Say what the measurements are on average, and whether they are enough."""
    measured = [int(line) for line in Path("measured.txt").read_text().split()]
    print(f"Round {len(measured)}: {sum(measured) / len(measured):.1f} on average.")
    if len(measured) >= ROUNDS:
        client = AIFlowNotificationClient("localhost:50052")
        client.send_event(key=MEASURED_ENOUGH)
        client.close()


with Workflow(name="periodic_task") as workflow:
    measure_task = BashOperator(
        name="measure",
        bash_command="echo $((RANDOM % 100)) | tee -a measured.txt",
        periodic_expression="interval@0 0 0 1",
    )
    average_task = PythonOperator(name="average", python_callable=average)

    average_task.start_after(measure_task)
    measure_task.action_on_event_received(action=TaskAction.STOP, event_key=MEASURED_ENOUGH)
