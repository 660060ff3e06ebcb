# SPDX-License-Identifier: Apache-2.0
"""A task execution as people and programs see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskExecutionMeta:
    """One run of a task; times are local, without a zone, and None while they are to come.

    ``status`` is the value of a ``TaskStatus``.
    """

    id: int
    workflow_execution_id: int
    task_name: str
    #: Counts the runs of the task within its workflow execution, from 1.
    sequence_number: int
    #: Counts the tries of this run, from 1.
    try_number: int
    begin_date: datetime | None
    end_date: datetime | None
    status: str
    #: Why it ended as it did, such as "exit code 3".
    reason: str | None = None
