# SPDX-License-Identifier: Apache-2.0
"""Timers of periodic tasks: when they tick, what a tick does, and what happens to missed ones."""

from __future__ import annotations

import pytest

from ai_flow.engine.graph import parse_graph
from ai_flow.engine.world import Execution
from ai_flow.model.action import TaskAction
from ai_flow.model.operator import Operator
from ai_flow.model.status import TaskStatus, WorkflowStatus
from ai_flow.model.workflow import Workflow
from ai_flow.runtime.describe import describe_workflow
from tests.engine.play import BEGIN_MS, Play, run_of, status_of


def _periodic(expression: str = "interval@0 0 0 10", **options: object) -> Workflow:
    with Workflow(name="w") as workflow:
        Operator("t", periodic_expression=expression, **options)
    return workflow


def test_a_periodic_task_starts_with_its_execution_and_again_at_each_tick() -> None:
    play = Play()
    execution = play.start(_periodic())
    assert run_of(execution, "t").sequence_number == 1

    for number in (2, 3):
        play.end(execution, "t")
        play.advance(10)
        assert run_of(execution, "t").sequence_number == number

    ticks = [e for e in play.emitted if e.value == "PERIODIC_RUN_TASK"]
    assert len(ticks) == 2
    assert ticks[0].key == "AIFLOW_SCHEDULING_EVENT"
    assert ticks[0].context == {"workflow_execution_id": 1, "task_name": "t"}


def test_a_periodic_task_with_a_start_rule_waits_for_its_tick() -> None:
    with Workflow(name="w") as workflow:
        Operator("t", periodic_expression="interval@0 0 0 10").action_on_event_received(TaskAction.START, "k")
    play = Play()
    execution = play.start(workflow)
    assert status_of(execution, "t") is None

    play.advance(10)

    assert status_of(execution, "t") is TaskStatus.RUNNING


def test_a_tick_restarts_a_run_that_is_longer_than_its_period() -> None:
    play = Play()
    execution = play.start(_periodic())

    play.advance(10)
    assert status_of(execution, "t") is TaskStatus.STOPPING
    play.advance(10)
    play.end(execution, "t", "STOPPED")

    assert run_of(execution, "t").sequence_number == 2
    assert status_of(execution, "t") is TaskStatus.RUNNING


def test_a_tick_ends_the_retries_of_the_run_before() -> None:
    play = Play()
    execution = play.start(_periodic(retries=5, retry_delay=100))
    play.end(execution, "t", "FAILED")

    play.advance(10)

    assert run_of(execution, "t").sequence_number == 2
    assert run_of(execution, "t").try_number == 1


def test_of_the_missed_ticks_only_the_latest_counts() -> None:
    play = Play()
    execution = play.start(_periodic())
    play.end(execution, "t")

    play.advance(57)

    assert run_of(execution, "t").sequence_number == 2
    assert execution.ticks == {"t": BEGIN_MS + 60_000}


def test_ticks_keep_their_rhythm_when_they_are_late() -> None:
    play = Play()
    execution = play.start(_periodic())
    play.end(execution, "t")

    play.advance(12)

    assert execution.ticks == {"t": BEGIN_MS + 20_000}


def test_the_next_due_time_is_the_earliest_of_all() -> None:
    with Workflow(name="w") as workflow:
        Operator("slow", periodic_expression="interval@0 0 5 0")
        Operator("fast", periodic_expression="interval@0 0 0 7")
        Operator("retried", retries=1, retry_delay=3)
    play = Play()
    execution = play.start(workflow)
    assert play.engine.next_due_ms() == BEGIN_MS + 7_000

    play.end(execution, "retried", "FAILED")

    assert play.engine.next_due_ms() == BEGIN_MS + 3_000


def test_a_stopped_execution_ticks_no_more() -> None:
    play = Play()
    execution = play.start(_periodic())
    play.stop(execution)
    play.end(execution, "t", "STOPPED")

    play.advance(100)

    assert run_of(execution, "t").sequence_number == 1
    assert execution.status is WorkflowStatus.STOPPED
    assert play.engine.next_due_ms() is None


@pytest.mark.parametrize("expression", ["cron@0 0 31 2 *", "cron@61 * * * *", "every now and then"])
def test_an_execution_whose_timer_means_nothing_fails_and_says_why(expression: str) -> None:
    """The file was loaded in a Python without croniter, or by another version."""
    with Workflow(name="w") as workflow:
        Operator("a")
        Operator("t")
    description = describe_workflow(workflow)
    description["tasks"][1]["periodic_expression"] = expression
    play = Play()
    execution = Execution(
        id=1, workflow_id=1, snapshot_id=1, graph=parse_graph(description), created_offset=0, owner=None
    )

    play.step(lambda: play.engine.start_execution(execution))

    assert execution.status is WorkflowStatus.FAILED
    assert execution.reason is not None
    assert expression in execution.reason
    assert play.launched == []
    assert play.world.executions == {}
