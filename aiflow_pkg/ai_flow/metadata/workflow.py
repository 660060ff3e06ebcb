# SPDX-License-Identifier: Apache-2.0
"""A workflow as people and programs see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowMeta:
    """A workflow in its latest version; times are local, without a zone.

    ``content`` is the source of the workflow file and ``workflow_object`` the description of the workflow as
    JSON: both are empty when every snapshot was deleted.
    """

    id: int
    name: str
    namespace: str
    content: str
    workflow_object: bytes
    create_time: datetime
    #: When it was last uploaded.
    update_time: datetime
    is_enabled: bool
    #: Every event up to this offset has been taken into account; -1 when none has.
    event_offset: int
