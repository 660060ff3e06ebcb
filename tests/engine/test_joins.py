# SPDX-License-Identifier: Apache-2.0
"""Status rules: one event fires at most once, joins run once per round (design, section 5, first row)."""

from __future__ import annotations

import itertools

import pytest

from ai_flow.engine.decide import Outcome
from ai_flow.model.action import TaskAction
from ai_flow.model.operator import Operator
from ai_flow.model.status import TaskStatus, WorkflowStatus
from ai_flow.model.workflow import Workflow
from tests.engine.play import Play, run_of, status_of


def _join() -> Workflow:
    with Workflow(name="join") as workflow:
        a, b, c = Operator("a"), Operator("b"), Operator("c")
        c.start_after([a, b])
    return workflow


def test_a_chain_runs_one_after_the_other_and_succeeds() -> None:
    with Workflow(name="chain") as workflow:
        a, b, c = Operator("a"), Operator("b"), Operator("c")
        b.start_after(a)
        c.start_after(b)
    play = Play()
    execution = play.start(workflow)

    assert list(execution.runs) == ["a"]
    play.end(execution, "a")
    assert status_of(execution, "b") is TaskStatus.RUNNING
    play.end(execution, "b")
    play.end(execution, "c")

    assert execution.status is WorkflowStatus.SUCCESS
    assert len(play.launched) == 3


def test_status_event_and_downstream_start_are_of_one_step() -> None:
    with Workflow(name="chain") as workflow:
        a, b = Operator("a"), Operator("b")
        b.start_after(a)
    play = Play()
    execution = play.start(workflow)
    emitted = len(play.emitted)

    play.end(execution, "a")

    said = [(e.context["task_name"], e.context["task_status"]) for e in play.emitted[emitted:]]
    assert said == [("a", "SUCCESS"), ("b", "RUNNING")]
    assert [e.key for e in play.emitted[emitted:]] == [
        "[task_status_change].default.chain.a",
        "[task_status_change].default.chain.b",
    ]


@pytest.mark.parametrize("order", list(itertools.permutations("ab")))
def test_a_joined_task_starts_once_after_the_last_of_its_upstreams(order: tuple[str, ...]) -> None:
    play = Play()
    execution = play.start(_join())

    play.end(execution, order[0])
    assert status_of(execution, "c") is None
    play.end(execution, order[1])
    assert status_of(execution, "c") is TaskStatus.RUNNING
    play.end(execution, "c")

    assert run_of(execution, "c").sequence_number == 1
    assert execution.status is WorkflowStatus.SUCCESS


def test_a_joined_task_starts_once_when_its_upstreams_end_in_the_same_step() -> None:
    play = Play()
    execution = play.start(_join())
    attempts = [run_of(execution, task).attempt for task in "ab"]

    def both_end() -> None:
        for attempt in attempts:
            assert attempt is not None
            play.engine.outcome(_success(attempt.id))

    play.step(both_end)

    assert play.verdicts_of("c") == ["no", "no", "no", "yes"]
    assert run_of(execution, "c").sequence_number == 1


def test_the_first_of_two_ends_in_one_step_sees_the_other_as_it_was_then() -> None:
    """``a`` became SUCCESS while ``b`` was RUNNING: only ``b``'s own event may find both successful."""
    play = Play()
    execution = play.start(_join())
    attempts = {task: run_of(execution, task).attempt for task in "ab"}

    def both_end() -> None:
        for task in "ba":
            attempt = attempts[task]
            assert attempt is not None
            play.engine.outcome(_success(attempt.id))

    play.step(both_end)

    met = [e for e in play.evaluations if e.rule.task == "c" and e.verdict.value == "yes"]
    last_success = max(e.offset for e in play.emitted if e.context.get("task_status") == "SUCCESS")
    assert [e.offset for e in met] == [last_success]


def test_two_changes_by_one_event_meet_a_join_once() -> None:
    """Both runs are stopped before the first of the two events is evaluated: it must not see the second."""
    with Workflow(name="w") as workflow:
        x, y, z = (
            Operator("x", retries=1, retry_delay=60),
            Operator("y", retries=1, retry_delay=60),
            Operator("z"),
        )
        for task in (x, y):
            task.action_on_event_received(TaskAction.STOP, "stop")
        z.action_on_task_status(TaskAction.START, {x: TaskStatus.STOPPED, y: TaskStatus.STOPPED})
    play = Play()
    execution = play.start(workflow)
    for task in "xy":
        play.end(execution, task, "FAILED")

    play.event("stop", execution)

    assert play.verdicts_of("z")[-2:] == ["no", "yes"]
    assert play.outcomes_of("z") == ["started"]


def test_a_periodic_upstream_starts_its_downstream_each_time() -> None:
    with Workflow(name="periodic") as workflow:
        a, b = Operator("a", periodic_expression="interval@0 0 1 0"), Operator("b")
        b.start_after(a)
    play = Play()
    execution = play.start(workflow)

    for round_number in (1, 2, 3):
        play.end(execution, "a")
        assert run_of(execution, "b").sequence_number == round_number
        play.end(execution, "b")
        play.advance(60)

    assert execution.status is WorkflowStatus.RUNNING
    assert run_of(execution, "a").sequence_number == 4


def test_a_join_of_a_periodic_and_a_single_task_starts_after_each_round_of_the_periodic_one() -> None:
    with Workflow(name="periodic") as workflow:
        a, b, c = Operator("a", periodic_expression="interval@0 0 1 0"), Operator("b"), Operator("c")
        c.start_after([a, b])
    play = Play()
    execution = play.start(workflow)
    play.end(execution, "b")

    for round_number in (1, 2, 3):
        play.end(execution, "a")
        assert run_of(execution, "c").sequence_number == round_number
        play.end(execution, "c")
        play.advance(60)


def test_a_later_run_of_an_upstream_counts_and_not_an_earlier_success() -> None:
    with Workflow(name="rerun") as workflow:
        a, b, c = Operator("a"), Operator("b"), Operator("c")
        a.action_on_event_received(TaskAction.RESTART, "again")
        c.start_after([a, b])
    play = Play()
    execution = play.start(workflow)
    play.end(execution, "a")
    play.event("again", execution)

    play.end(execution, "b")

    assert status_of(execution, "a") is TaskStatus.RUNNING
    assert status_of(execution, "c") is None
    play.end(execution, "a")
    assert status_of(execution, "c") is TaskStatus.RUNNING


def test_an_upstream_that_fails_does_not_start_its_downstream() -> None:
    play = Play()
    execution = play.start(_join())

    play.end(execution, "a", "FAILED")
    play.end(execution, "b")

    assert status_of(execution, "c") is None
    assert execution.status is WorkflowStatus.FAILED


def test_a_rule_on_running_fires_on_the_start_of_its_upstream() -> None:
    with Workflow(name="w") as workflow:
        a, b = Operator("a"), Operator("b")
        b.action_on_task_status(TaskAction.START, {a: TaskStatus.RUNNING})
    play = Play()

    execution = play.start(workflow)

    assert {run.task: run.status for run in execution.alive()} == dict.fromkeys("ab", TaskStatus.RUNNING)
    assert len(play.launched) == 2


def test_a_rule_on_running_fires_once_per_start() -> None:
    with Workflow(name="w") as workflow:
        a, b = Operator("a", retries=1), Operator("b")
        b.action_on_task_status(TaskAction.START, {a: TaskStatus.RUNNING})
    play = Play()
    execution = play.start(workflow)
    play.end(execution, "b")

    play.end(execution, "a", "FAILED")
    play.advance(0)

    assert run_of(execution, "b").sequence_number == 2


@pytest.mark.parametrize("status", ["SUCCESS", "FAILED"])
def test_a_users_event_on_the_key_of_a_task_is_no_change_of_its_status(status: str) -> None:
    play = Play()
    execution = play.start(_join())
    play.end(execution, "b")

    play.event(execution.graph.status_keys["a"], execution, reported_status=status)

    assert status_of(execution, "a") is TaskStatus.RUNNING
    assert status_of(execution, "c") is None


def test_status_rules_of_one_execution_do_not_see_another() -> None:
    play = Play()
    first, second = play.start(_join()), play.start(_join())

    play.end(first, "a")
    play.end(second, "b")

    assert status_of(first, "c") is None
    assert status_of(second, "c") is None


def _success(attempt_id: str) -> Outcome:
    return Outcome(attempt_id=attempt_id, outcome="SUCCESS")
