# SPDX-License-Identifier: Apache-2.0
"""The life of a task execution and of a workflow execution: every status and every arrow between them.

This file is the one place that says which status may follow which. The enums themselves belong to the
public model (``ai_flow.model.status``, manual section 4.3.1); what moves between them is a *signal*. A pair
of status and signal that is not in the table is refused, never ignored: whoever sends a signal knows the
status.

A task execution (one sequence number) lives through one or more attempts (``try_number``)::

    INIT -> QUEUED -> RUNNING -> SUCCESS | FAILED
                      RUNNING -> RETRYING -> QUEUED          another try is left
                      RUNNING -> QUEUED                      the attempt provably never started
             QUEUED | RETRYING -> STOPPED                    nothing runs: stopped at once
             QUEUED | RETRYING -> FAILED                     its owner is gone
             QUEUED | RUNNING -> STOPPING -> STOPPED | SUCCESS   asked to stop, then gone
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from ai_flow.model.status import TaskStatus, WorkflowStatus

_Status = TypeVar("_Status", bound=Enum)
_Signal = TypeVar("_Signal", bound=Enum)


class TaskSignal(str, Enum):
    """What can happen to a task execution."""

    QUEUE = "queue"  #: its start (or its next try) was decided
    CLAIM = "claim"  #: an executor took the attempt and starts its process
    SUCCEED = "succeed"  #: its process ended well
    FAIL = "fail"  #: its process ended badly and no try is left
    RETRY = "retry"  #: its process ended badly and another try will follow
    UNCLAIM = "unclaim"  #: its attempt is proven never to have started
    ASK_TO_STOP = "ask_to_stop"  #: its process was told to end
    STOP = "stop"  #: nothing of it runs any more and somebody wanted that


class ExecutionSignal(str, Enum):
    """What can happen to a workflow execution."""

    START = "start"
    SUCCEED = "succeed"
    FAIL = "fail"
    STOP = "stop"


TASK_TRANSITIONS: Mapping[tuple[TaskStatus, TaskSignal], TaskStatus] = {
    (TaskStatus.INIT, TaskSignal.QUEUE): TaskStatus.QUEUED,
    (TaskStatus.QUEUED, TaskSignal.CLAIM): TaskStatus.RUNNING,
    (TaskStatus.QUEUED, TaskSignal.ASK_TO_STOP): TaskStatus.STOPPING,
    (TaskStatus.QUEUED, TaskSignal.STOP): TaskStatus.STOPPED,
    (TaskStatus.QUEUED, TaskSignal.FAIL): TaskStatus.FAILED,
    (TaskStatus.RUNNING, TaskSignal.SUCCEED): TaskStatus.SUCCESS,
    (TaskStatus.RUNNING, TaskSignal.FAIL): TaskStatus.FAILED,
    (TaskStatus.RUNNING, TaskSignal.RETRY): TaskStatus.RETRYING,
    (TaskStatus.RUNNING, TaskSignal.UNCLAIM): TaskStatus.QUEUED,
    (TaskStatus.RUNNING, TaskSignal.ASK_TO_STOP): TaskStatus.STOPPING,
    (TaskStatus.RETRYING, TaskSignal.QUEUE): TaskStatus.QUEUED,
    (TaskStatus.RETRYING, TaskSignal.STOP): TaskStatus.STOPPED,
    (TaskStatus.RETRYING, TaskSignal.FAIL): TaskStatus.FAILED,
    (TaskStatus.STOPPING, TaskSignal.SUCCEED): TaskStatus.SUCCESS,
    (TaskStatus.STOPPING, TaskSignal.STOP): TaskStatus.STOPPED,
}

EXECUTION_TRANSITIONS: Mapping[tuple[WorkflowStatus, ExecutionSignal], WorkflowStatus] = {
    (WorkflowStatus.INIT, ExecutionSignal.START): WorkflowStatus.RUNNING,
    (WorkflowStatus.INIT, ExecutionSignal.FAIL): WorkflowStatus.FAILED,
    (WorkflowStatus.INIT, ExecutionSignal.STOP): WorkflowStatus.STOPPED,
    (WorkflowStatus.RUNNING, ExecutionSignal.SUCCEED): WorkflowStatus.SUCCESS,
    (WorkflowStatus.RUNNING, ExecutionSignal.FAIL): WorkflowStatus.FAILED,
    (WorkflowStatus.RUNNING, ExecutionSignal.STOP): WorkflowStatus.STOPPED,
}

#: No arrow leads out of these.
FINISHED_TASK = frozenset(TaskStatus) - {status for status, _ in TASK_TRANSITIONS}
ALIVE_TASK = frozenset(TaskStatus) - FINISHED_TASK
FINISHED_EXECUTION = frozenset(WorkflowStatus) - {status for status, _ in EXECUTION_TRANSITIONS}

#: Becoming one of these is an event that rules can listen to; being prepared or queued is not (behaviour
#: 2.1).
ANNOUNCED_TASK = frozenset(TaskStatus) - {TaskStatus.INIT, TaskStatus.QUEUED}


class IllegalTransitionError(Exception):
    """A signal reached a status that it cannot leave: a defect of the scheduler, never of the user."""

    def __init__(self, status: TaskStatus | WorkflowStatus, signal: TaskSignal | ExecutionSignal) -> None:
        super().__init__(f"No transition leaves {status.value} on the signal '{signal.value}'.")
        self.status = status
        self.signal = signal


def next_task_status(status: TaskStatus, signal: TaskSignal) -> TaskStatus:
    """Return the status that follows ``status`` on ``signal``; raise ``IllegalTransitionError`` if none
    does.
    """
    try:
        return TASK_TRANSITIONS[status, signal]
    except KeyError:
        raise IllegalTransitionError(status, signal) from None


def next_execution_status(status: WorkflowStatus, signal: ExecutionSignal) -> WorkflowStatus:
    """Return the status that follows ``status`` on ``signal``; raise ``IllegalTransitionError`` if none
    does.
    """
    try:
        return EXECUTION_TRANSITIONS[status, signal]
    except KeyError:
        raise IllegalTransitionError(status, signal) from None


def as_table(transitions: Mapping[tuple[_Status, _Signal], _Status]) -> str:
    """Return a table of Markdown: a row per status, a column per signal, and what follows; "-" is refused."""
    statuses = list(dict.fromkeys([*(status for status, _ in transitions), *transitions.values()]))
    signals = list(dict.fromkeys(signal for _, signal in transitions))
    rows = [["", *(signal.value for signal in signals)], ["---"] * (len(signals) + 1)]
    for status in statuses:
        follows = [transitions.get((status, signal)) for signal in signals]
        rows.append([status.value, *(to.value if to is not None else "-" for to in follows)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
