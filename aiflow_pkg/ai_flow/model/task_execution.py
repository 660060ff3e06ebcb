# SPDX-License-Identifier: Apache-2.0
"""One run of a task within a workflow execution, and the key that names it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ai_flow.model.status import TaskStatus

if TYPE_CHECKING:
    from datetime import datetime

    from ai_flow.model.execution_type import ExecutionType


@dataclass(frozen=True)
class TaskExecutionKey:
    """Names one run of a task; as text it is the sender of the events that the task sends.

    >>> str(TaskExecutionKey(workflow_execution_id=1, task_name="task3", seq_num=2))
    '1_task3_2'
    """

    workflow_execution_id: int
    task_name: str
    seq_num: int

    def __str__(self) -> str:
        return f"{self.workflow_execution_id}_{self.task_name}_{self.seq_num}"


@dataclass(eq=False)
class TaskExecution:
    """One run of a task.

    ``sequence_number`` counts the runs of the task within the workflow execution, from 1. ``try_number``
    counts the tries of this run: it grows with every retry, the sequence number does not.
    """

    workflow_execution_id: int
    task_name: str
    sequence_number: int
    execution_type: ExecutionType
    begin_date: datetime | None = None
    end_date: datetime | None = None
    status: TaskStatus = TaskStatus.INIT
    id: int | None = None
    try_number: int = field(default=0, init=False)
