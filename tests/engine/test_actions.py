# SPDX-License-Identifier: Apache-2.0
"""START, STOP and RESTART, by rules and by people (design, section 5; behaviour 3.2)."""

from __future__ import annotations

import pytest

from ai_flow.engine.world import Execution
from ai_flow.model.action import TaskAction
from ai_flow.model.operator import Operator
from ai_flow.model.status import TaskStatus, WorkflowStatus
from ai_flow.model.workflow import Workflow
from tests.engine.play import Play, run_of, status_of


def _controlled(**options: object) -> Workflow:
    """A task ``t`` that the events start, stop and restart control, beside one that never ends."""
    with Workflow(name="w") as workflow:
        Operator("stream")
        task = Operator("t", **options)
        for action in TaskAction:
            task.action_on_event_received(action, action.value.lower())
    return workflow


def _begin(play: Play, **options: object) -> Execution:
    execution = play.start(_controlled(**options))
    play.event("start", execution)
    return execution


def test_a_task_with_a_start_rule_does_not_start_by_itself() -> None:
    execution = Play().start(_controlled())

    assert status_of(execution, "t") is None
    assert status_of(execution, "stream") is TaskStatus.RUNNING


def test_a_task_with_only_stop_and_restart_rules_starts_with_its_execution() -> None:
    with Workflow(name="w") as workflow:
        task = Operator("t")
        task.action_on_event_received(TaskAction.STOP, "stop")
        task.action_on_event_received(TaskAction.RESTART, "restart")

    execution = Play().start(workflow)

    assert status_of(execution, "t") is TaskStatus.RUNNING


@pytest.mark.parametrize("status", ["QUEUED", "RUNNING", "RETRYING"])
def test_start_is_recorded_as_ignored_while_the_task_is_alive(status: str) -> None:
    play = Play(slots=1 if status == "QUEUED" else 9)
    execution = _begin(play, retries=1, retry_delay=60)
    if status == "RETRYING":
        play.end(execution, "t", "FAILED")
    assert run_of(execution, "t").status.value == status

    play.event("start", execution)

    assert play.outcomes_of("t")[-1] == "ignored: alive"
    assert run_of(execution, "t").sequence_number == 1
    assert run_of(execution, "t").status.value == status


@pytest.mark.parametrize("outcome", ["SUCCESS", "FAILED"])
def test_start_runs_a_finished_task_again_under_the_next_number(outcome: str) -> None:
    play = Play()
    execution = _begin(play)
    play.end(execution, "t", outcome)

    play.event("start", execution)

    assert run_of(execution, "t").sequence_number == 2
    assert run_of(execution, "t").try_number == 1


def test_start_while_stopping_starts_once_the_run_is_gone() -> None:
    play = Play()
    execution = _begin(play)
    play.event("stop", execution)
    stopping = run_of(execution, "t")

    play.event("start", execution)
    assert run_of(execution, "t") is stopping

    play.end(execution, "t", "STOPPED")
    assert stopping.status is TaskStatus.STOPPED
    assert run_of(execution, "t").sequence_number == 2
    assert play.statuses_of("t") == ["RUNNING", "STOPPING", "STOPPED", "RUNNING"]


def test_a_stop_after_that_start_takes_it_back() -> None:
    play = Play()
    execution = _begin(play)
    for key in ("stop", "start", "stop"):
        play.event(key, execution)

    play.end(execution, "t", "STOPPED")

    assert status_of(execution, "t") is TaskStatus.STOPPED
    assert run_of(execution, "t").sequence_number == 1


def test_stop_asks_the_process_and_is_done_when_it_is_gone() -> None:
    play = Play()
    execution = _begin(play)
    attempt = run_of(execution, "t").attempt
    assert attempt is not None

    play.event("stop", execution)

    assert play.stops == [attempt.id]
    assert attempt.stop_requested
    assert status_of(execution, "t") is TaskStatus.STOPPING
    play.end(execution, "t", "STOPPED")
    assert status_of(execution, "t") is TaskStatus.STOPPED


def test_a_task_that_succeeds_before_the_stop_reaches_it_has_succeeded() -> None:
    play = Play()
    execution = _begin(play)
    play.event("stop", execution)

    play.end(execution, "t", "SUCCESS")

    assert status_of(execution, "t") is TaskStatus.SUCCESS


@pytest.mark.parametrize("outcome", ["FAILED", "LOST", "NEVER_STARTED", "STOPPED"])
def test_however_a_stopping_task_goes_it_is_stopped_and_not_tried_again(outcome: str) -> None:
    play = Play()
    execution = _begin(play, retries=3)
    play.event("stop", execution)

    play.end(execution, "t", outcome)

    assert status_of(execution, "t") is TaskStatus.STOPPED


def test_stop_of_a_task_that_never_ran_does_nothing() -> None:
    play = Play()
    execution = play.start(_controlled())

    play.event("stop", execution)

    assert status_of(execution, "t") is None
    assert play.outcomes_of("t") == ["ignored: never run"]
    assert play.statuses_of("t") == []


def test_stop_of_a_finished_task_does_nothing() -> None:
    play = Play()
    execution = _begin(play)
    play.end(execution, "t")

    play.event("stop", execution)

    assert play.outcomes_of("t")[-1] == "ignored: not running"
    assert play.statuses_of("t") == ["RUNNING", "SUCCESS"]


def test_stop_of_a_queued_task_takes_it_from_the_queue() -> None:
    play = Play(slots=1)
    execution = _begin(play)
    waiting = run_of(execution, "t").attempt
    assert waiting is not None

    play.event("stop", execution)

    assert status_of(execution, "t") is TaskStatus.STOPPED
    assert waiting.revoked
    assert play.stops == []
    play.end(execution, "stream")
    assert waiting.id not in play.launched


def test_stop_cancels_a_pending_retry() -> None:
    play = Play()
    execution = _begin(play, retries=5, retry_delay=10)
    play.end(execution, "t", "FAILED")

    play.event("stop", execution)
    play.advance(100)

    assert status_of(execution, "t") is TaskStatus.STOPPED
    assert run_of(execution, "t").try_number == 1
    assert len(play.launched) == 2


def test_restart_starts_the_new_run_only_when_the_old_one_is_gone() -> None:
    play = Play()
    execution = _begin(play)

    play.event("restart", execution)

    assert run_of(execution, "t").sequence_number == 1
    assert status_of(execution, "t") is TaskStatus.STOPPING
    play.end(execution, "t", "STOPPED")
    assert run_of(execution, "t").sequence_number == 2
    assert status_of(execution, "t") is TaskStatus.RUNNING


def test_restart_twice_makes_one_new_run() -> None:
    play = Play()
    execution = _begin(play)
    play.event("restart", execution)
    play.event("restart", execution)

    play.end(execution, "t", "STOPPED")

    assert run_of(execution, "t").sequence_number == 2


def test_restart_of_a_task_that_never_ran_starts_it() -> None:
    play = Play()
    execution = play.start(_controlled())

    play.event("restart", execution)

    assert run_of(execution, "t").sequence_number == 1
    assert play.statuses_of("t") == ["RUNNING"]


def test_restart_of_a_finished_task_starts_it_and_stops_nothing() -> None:
    play = Play()
    execution = _begin(play)
    play.end(execution, "t")

    play.event("restart", execution)

    assert play.statuses_of("t") == ["RUNNING", "SUCCESS", "RUNNING"]


def test_restart_of_a_retrying_task_starts_a_new_run_at_once() -> None:
    play = Play()
    execution = _begin(play, retries=1, retry_delay=60)
    play.end(execution, "t", "FAILED")

    play.event("restart", execution)

    assert play.statuses_of("t") == ["RUNNING", "RETRYING", "STOPPED", "RUNNING"]
    assert run_of(execution, "t").sequence_number == 2
    assert run_of(execution, "t").try_number == 1


def test_a_restarted_run_that_succeeds_first_is_followed_by_the_new_one() -> None:
    play = Play()
    execution = _begin(play)
    play.event("restart", execution)

    play.end(execution, "t", "SUCCESS")

    assert run_of(execution, "t").sequence_number == 2


def test_a_restart_by_the_start_of_a_neighbour_in_the_same_step_is_not_lost() -> None:
    """``t`` is claimed before ``late``, whose RUNNING restarts it: it must not just end there."""
    with Workflow(name="w") as workflow:
        task, late = Operator("t"), Operator("late")
        task.action_on_task_status(TaskAction.RESTART, {late: TaskStatus.RUNNING})
    play = Play()

    execution = play.start(workflow)

    assert run_of(execution, "t").sequence_number == 2
    assert status_of(execution, "t") is TaskStatus.RUNNING
    attempts = [run.attempt for run in execution.alive()]
    assert sorted(play.launched) == sorted(attempt.id for attempt in attempts if attempt is not None)
    assert play.stops == [], "what was never launched needs no stop"


def test_a_task_stopped_by_the_start_of_a_neighbour_in_the_same_step_is_never_launched() -> None:
    with Workflow(name="w") as workflow:
        task, late = Operator("t"), Operator("late")
        task.action_on_task_status(TaskAction.STOP, {late: TaskStatus.RUNNING})
    play = Play()

    execution = play.start(workflow)

    late_attempt = run_of(execution, "late").attempt
    assert status_of(execution, "t") is TaskStatus.STOPPED
    assert late_attempt is not None
    assert play.launched == [late_attempt.id]
    assert play.stops == []


def test_a_person_may_start_a_task_that_is_not_alive() -> None:
    play = Play()
    execution = play.start(_controlled())

    play.command(execution, "t", TaskAction.START, sequence_number=1)

    assert status_of(execution, "t") is TaskStatus.RUNNING
    assert play.refusals == []


@pytest.mark.parametrize(
    ("task", "action", "number", "why"),
    [
        ("stream", TaskAction.START, 1, "task 'stream' is RUNNING"),
        ("other", TaskAction.START, 1, "workflow execution 1 has no task 'other'"),
        ("t", TaskAction.START, 2, "task 't' was started by something else first"),
        ("t", TaskAction.STOP, None, "task 't' cannot be stopped: never run"),
    ],
)
def test_a_command_that_does_not_apply_is_refused_with_the_reason(
    task: str, action: TaskAction, number: int | None, why: str
) -> None:
    play = Play()
    execution = play.start(_controlled())

    offset = play.command(execution, task, action, number)

    assert play.refusals == [(offset, why)]
    assert status_of(execution, "t") is None


def test_a_command_on_a_stopping_execution_is_refused() -> None:
    play = Play()
    execution = play.start(_controlled())
    play.stop(execution)

    offset = play.command(execution, "t", TaskAction.START)

    assert play.refusals == [(offset, "workflow execution 1 is not running")]


def test_a_stopped_execution_stops_what_runs_and_starts_nothing_more() -> None:
    with Workflow(name="w") as workflow:
        a, b, c = Operator("a"), Operator("b", retries=3), Operator("c")
        c.action_on_task_status(TaskAction.START, {a: TaskStatus.STOPPED})
        b.action_on_event_received(TaskAction.RESTART, "again")
    play = Play()
    execution = play.start(workflow)
    play.event("again", execution)

    play.stop(execution)
    assert len(play.stops) == 2
    play.end(execution, "a", "STOPPED")
    assert execution.status is WorkflowStatus.RUNNING
    play.end(execution, "b", "FAILED")

    assert execution.status is WorkflowStatus.STOPPED
    assert status_of(execution, "c") is None
    assert run_of(execution, "b").sequence_number == 1
    assert play.never_started == {"c": "the execution was stopped"}


def test_an_execution_of_which_nothing_runs_is_stopped_at_once() -> None:
    with Workflow(name="w") as workflow:
        Operator("t").action_on_event_received(TaskAction.START, "k")
    play = Play()
    execution = play.start(workflow)

    play.stop(execution)

    assert execution.status is WorkflowStatus.STOPPED
    assert execution.reason == "enough"


def test_an_execution_stopped_with_its_queue_full_ends_without_a_launch() -> None:
    play = Play(slots=0)
    execution = play.start(_controlled())

    play.stop(execution)

    assert execution.status is WorkflowStatus.STOPPED
    assert play.launched == []


def test_a_stop_of_a_finished_execution_is_refused() -> None:
    with Workflow(name="w") as workflow:
        Operator("a")
    play = Play()
    execution = play.start(workflow)
    play.end(execution, "a")

    play.stop(execution)

    assert execution.status is WorkflowStatus.SUCCESS
    assert [why for _, why in play.refusals] == ["workflow execution 1 is not running"]
