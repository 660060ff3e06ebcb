# SPDX-License-Identifier: Apache-2.0
"""One run of a workflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from ai_flow.model.execution_type import ExecutionType
    from ai_flow.model.status import WorkflowStatus


@dataclass(eq=False)
class WorkflowExecution:
    """One run of a workflow: what started it, when, and how it stands."""

    workflow_id: int
    execution_type: ExecutionType
    begin_date: datetime | None
    end_date: datetime | None
    status: WorkflowStatus
    id: int | None = None
