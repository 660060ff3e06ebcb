# SPDX-License-Identifier: Apache-2.0
"""A workflow trigger as people and programs see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowEventTriggerMeta:
    """A rule that starts executions of a workflow; the time is local, without a zone."""

    id: int
    workflow_id: int
    #: The pickled ``WorkflowRule``; only a process of the user's own Python may open it.
    rule: bytes
    is_paused: bool
    create_time: datetime
    #: The rule's condition as data: its type and the keys of the events that it looks at.
    condition: Mapping[str, Any]
