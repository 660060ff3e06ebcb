# SPDX-License-Identifier: Apache-2.0
"""A snapshot as people and programs see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowSnapshotMeta:
    """One version of a workflow, which never changes; the time is local, without a zone."""

    id: int
    workflow_id: int
    create_time: datetime
    #: The description of the workflow as JSON.
    workflow_object: bytes
    #: The directory that holds the files of this version.
    uri: str
    #: The SHA-256 digest of these files: equal files have equal signatures.
    signature: str
