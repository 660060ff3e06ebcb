# SPDX-License-Identifier: Apache-2.0
"""Retries: their number, their delay, and what rules see of them (design, section 5)."""

from __future__ import annotations

import pytest

from ai_flow.engine.graph import LONGEST_RETRY_DELAY_S, Task
from ai_flow.model.action import TaskAction
from ai_flow.model.operator import Operator
from ai_flow.model.status import TaskStatus, WorkflowStatus
from ai_flow.model.workflow import Workflow
from tests.engine.play import Play, graph_of, run_of, status_of


def _task(**options: object) -> Workflow:
    with Workflow(name="w") as workflow:
        Operator("t", **options)
    return workflow


def test_a_retry_keeps_the_sequence_number_and_raises_the_try_number() -> None:
    play = Play()
    execution = play.start(_task(retries=2))
    seen: list[tuple[int, int]] = []
    attempts: set[str] = set()

    for _ in range(3):
        run = run_of(execution, "t")
        assert run.attempt is not None
        attempts.add(run.attempt.id)
        seen.append((run.sequence_number, run.try_number))
        play.end(execution, "t", "FAILED", "exit code 3")
        play.advance(0)

    assert seen == [(1, 1), (1, 2), (1, 3)]
    assert len(attempts) == 3
    assert status_of(execution, "t") is TaskStatus.FAILED
    assert execution.status is WorkflowStatus.FAILED
    assert execution.reason == "failed: t: exit code 3"


def test_no_retries_means_one_try() -> None:
    play = Play()
    execution = play.start(_task())

    play.end(execution, "t", "FAILED")

    assert execution.status is WorkflowStatus.FAILED


def test_an_execution_does_not_end_while_a_retry_is_pending() -> None:
    play = Play()
    execution = play.start(_task(retries=1, retry_delay=10))

    play.end(execution, "t", "FAILED")

    assert execution.status is WorkflowStatus.RUNNING
    assert status_of(execution, "t") is TaskStatus.RETRYING
    assert play.engine.next_due_ms() == play.now_ms + 10_000


def test_a_retry_starts_when_its_delay_is_over_and_not_before() -> None:
    play = Play()
    execution = play.start(_task(retries=1, retry_delay=10))
    play.end(execution, "t", "FAILED")

    play.advance(9.999)
    assert status_of(execution, "t") is TaskStatus.RETRYING
    play.advance(0.001)

    assert status_of(execution, "t") is TaskStatus.RUNNING
    assert run_of(execution, "t").retry_at_ms is None


def test_a_retried_task_may_succeed_and_leaves_no_reason_behind() -> None:
    play = Play()
    execution = play.start(_task(retries=1))
    play.end(execution, "t", "FAILED", "exit code 1")
    play.advance(0)

    play.end(execution, "t")

    assert play.statuses_of("t") == ["RUNNING", "RETRYING", "RUNNING", "SUCCESS"]
    assert run_of(execution, "t").reason is None
    assert execution.status is WorkflowStatus.SUCCESS


def test_delays_grow_by_the_backoff_up_to_the_greatest() -> None:
    play = Play()
    execution = play.start(
        _task(retries=5, retry_delay=1, retry_backoff=2.0, retry_max_delay=5),
    )
    delays: list[float] = []

    for _ in range(5):
        play.end(execution, "t", "FAILED")
        retry_at_ms = run_of(execution, "t").retry_at_ms
        assert retry_at_ms is not None
        delays.append((retry_at_ms - play.now_ms) / 1000)
        play.advance(delays[-1])

    assert delays == [1, 2, 4, 5, 5]


@pytest.mark.parametrize("greatest", [None, 60])
def test_a_backoff_beyond_all_numbers_is_a_long_delay_and_not_an_error(greatest: float | None) -> None:
    graph_task = _graph_task(retries=5000, retry_delay=1, retry_backoff=10.0, retry_max_delay=greatest)

    delay_s = graph_task.retry_delay_after(4000)

    assert delay_s == (greatest or LONGEST_RETRY_DELAY_S)


def test_rules_on_failed_do_not_see_a_try_that_is_followed_by_another() -> None:
    with Workflow(name="w") as workflow:
        a, alarm, again = Operator("a", retries=1), Operator("alarm"), Operator("again")
        alarm.action_on_task_status(TaskAction.START, {a: TaskStatus.FAILED})
        again.action_on_task_status(TaskAction.START, {a: TaskStatus.RETRYING})
    play = Play()
    execution = play.start(workflow)

    play.end(execution, "a", "FAILED")
    assert status_of(execution, "alarm") is None
    assert status_of(execution, "again") is TaskStatus.RUNNING
    play.advance(0)
    play.end(execution, "a", "FAILED")

    assert status_of(execution, "alarm") is TaskStatus.RUNNING


def test_a_lost_attempt_is_tried_again_while_tries_are_left() -> None:
    play = Play()
    execution = play.start(_task(retries=1))

    play.end(execution, "t", "LOST", "lost: its supervisor died")
    play.advance(0)
    assert run_of(execution, "t").try_number == 2
    play.end(execution, "t", "LOST", "lost: its supervisor died")

    assert status_of(execution, "t") is TaskStatus.FAILED
    assert execution.reason == "failed: t: lost: its supervisor died"


def test_an_attempt_that_never_started_is_queued_again_without_using_a_try() -> None:
    play = Play()
    execution = play.start(_task())
    first = run_of(execution, "t").attempt
    assert first is not None

    play.end(execution, "t", "NEVER_STARTED")

    run = run_of(execution, "t")
    assert run.attempt is not None
    assert run.attempt.id != first.id
    assert (run.status, run.try_number, run.sequence_number) == (TaskStatus.RUNNING, 1, 1)


def test_a_second_report_of_an_attempt_changes_nothing() -> None:
    play = Play()
    execution = play.start(_task(retries=1))
    first = run_of(execution, "t").attempt
    assert first is not None
    play.end(execution, "t", "FAILED")
    play.advance(0)

    counted = play.end_attempt(first.id, "SUCCESS")

    assert not counted
    assert status_of(execution, "t") is TaskStatus.RUNNING
    assert not play.end_attempt("never heard of")


def _graph_task(**options: object) -> Task:
    return graph_of(_task(**options)).tasks["t"]
