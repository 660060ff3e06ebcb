# SPDX-License-Identifier: Apache-2.0
"""A run notices what no event tells: the late verdict of a condition that ends its execution."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples.program import HomeOfTest

pytestmark = pytest.mark.slow

#: The task has ended long before the condition has said no: the verdict is the last thing that happens.
_SLOW_CONDITION = """
import time
from ai_flow.model.action import TaskAction
from ai_flow.model.condition import Condition
from ai_flow.model.workflow import Workflow
from ai_flow.notification.notification_client import AIFlowNotificationClient
from ai_flow.operators.bash import BashOperator
from ai_flow.operators.python import PythonOperator

class SlowNo(Condition):
    def is_met(self, event, context):
        time.sleep(0.5)
        return False

def send():
    AIFlowNotificationClient("localhost:50052").send_event("an_event")

with Workflow(name="silent_end") as workflow:
    sender = PythonOperator("sender", send)
    listening = {listener}
    listening.action_on_condition(TaskAction.{action}, SlowNo(["an_event"]))
"""


@pytest.fixture
def home(tmp_path: Path) -> HomeOfTest:
    return HomeOfTest(root=tmp_path / "home", scratch=tmp_path)


def test_a_run_ends_when_the_last_thing_is_a_verdict(home: HomeOfTest, tmp_path: Path) -> None:
    file = tmp_path / "silent_end.py"
    file.write_text(_SLOW_CONDITION.format(listener="sender", action="STOP"))

    finished = home.run(file, limit_s=20)

    assert (finished.exit_code, finished.execution["status"]) == (0, "SUCCESS")


def test_a_run_gives_up_waiting_when_the_last_thing_is_a_verdict(home: HomeOfTest, tmp_path: Path) -> None:
    file = tmp_path / "silent_end.py"
    file.write_text(_SLOW_CONDITION.format(listener='BashOperator("never", "true")', action="START"))

    finished = home.run(file, limit_s=20)

    assert (finished.exit_code, finished.execution["status"]) == (1, "FAILED")
    assert "an_event" in finished.execution["reason"]
