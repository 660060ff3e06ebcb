# SPDX-License-Identifier: Apache-2.0
"""A workflow execution as people and programs see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowExecutionMeta:
    """An execution of a workflow; times are local, without a zone, and None while they are to come.

    ``status`` and ``run_type`` are the values of ``WorkflowStatus`` and ``ExecutionType``.
    """

    id: int
    workflow_id: int
    begin_date: datetime | None
    end_date: datetime | None
    status: str
    run_type: str
    snapshot_id: int
    #: Every event up to this offset has been taken into account; -1 when none has.
    event_offset: int
    #: Why it ended as it did, if there is more to say than its status.
    reason: str | None = None
    #: What a running execution waits for, if nothing of it runs.
    waits_for: str | None = None
