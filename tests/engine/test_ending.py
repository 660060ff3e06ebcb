# SPDX-License-Identifier: Apache-2.0
"""How executions end, what keeps them going, and that the end is for good (design, section 5)."""

from __future__ import annotations

import pytest

from ai_flow.engine.changes import RuleVerdict
from ai_flow.engine.ending import is_doomed
from ai_flow.engine.world import StopOrigin
from ai_flow.model.action import TaskAction
from ai_flow.model.internal.conditions import (
    MeetAllCondition,
    MeetAnyCondition,
    SingleEventCondition,
    TaskStatusCondition,
)
from ai_flow.model.operator import Operator
from ai_flow.model.status import TaskStatus, WorkflowStatus
from ai_flow.model.workflow import Workflow
from tests.engine.play import Play, status_of


def test_a_workflow_without_tasks_succeeds() -> None:
    execution = Play().start(Workflow(name="empty"))

    assert execution.status is WorkflowStatus.SUCCESS


def test_a_failed_upstream_ends_the_execution_failed_and_says_what_never_started() -> None:
    with Workflow(name="w") as workflow:
        a, b, c = Operator("a"), Operator("b"), Operator("c")
        b.start_after(a)
        c.start_after(b)
    play = Play()
    execution = play.start(workflow)

    play.end(execution, "a", "FAILED", "exit code 2")

    assert execution.status is WorkflowStatus.FAILED
    assert execution.reason == "failed: a: exit code 2"
    assert play.never_started == {
        "b": "upstream 'a' is FAILED, not SUCCESS",
        "c": "upstream 'b' never ran, not SUCCESS",
    }


def test_a_failure_ends_the_execution_only_when_nothing_runs_any_more() -> None:
    with Workflow(name="w") as workflow:
        Operator("a")
        Operator("stream")
    play = Play()
    execution = play.start(workflow)

    play.end(execution, "a", "FAILED")
    assert execution.status is WorkflowStatus.RUNNING
    play.end(execution, "stream")

    assert execution.status is WorkflowStatus.FAILED


def test_only_the_latest_run_of_a_task_counts() -> None:
    with Workflow(name="w") as workflow:
        a = Operator("a")
        Operator("stream")
        a.action_on_event_received(TaskAction.RESTART, "again")
    play = Play()
    execution = play.start(workflow)
    play.end(execution, "a", "FAILED")
    play.event("again", execution)
    play.end(execution, "a")

    play.end(execution, "stream")

    assert execution.status is WorkflowStatus.SUCCESS


def test_a_stop_by_the_workflows_own_rules_is_success() -> None:
    with Workflow(name="w") as workflow:
        stream, batch = Operator("stream"), Operator("batch")
        stream.action_on_task_status(TaskAction.STOP, {batch: TaskStatus.SUCCESS})
    play = Play()
    execution = play.start(workflow)
    play.end(execution, "batch")

    play.end(execution, "stream", "STOPPED")

    assert status_of(execution, "stream") is TaskStatus.STOPPED
    assert execution.status is WorkflowStatus.SUCCESS


def test_a_task_stopped_by_a_person_makes_the_execution_stopped() -> None:
    with Workflow(name="w") as workflow:
        Operator("a")
        Operator("b")
    play = Play()
    execution = play.start(workflow)
    play.command(execution, "a", TaskAction.STOP)
    play.end(execution, "a", "STOPPED")

    play.end(execution, "b")

    assert execution.status is WorkflowStatus.STOPPED


def test_a_failure_weighs_more_than_a_stop_by_a_person() -> None:
    with Workflow(name="w") as workflow:
        Operator("a")
        Operator("b")
    play = Play()
    execution = play.start(workflow)
    play.command(execution, "a", TaskAction.STOP)
    play.end(execution, "a", "STOPPED")

    play.end(execution, "b", "FAILED")

    assert execution.status is WorkflowStatus.FAILED


def test_a_stopped_task_that_a_person_started_again_counts_by_its_new_run() -> None:
    with Workflow(name="w") as workflow:
        Operator("a")
        Operator("b")
    play = Play()
    execution = play.start(workflow)
    play.command(execution, "a", TaskAction.STOP)
    play.end(execution, "a", "STOPPED")
    play.command(execution, "a", TaskAction.START)
    play.end(execution, "a")

    play.end(execution, "b")

    assert execution.status is WorkflowStatus.SUCCESS


def test_an_execution_stopped_by_a_person_is_stopped_even_if_a_task_failed() -> None:
    with Workflow(name="w") as workflow:
        Operator("a")
        Operator("b")
    play = Play()
    execution = play.start(workflow)
    play.end(execution, "a", "FAILED")

    play.stop(execution)
    play.end(execution, "b", "STOPPED")

    assert execution.status is WorkflowStatus.STOPPED
    assert execution.reason == "enough"


def test_an_execution_stopped_because_it_cannot_go_on_ends_as_its_tasks_did() -> None:
    with Workflow(name="w") as workflow:
        Operator("a")
        Operator("b")
    play = Play()
    execution = play.start(workflow)
    play.end(execution, "a", "FAILED", "exit code 1")

    play.stop(execution, StopOrigin.RULE)
    play.end(execution, "b", "STOPPED")

    assert execution.status is WorkflowStatus.FAILED
    assert execution.reason == "failed: a: exit code 1"


def test_an_execution_waits_for_the_custom_events_of_tasks_that_never_ran() -> None:
    with Workflow(name="w") as workflow:
        Operator("a")
        Operator("b").action_on_event_received(TaskAction.START, "k1")
        Operator("c").action_on_condition(
            TaskAction.START, MeetAnyCondition([SingleEventCondition("k2"), SingleEventCondition("k1")])
        )
        Operator("d").action_on_event_received(TaskAction.STOP, "not me")
    play = Play()
    execution = play.start(workflow)
    play.end(execution, "d")

    play.end(execution, "a")

    assert execution.status is WorkflowStatus.RUNNING
    assert execution.waits_for == "waiting for 'k1', 'k2'"
    play.event("k1", execution)
    assert execution.waits_for is None
    play.end(execution, "b")
    play.end(execution, "c")
    assert execution.status is WorkflowStatus.SUCCESS


def test_an_execution_does_not_wait_once_a_task_failed() -> None:
    with Workflow(name="w") as workflow:
        Operator("a")
        Operator("b").action_on_event_received(TaskAction.START, "k")
    play = Play()
    execution = play.start(workflow)

    play.end(execution, "a", "FAILED")

    assert execution.status is WorkflowStatus.FAILED
    assert play.never_started == {"b": "no event 'k' met its condition"}


def test_an_execution_does_not_wait_for_events_that_only_ran_tasks_listen_to() -> None:
    with Workflow(name="w") as workflow:
        a = Operator("a")
        b = Operator("b")
        b.action_on_event_received(TaskAction.START, "k")
        a.action_on_event_received(TaskAction.RESTART, "again")
    play = Play()
    execution = play.start(workflow)
    play.event("k", execution)
    play.end(execution, "a")

    play.end(execution, "b")

    assert execution.status is WorkflowStatus.SUCCESS


def test_a_task_behind_one_that_waits_for_an_event_is_waited_for_through_it() -> None:
    with Workflow(name="w") as workflow:
        Operator("a")
        b, c = Operator("b"), Operator("c")
        b.action_on_event_received(TaskAction.START, "k")
        c.start_after(b)
    play = Play()
    execution = play.start(workflow)
    play.end(execution, "a")

    assert execution.waits_for == "waiting for 'k'"


def test_the_status_of_another_workflow_is_waited_for_like_a_custom_event() -> None:
    with Workflow(name="w") as workflow:
        condition = TaskStatusCondition("other", "t", "default", TaskStatus.SUCCESS)
        Operator("b").action_on_condition(TaskAction.START, condition)
    play = Play()
    execution = play.start(workflow)

    assert execution.waits_for == "waiting for '[task_status_change].default.other.t'"
    play.event("[task_status_change].default.other.t", reported_status="FAILED")
    assert status_of(execution, "b") is None
    play.event("[task_status_change].default.other.t", reported_status="SUCCESS")
    assert status_of(execution, "b") is TaskStatus.RUNNING


def test_a_condition_that_also_needs_a_status_out_of_reach_is_not_waited_for() -> None:
    """No event can meet it any more: ``a`` succeeded, and nothing can run it again."""
    with Workflow(name="w") as workflow:
        Operator("a")
        failed = TaskStatusCondition("w", "a", "default", TaskStatus.FAILED)
        Operator("b").action_on_condition(
            TaskAction.START, MeetAllCondition("both", [failed, SingleEventCondition("k")])
        )
    play = Play()
    execution = play.start(workflow)

    play.end(execution, "a")

    assert execution.status is WorkflowStatus.SUCCESS
    assert set(play.never_started) == {"b"}


def test_a_condition_whose_status_part_is_met_waits_for_its_event() -> None:
    with Workflow(name="w") as workflow:
        Operator("a")
        succeeded = TaskStatusCondition("w", "a", "default", TaskStatus.SUCCESS)
        Operator("b").action_on_condition(
            TaskAction.START, MeetAllCondition("both", [succeeded, SingleEventCondition("k")])
        )
    play = Play()
    execution = play.start(workflow)

    play.end(execution, "a")

    assert execution.waits_for == "waiting for 'k'"
    play.event("k", execution)
    assert status_of(execution, "b") is TaskStatus.RUNNING


def test_a_periodic_task_keeps_its_execution_going_until_it_is_stopped() -> None:
    with Workflow(name="w") as workflow:
        Operator("a", periodic_expression="interval@0 0 0 10")
        Operator("b")
    play = Play()
    execution = play.start(workflow)
    play.end(execution, "a")
    play.end(execution, "b", "FAILED")
    assert execution.status is WorkflowStatus.RUNNING

    play.stop(execution)

    assert execution.status is WorkflowStatus.STOPPED
    assert execution.ticks == {}


def test_a_finished_execution_never_changes_and_late_events_are_recorded() -> None:
    with Workflow(name="w") as workflow:
        a = Operator("a")
        a.action_on_event_received(TaskAction.RESTART, "again")
    play = Play()
    execution = play.start(workflow)
    attempt = execution.runs["a"].attempt
    assert attempt is not None
    play.end(execution, "a")
    ended_at_ms = execution.end_at_ms
    play.now_ms += 5

    offset = play.event("again", execution)
    play.event("again")
    counted = play.end_attempt(attempt.id, "FAILED")

    assert not counted
    assert execution.status is WorkflowStatus.SUCCESS
    assert execution.end_at_ms == ended_at_ms
    assert play.finished == [execution]
    late = [e for e in play.evaluations if e.verdict is RuleVerdict.LATE]
    assert [(e.offset, e.outcome) for e in late] == [(offset, "ignored: not running")]


def test_an_event_for_a_stopping_execution_is_recorded_as_late() -> None:
    with Workflow(name="w") as workflow:
        Operator("a")
        Operator("b").action_on_event_received(TaskAction.START, "k")
    play = Play()
    execution = play.start(workflow)
    play.stop(execution)

    offset = play.event("k", execution)

    late = [e for e in play.evaluations if e.verdict is RuleVerdict.LATE]
    assert [(e.offset, e.outcome) for e in late] == [(offset, "ignored: the execution is ending")]
    assert status_of(execution, "b") is None


def test_an_execution_that_is_failed_from_outside_leaves_nothing_alive() -> None:
    with Workflow(name="w") as workflow:
        Operator("a")
        Operator("b", retries=1, retry_delay=60)
        Operator("c")
        Operator("p", periodic_expression="interval@0 0 0 10")
        Operator("n").action_on_event_received(TaskAction.START, "k")
    play = Play()
    execution = play.start(workflow)
    play.end(execution, "b", "FAILED")
    play.command(execution, "c", TaskAction.STOP)

    play.fail(execution, "owner gone")

    assert execution.status is WorkflowStatus.FAILED
    assert execution.reason == "owner gone"
    assert not list(execution.alive())
    assert execution.ticks == {}
    assert status_of(execution, "c") is TaskStatus.STOPPED
    assert play.never_started == {"n": "owner gone"}
    assert play.world.executions == {}


@pytest.mark.parametrize(
    ("expects", "doomed"),
    [(None, True), (TaskStatus.FAILED, False)],
)
def test_an_execution_is_doomed_when_nobody_expects_the_failure(
    expects: TaskStatus | None, doomed: bool
) -> None:
    with Workflow(name="w") as workflow:
        a, b = Operator("a"), Operator("b")
        Operator("stream")
        b.action_on_task_status(TaskAction.START, {a: expects or TaskStatus.SUCCESS})
    play = Play()
    execution = play.start(workflow)
    assert not is_doomed(execution)

    play.end(execution, "a", "FAILED")

    assert is_doomed(execution) is doomed


def test_an_execution_is_not_doomed_when_something_can_start_the_failed_task_again() -> None:
    with Workflow(name="w") as workflow:
        a = Operator("a")
        stream = Operator("stream")
        a.action_on_task_status(TaskAction.RESTART, {stream: TaskStatus.SUCCESS})
    play = Play()
    execution = play.start(workflow)

    play.end(execution, "a", "FAILED")

    assert not is_doomed(execution)
