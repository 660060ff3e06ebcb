# SPDX-License-Identifier: Apache-2.0
"""The tables of statuses and signals: complete, and nothing beside them is possible."""

from __future__ import annotations

import itertools

import pytest

from ai_flow.engine import states
from ai_flow.engine.states import (
    ALIVE_TASK,
    ANNOUNCED_TASK,
    EXECUTION_TRANSITIONS,
    FINISHED_EXECUTION,
    FINISHED_TASK,
    TASK_TRANSITIONS,
    ExecutionSignal,
    IllegalTransitionError,
    TaskSignal,
    next_execution_status,
    next_task_status,
)
from ai_flow.model import status as public
from ai_flow.model.status import TaskStatus, WorkflowStatus


@pytest.mark.parametrize(("status", "signal"), list(itertools.product(TaskStatus, TaskSignal)))
def test_a_pair_of_task_status_and_signal_is_in_the_table_or_refused(
    status: TaskStatus, signal: TaskSignal
) -> None:
    follows = TASK_TRANSITIONS.get((status, signal))

    if follows is not None:
        assert next_task_status(status, signal) is follows
    else:
        with pytest.raises(IllegalTransitionError, match=status.value) as refused:
            next_task_status(status, signal)
        assert (refused.value.status, refused.value.signal) == (status, signal)


@pytest.mark.parametrize(("status", "signal"), list(itertools.product(WorkflowStatus, ExecutionSignal)))
def test_a_pair_of_execution_status_and_signal_is_in_the_table_or_refused(
    status: WorkflowStatus, signal: ExecutionSignal
) -> None:
    follows = EXECUTION_TRANSITIONS.get((status, signal))

    if follows is not None:
        assert next_execution_status(status, signal) is follows
    else:
        with pytest.raises(IllegalTransitionError, match=status.value):
            next_execution_status(status, signal)


def test_finished_means_that_no_arrow_leads_out() -> None:
    assert {TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.STOPPED} == FINISHED_TASK
    assert {WorkflowStatus.SUCCESS, WorkflowStatus.FAILED, WorkflowStatus.STOPPED} == FINISHED_EXECUTION
    assert not any(status in FINISHED_TASK for status, _ in TASK_TRANSITIONS)
    assert not any(status in FINISHED_EXECUTION for status, _ in EXECUTION_TRANSITIONS)


def test_a_task_is_alive_or_finished() -> None:
    assert set(TaskStatus) == ALIVE_TASK | FINISHED_TASK
    assert not ALIVE_TASK & FINISHED_TASK


def test_the_public_sets_agree_with_the_tables() -> None:
    assert set(public.TASK_FINISHED_SET) == FINISHED_TASK
    assert set(public.WORKFLOW_FINISHED_SET) == FINISHED_EXECUTION
    assert set(public.TASK_ALIVE_SET) <= ALIVE_TASK


def test_what_is_only_prepared_is_not_announced() -> None:
    assert set(TaskStatus) - ANNOUNCED_TASK == {TaskStatus.INIT, TaskStatus.QUEUED}


@pytest.mark.parametrize(
    ("table", "begin"),
    [(TASK_TRANSITIONS, TaskStatus.INIT), (EXECUTION_TRANSITIONS, WorkflowStatus.INIT)],
)
def test_every_status_is_reached_and_leads_to_an_end(table: dict, begin: object) -> None:  # type: ignore[type-arg]
    arrows = {(status, follows) for (status, _), follows in table.items()}
    statuses = set(type(begin))  # type: ignore[call-overload]

    assert _closure({begin}, arrows) == statuses
    finished = statuses - {status for status, _ in arrows}
    for status in statuses:
        assert _closure({status}, arrows) & finished, f"{status} is a trap"


def test_no_signal_is_without_use() -> None:
    assert {signal for _, signal in TASK_TRANSITIONS} == set(TaskSignal)
    assert {signal for _, signal in EXECUTION_TRANSITIONS} == set(ExecutionSignal)


def test_the_tables_are_not_changed_by_accident() -> None:
    assert states.__doc__ is not None
    assert len(TASK_TRANSITIONS) == 15
    assert len(EXECUTION_TRANSITIONS) == 6


def _closure(begin: set[object], arrows: set[tuple[object, object]]) -> set[object]:
    reached = set(begin)
    while more := {to for frm, to in arrows if frm in reached and to not in reached}:
        reached |= more
    return reached
