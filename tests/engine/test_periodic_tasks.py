# SPDX-License-Identifier: Apache-2.0
"""How a rule ends the ticks of a periodic task, and how another one brings them back."""

from __future__ import annotations

from ai_flow.model.action import TaskAction
from ai_flow.model.operator import Operator
from ai_flow.model.status import TaskStatus, WorkflowStatus
from ai_flow.model.workflow import Workflow
from tests.engine.play import Play, run_of, status_of

EVERY_MINUTE = "interval@0 0 1 0"


def _workflow() -> Workflow:
    with Workflow(name="periodic") as workflow:
        periodic, other = Operator("periodic", periodic_expression=EVERY_MINUTE), Operator("other")
        periodic.action_on_event_received(TaskAction.STOP, "enough")
        periodic.action_on_event_received(TaskAction.START, "again")
        other.action_on_event_received(TaskAction.RESTART, "never sent")
    return workflow


def _stoppable() -> Workflow:
    with Workflow(name="periodic") as workflow:
        periodic = Operator("periodic", periodic_expression=EVERY_MINUTE)
        periodic.action_on_event_received(TaskAction.STOP, "enough")
    return workflow


def test_a_stop_between_two_rounds_is_the_end_of_a_periodic_task() -> None:
    play = Play()
    execution = play.start(_stoppable())
    play.end(execution, "periodic")

    play.event("enough", execution)

    assert play.outcomes_of("periodic") == ["ticks no more"]
    assert execution.status is WorkflowStatus.SUCCESS
    assert execution.ticks == {}


def test_a_stop_during_a_round_stops_that_round_and_all_later_ones() -> None:
    play = Play()
    execution = play.start(_stoppable())
    play.end(execution, "periodic")
    play.advance(60)

    play.event("enough", execution)
    play.end(execution, "periodic", "STOPPED")

    assert (run_of(execution, "periodic").sequence_number, status_of(execution, "periodic")) == (
        2,
        TaskStatus.STOPPED,
    )
    assert execution.status is WorkflowStatus.SUCCESS


def test_a_stop_before_the_first_round_is_the_end_too() -> None:
    play = Play()
    execution = play.start(_workflow())

    play.event("enough", execution)
    play.advance(60)

    assert status_of(execution, "periodic") is None


def test_a_start_brings_the_ticks_of_a_stopped_task_back() -> None:
    play = Play()
    execution = play.start(_workflow())
    play.event("enough", execution)
    play.advance(30)

    play.event("again", execution)
    play.end(execution, "periodic")
    play.advance(60)

    assert run_of(execution, "periodic").sequence_number == 2


def test_a_tick_that_replaces_a_long_round_keeps_the_beat() -> None:
    play = Play()
    execution = play.start(_stoppable())
    first_due_ms = execution.ticks["periodic"]

    play.advance(61)
    play.end(execution, "periodic", "STOPPED")

    assert run_of(execution, "periodic").sequence_number == 2
    assert execution.ticks["periodic"] == first_due_ms + 60_000
