# SPDX-License-Identifier: Apache-2.0
"""Workflow triggers: what they start, and pausing, resuming and deleting them in any order."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ai_flow import ops
from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.common.home import Home
from ai_flow.metadata.workflow_event_trigger import WorkflowEventTriggerMeta
from ai_flow.model.internal.conditions import (
    MeetAllCondition,
    MeetAnyCondition,
    SingleEventCondition,
    TaskStatusAllMetCondition,
    TaskStatusCondition,
)
from ai_flow.model.rule import WorkflowRule
from ai_flow.model.status import TaskStatus
from tests.ops.conftest import Upload
from tests.ops.stepping import Stepping


def _add(key: str = "go", workflow: str = "flow") -> WorkflowEventTriggerMeta:
    return ops.add_workflow_trigger(WorkflowRule(SingleEventCondition(key)), workflow)


def _started(workflow: str = "flow") -> int:
    return len(ops.list_workflow_executions(workflow))


def test_a_trigger_starts_an_execution_at_each_event(upload: Upload, stepping: Stepping) -> None:
    (workflow,) = upload("flow")
    trigger = _add()

    stepping.send("go")
    stepping.send("other")
    stepping.send("go")

    assert trigger.workflow_id == workflow.id
    assert [(e.run_type, e.status) for e in ops.list_workflow_executions("flow")] == [
        ("EVENT", "RUNNING"),
        ("EVENT", "RUNNING"),
    ]


def test_a_trigger_sees_no_event_of_before(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    stepping.store.log.append([_event("go")])

    _add()
    stepping.step()

    assert _started() == 0


def test_an_event_right_after_the_call_is_seen(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    _add()

    stepping.store.log.append([_event("go")])
    stepping.step()

    assert _started() == 1


def test_the_returned_trigger_is_the_stored_one(home: Home, upload: Upload) -> None:
    upload("flow")

    first, second = _add("a"), _add("b")

    assert [first, second] == ops.list_workflow_triggers("flow")
    assert ops.get_workflow_trigger(second.id) == second
    assert first.condition == {"type": "event", "key": "a"}
    assert first.is_paused is False


def test_lists_are_in_order_and_come_in_pages(home: Home, upload: Upload) -> None:
    upload("flow")
    assert ops.list_workflow_triggers("flow") == []
    ids = [_add().id for _ in range(3)]

    assert [t.id for t in ops.list_workflow_triggers("flow", limit=1, offset=1)] == [ids[1]]


def test_pausing_and_resuming_take_effect_at_the_next_event(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    trigger = _add()
    for change, expected in (
        (ops.pause_workflow_trigger, 0),
        (ops.pause_workflow_trigger, 0),
        (ops.resume_workflow_trigger, 1),
        (ops.resume_workflow_trigger, 2),
        (ops.pause_workflow_trigger, 2),
    ):
        change(trigger.id)
        stepping.send("go")
        assert _started() == expected


def test_a_paused_trigger_can_be_deleted(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    paused, active = _add("a"), _add("b")
    ops.pause_workflow_trigger(paused.id)

    ops.delete_workflow_trigger(paused.id)
    stepping.send("a")
    stepping.send("b")

    assert ops.list_workflow_triggers("flow") == [active]
    assert _started() == 1


def test_delete_all_removes_paused_and_active_ones_of_that_workflow(
    upload: Upload, stepping: Stepping
) -> None:
    upload("flow", "other")
    ops.pause_workflow_trigger(_add().id)
    _add()
    of_other = _add(workflow="other")

    ops.delete_workflow_triggers("flow")
    stepping.send("go")

    assert ops.list_workflow_triggers("flow") == []
    assert _started() == 0
    assert ops.list_workflow_triggers("other") == [of_other]
    assert _started("other") == 1


@pytest.mark.parametrize(
    "operation", [ops.pause_workflow_trigger, ops.resume_workflow_trigger, ops.delete_workflow_trigger]
)
def test_an_unknown_trigger_is_refused(home: Home, operation: object) -> None:
    assert callable(operation)
    assert ops.get_workflow_trigger(7) is None

    with pytest.raises(AIFlowException, match=r"^Workflow trigger 7 not exists\.$"):
        operation(7)


@pytest.mark.parametrize("operation", [ops.list_workflow_triggers, ops.delete_workflow_triggers])
def test_those_of_an_unknown_workflow_are_refused(home: Home, operation: object) -> None:
    assert callable(operation)

    with pytest.raises(AIFlowException, match=r"^Workflow default\.flow not exists\.$"):
        operation("flow")


def test_a_trigger_of_an_unknown_workflow_is_refused(home: Home) -> None:
    with pytest.raises(AIFlowException, match=r"^Workflow default\.flow not exists\.$"):
        _add()


def test_a_trigger_needs_a_rule(home: Home, upload: Upload) -> None:
    upload("flow")
    no_rule: Any = SingleEventCondition("go")

    with pytest.raises(AIFlowException, match="rule must be a WorkflowRule, found <"):
        ops.add_workflow_trigger(no_rule, "flow")


def test_composed_conditions_need_no_user_code(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    both = MeetAllCondition("both", [SingleEventCondition("a"), SingleEventCondition("b")])
    ops.add_workflow_trigger(WorkflowRule(MeetAnyCondition([both, SingleEventCondition("c")])), "flow")

    for key in ("a", "a", "b", "c"):
        stepping.send(key)

    assert _started() == 2


def test_a_status_of_another_workflows_task_can_trigger(upload: Upload, stepping: Stepping) -> None:
    upload("flow", "upstream")
    done = TaskStatusCondition("upstream", "task", "default", TaskStatus.SUCCESS)
    ops.add_workflow_trigger(WorkflowRule(done), "flow")
    execution_id = ops.start_workflow_execution("upstream")
    stepping.step()
    assert _started() == 0

    stepping.end(execution_id, "task")

    assert _started() == 1


def test_a_condition_on_statuses_of_one_execution_is_refused(home: Home, upload: Upload) -> None:
    upload("flow")
    done = TaskStatusAllMetCondition([TaskStatusCondition("flow", "task", "default", TaskStatus.SUCCESS)])

    for condition in (done, MeetAnyCondition([SingleEventCondition("a"), done])):
        with pytest.raises(AIFlowException, match=r"^The rule cannot trigger a workflow: "):
            ops.add_workflow_trigger(WorkflowRule(condition), "flow")

    assert ops.list_workflow_triggers("flow") == []


def test_a_class_of_the_script_or_beside_it_is_kept_by_value(
    home: Home, upload: Upload, tmp_path: Path
) -> None:
    upload("flow")
    script = tmp_path / "scripts" / "add.py"
    script.parent.mkdir()
    (script.parent / "limits_beside.py").write_text(_MODULE_BESIDE)
    script.write_text(_SCRIPT)
    subprocess.run([sys.executable, str(script)], check=True, timeout=60)

    (trigger,) = ops.list_workflow_triggers("flow")
    check = (
        "import pickle, sys; rule = pickle.loads(sys.stdin.buffer.read()); "
        "print([part.is_met(None, None) for part in rule.condition.conditions])"
    )
    result = subprocess.run(
        [sys.executable, "-c", check], input=trigger.rule, capture_output=True, timeout=60, check=True
    )

    assert result.stdout.decode().strip() == "[True, False]"
    assert trigger.condition == {"type": "user", "keys": ["go", "stop"], "class": "MeetAnyCondition"}


def test_a_condition_that_cannot_be_pickled_is_refused(home: Home, upload: Upload) -> None:
    upload("flow")
    condition = MeetAnyCondition([SingleEventCondition("go")])
    vars(condition)["lock"] = threading.Lock()

    with pytest.raises(AIFlowException, match=r"MeetAnyCondition cannot be pickled: TypeError: .*lock"):
        ops.add_workflow_trigger(WorkflowRule(condition), "flow")

    assert ops.list_workflow_triggers("flow") == []


def _event(key: str) -> Any:
    from notification_service.model.event import Event

    event = Event(key, "value")
    event.namespace = "default"
    return event


_MODULE_BESIDE = """\
from ai_flow.model.condition import Condition

LIMIT = 5

class Limited(Condition):
    def is_met(self, event, context):
        return LIMIT > 7
"""

_SCRIPT = """\
from ai_flow import ops
from ai_flow.model.condition import Condition
from ai_flow.model.internal.conditions import MeetAnyCondition
from ai_flow.model.rule import WorkflowRule
from limits_beside import Limited

class Always(Condition):
    def is_met(self, event, context):
        return True

if __name__ == "__main__":
    ops.add_workflow_trigger(WorkflowRule(MeetAnyCondition([Always(["go"]), Limited(["stop"])])), "flow")
"""
