# SPDX-License-Identifier: Apache-2.0
"""Workflows: what is shown of them, disabling and enabling, and their removal with all that is theirs."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from ai_flow import ops
from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.common.home import Home
from ai_flow.model.action import TaskAction
from ai_flow.model.condition import Condition
from ai_flow.model.context import Context
from ai_flow.model.internal.conditions import MeetAllCondition, SingleEventCondition
from ai_flow.model.rule import WorkflowRule
from ai_flow.model.workflow import Workflow
from ai_flow.operators.bash import BashOperator
from ai_flow.service import workflow_executions, workflows
from notification_service.model.event import Event
from tests.ops.conftest import Upload
from tests.ops.stepping import Stepping


class Never(Condition):
    def is_met(self, event: Event, context: Context) -> bool:
        return False


def test_a_workflow_shows_all_that_the_reference_showed(home: Home, upload: Upload) -> None:
    before = datetime.now().replace(microsecond=0)

    (uploaded,) = upload("flow", content="# grüße\n")

    found = ops.get_workflow("flow")
    assert found is not None
    assert found == uploaded
    assert (found.id, found.name, found.namespace, found.is_enabled) == (1, "flow", "default", True)
    assert found.content == "# grüße\n"
    assert json.loads(found.workflow_object)["tasks"][0]["name"] == "task"
    assert before <= found.create_time <= datetime.now()
    assert found.update_time == found.create_time
    assert found.create_time.tzinfo is None
    assert found.event_offset == -1


def test_event_offset_is_what_the_scheduler_has_considered(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    event = stepping.send("anything")

    found = ops.get_workflow("flow")

    assert found is not None
    assert found.event_offset == event.offset


def test_an_unknown_workflow_is_none(home: Home, upload: Upload) -> None:
    upload("flow")

    assert ops.get_workflow("other") is None
    assert ops.get_workflow("flow", "elsewhere") is None


def test_an_empty_list_is_a_list(home: Home) -> None:
    assert ops.list_workflows() == []
    assert ops.list_workflows("elsewhere") == []


def test_list_comes_oldest_first_in_pages(home: Home, upload: Upload) -> None:
    upload("c", "a", "b")

    assert [w.name for w in ops.list_workflows()] == ["c", "a", "b"]
    assert [w.name for w in ops.list_workflows(limit=1, offset=1)] == ["a"]
    assert [w.name for w in ops.list_workflows("default", 0, 2)] == ["b"]


def test_names_of_different_namespaces_are_different_workflows(home: Home, upload: Upload) -> None:
    ops.add_namespace("other", {})
    with Workflow(name="flow", namespace="other") as other:
        BashOperator(name="task", bash_command="true")
    upload("flow", other)

    ops.disable_workflow("flow", "other")

    here, there = ops.get_workflow("flow"), ops.get_workflow("flow", "other")
    assert here is not None
    assert there is not None
    assert (here.is_enabled, there.is_enabled) == (True, False)
    assert [w.namespace for w in ops.list_workflows("other")] == ["other"]


def test_disable_and_enable_may_be_said_twice(home: Home, upload: Upload) -> None:
    upload("flow")

    for change, expected in (
        (ops.disable_workflow, False),
        (ops.disable_workflow, False),
        (ops.enable_workflow, True),
        (ops.enable_workflow, True),
    ):
        change("flow")
        found = ops.get_workflow("flow")
        assert found is not None
        assert found.is_enabled is expected


def test_uploading_again_enables_and_keeps_the_creation(home: Home, upload: Upload) -> None:
    (first,) = upload("flow")
    ops.disable_workflow("flow")

    (again,) = upload("flow", content="# other\n")

    assert again.is_enabled
    assert again.id == first.id
    assert again.create_time == first.create_time
    assert again.update_time >= first.update_time


@pytest.mark.parametrize("change", [ops.disable_workflow, ops.enable_workflow, ops.delete_workflow])
def test_changing_an_unknown_workflow_is_refused(home: Home, change: object) -> None:
    assert callable(change)

    with pytest.raises(AIFlowException, match=r"^Workflow elsewhere\.flow not exists\.$"):
        change("flow", "elsewhere")


def test_triggers_of_a_disabled_workflow_start_nothing(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    ops.add_workflow_trigger(WorkflowRule(SingleEventCondition("go")), "flow")
    ops.disable_workflow("flow")
    stepping.send("go")
    assert ops.list_workflow_executions("flow") == []

    ops.enable_workflow("flow")
    stepping.send("go")

    assert len(ops.list_workflow_executions("flow")) == 1


def test_a_deleted_workflow_leaves_nothing_behind(upload: Upload, stepping: Stepping) -> None:
    _have_a_past(upload, stepping)

    ops.delete_workflow("flow")

    assert ops.get_workflow("flow") is None
    tables = [
        "workflow",
        "workflow_snapshot",
        "workflow_trigger",
        "workflow_execution",
        "task_execution",
        "attempt",
        "task_timer",
        "never_started",
        "state",
        "inbox",
        "evaluation",
        "rule_failure",
    ]
    assert {table: stepping.rows(f"SELECT * FROM {table}") for table in tables} == {
        table: [] for table in tables
    }


def test_a_deleted_workflow_is_not_triggered_any_more(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    ops.add_workflow_trigger(WorkflowRule(SingleEventCondition("go")), "flow")
    stepping.send("go")
    for execution in ops.list_workflow_executions("flow"):
        stepping.end(execution.id, "task")
    ops.delete_workflow("flow")

    stepping.send("go")
    upload("flow")
    stepping.send("go")

    assert ops.list_workflow_executions("flow") == []


def test_a_long_past_goes_in_slices(
    upload: Upload, stepping: Stepping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflows, "_ROWS_PER_DELETION", 3)
    monkeypatch.setattr(workflow_executions, "_ROWS_PER_DELETION", 2)
    first = _have_a_past(upload, stepping)

    ops.delete_workflow_execution(first)

    assert ops.get_workflow_execution(first) is None
    assert ops.list_workflow_executions("flow") != []
    ops.delete_workflow("flow")
    assert stepping.rows("SELECT * FROM task_execution") == []
    assert stepping.rows("SELECT * FROM workflow") == []


def test_deleting_is_refused_while_an_execution_goes_on(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    finished, running = (ops.start_workflow_execution("flow") for _ in range(2))
    stepping.step()
    stepping.end(finished, "task")

    with pytest.raises(AIFlowException) as refusal:
        ops.delete_workflow("flow")

    assert str(refusal.value) == f"Workflow execution {running} is not finished, cannot be removed."
    assert [e.id for e in ops.list_workflow_executions("flow")] == [finished, running]


def test_a_deletion_takes_nothing_of_another_workflow(upload: Upload, stepping: Stepping) -> None:
    upload("flow", "other")
    kept = ops.start_workflow_execution("other")
    trigger = ops.add_workflow_trigger(WorkflowRule(SingleEventCondition("go")), "other")
    stepping.step()
    stepping.end(kept, "task")

    ops.delete_workflow("flow")

    assert [e.id for e in ops.list_workflow_executions("other")] == [kept]
    assert len(ops.list_task_executions(kept)) == 1
    assert ops.get_workflow_trigger(trigger.id) == trigger
    assert len(ops.list_workflow_snapshots("other")) == 1


def _have_a_past(upload: Upload, stepping: Stepping) -> int:
    """Let a workflow have rows of every kind, all of it finished; return its first execution."""
    with Workflow(name="flow") as flow:
        BashOperator(name="task", bash_command="true")
        waiting = BashOperator(name="waiting", bash_command="true")
        periodic = BashOperator(name="often", bash_command="true", periodic_expression="interval@0 1 0 0")
    both = MeetAllCondition("both", [SingleEventCondition("a"), SingleEventCondition("b")])
    waiting.action_on_condition(TaskAction.START, both)
    waiting.action_on_event_received(TaskAction.STOP, "c")
    periodic.action_on_condition(TaskAction.START, Never(["d"]))
    upload(flow)
    both_again = MeetAllCondition("both", [SingleEventCondition("a"), SingleEventCondition("b")])
    ops.add_workflow_trigger(WorkflowRule(both_again), "flow")
    ops.add_workflow_trigger(WorkflowRule(Never(["d"])), "flow")
    ids = [ops.start_workflow_execution("flow") for _ in range(3)]
    stepping.step()
    for key in ("a", "c", "d", "a"):
        stepping.send(key)
    ops.stop_workflow_executions("flow")
    stepping.step()
    for execution_id in ids:
        stepping.end(execution_id, "task", "STOPPED")
    assert {e.status for e in ops.list_workflow_executions("flow")} == {"STOPPED"}
    assert stepping.rows("SELECT * FROM inbox") != []
    assert stepping.rows("SELECT * FROM state WHERE scope_kind = 'execution'") != []
    assert stepping.rows("SELECT * FROM state WHERE scope_kind = 'workflow'") != []
    assert stepping.rows("SELECT * FROM evaluation") != []
    return ids[0]


def test_update_time_follows_the_upload(home: Home, upload: Upload) -> None:
    (first,) = upload("flow")
    (again,) = upload("flow")

    assert timedelta(0) <= again.update_time - first.update_time < timedelta(minutes=1)
