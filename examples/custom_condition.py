# SPDX-License-Identifier: Apache-2.0
"""A condition of one's own that remembers something from event to event.

    aiflow run examples/custom_condition.py

Three producers run for ever and send how many records each has just made. `EnoughRecords` adds up what
arrives and is met once, at 100 records or more: then `consumer` starts. Its success stops the producers, and
with that the execution ends as SUCCESS, after about a second.

What the condition remembers is a `Tally`, an object of a class of this file. It belongs to the execution,
and every change of it is kept exactly once, together with the event that caused it.
"""

import random
import time
from dataclasses import dataclass

from ai_flow.model.action import TaskAction
from ai_flow.model.condition import Condition
from ai_flow.model.context import Context
from ai_flow.model.state import ValueState, ValueStateDescriptor
from ai_flow.model.status import TaskStatus
from ai_flow.model.workflow import Workflow
from ai_flow.notification.notification_client import AIFlowNotificationClient
from ai_flow.operators.bash import BashOperator
from ai_flow.operators.python import PythonOperator
from notification_service.model.event import Event

RECORDS_MADE = "records_made"
WANTED = 100


@dataclass
class Tally:
    """What has arrived so far."""

    records: int = 0
    is_consumed: bool = False


class EnoughRecords(Condition):
    """Met by the event that brings the sum to what is wanted, and by no other."""

    def is_met(self, event: Event, context: Context) -> bool:
        state = context.get_state(ValueStateDescriptor(name="tally"))
        assert isinstance(state, ValueState)
        tally = state.value() or Tally()
        assert isinstance(tally, Tally)
        if tally.is_consumed:
            return False
        tally.records += int(event.value or 0)
        tally.is_consumed = tally.records >= WANTED
        state.update(tally)
        return tally.is_consumed


def produce() -> None:
    """Make records until somebody stops it."""
    client = AIFlowNotificationClient("localhost:50052")
    while True:
        client.send_event(key=RECORDS_MADE, value=str(random.randint(1, 9)))
        time.sleep(0.05)


with Workflow(name="custom_condition") as workflow:
    consumer = BashOperator(name="consumer", bash_command=f"echo Got at least {WANTED} records.")
    consumer.action_on_condition(TaskAction.START, EnoughRecords(expect_event_keys=[RECORDS_MADE]))

    for number in (1, 2, 3):
        producer = PythonOperator(name=f"producer_{number}", python_callable=produce)
        producer.action_on_task_status(TaskAction.STOP, {consumer: TaskStatus.SUCCESS})
