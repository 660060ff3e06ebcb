# SPDX-License-Identifier: Apache-2.0
"""Conditions that misbehave: a recorded failure of that rule, shown by the run; everything else goes on."""

from __future__ import annotations

import pytest

from tests.examples.program import Finished, HomeOfTest
from tests.server.runs import impatient, write

pytestmark = pytest.mark.slow

#: Each task but the last has a condition that does not do; the last one shows that rules go on.
_BAD = """
    class Hangs(Condition):
        def is_met(self, event, context):
            while True:
                time.sleep(1)
    class Exits(Condition):
        def is_met(self, event, context):
            os._exit(3)
    class Raises(Condition):
        def is_met(self, event, context):
            raise KeyError("no such thing")
    class SaysMaybe(Condition):
        def is_met(self, event, context):
            return "maybe"
    class Good(Condition):
        def is_met(self, event, context):
            return event.value == "go"
    def send():
        AIFlowNotificationClient("localhost:50052").send_event("key", "go")
    with Workflow(name="w") as workflow:
        PythonOperator(name="sender", python_callable=send)
        for bad in (Hangs, Exits, Raises, SaysMaybe, Good):
            task = BashOperator(name=bad.__name__, bash_command="true")
            task.action_on_condition(TaskAction.START, bad(expect_event_keys=["key"]))
"""


@pytest.fixture
def finished(home: HomeOfTest) -> Finished:
    return impatient(home, condition_limit_s=1.0).run(write(home, _BAD))


def test_each_is_a_failure_of_its_own_rule_and_the_others_go_on(home: HomeOfTest, finished: Finished) -> None:
    failures = {failure["task"]: failure["error"] for failure in finished.execution["rule_failures"]}

    assert sorted(failures) == ["Exits", "Hangs", "Raises", "SaysMaybe"]
    assert failures["Hangs"] == "the condition took longer than 1 s"
    assert failures["Exits"] == "the condition's process exited (exit code 3)"
    assert "KeyError: 'no such thing'" in failures["Raises"]
    assert failures["SaysMaybe"].endswith("returned a value of type str; it must return True or False")
    assert finished.statuses["Good"] == "SUCCESS"
    assert "rule 1 of Hangs could not be evaluated" in finished.text
    assert "a rule failed 4 times" in finished.text
    assert list((home.root / "run").iterdir()) == []
