# SPDX-License-Identifier: Apache-2.0
"""Operations on workflow snapshots (manual, section 9.1)."""

from __future__ import annotations

from ai_flow.metadata.workflow_snapshot import WorkflowSnapshotMeta
from ai_flow.ops.reach import call


def get_workflow_snapshot(snapshot_id: int) -> WorkflowSnapshotMeta | None:
    """Return a snapshot; None when there is none of that id."""
    return call("snapshots.get", snapshot_id=snapshot_id)


def list_workflow_snapshots(
    workflow_name: str, namespace: str = "default", limit: int | None = None, offset: int | None = None
) -> list[WorkflowSnapshotMeta]:
    """Return the snapshots of a workflow, oldest first: at most ``limit``, after the first ``offset``."""
    return call(
        "snapshots.list", workflow_name=workflow_name, namespace=namespace, limit=limit, offset=offset
    )


def delete_workflow_snapshot(snapshot_id: int) -> None:
    """Delete a snapshot; refused while an execution or a trigger needs it."""
    call("snapshots.delete", snapshot_id=snapshot_id)


def delete_workflow_snapshots(workflow_name: str, namespace: str = "default") -> None:
    """Delete all snapshots of a workflow, or none when one is needed.

    The workflow then has to be uploaded again before it can start.
    """
    call("snapshots.delete_all", workflow_name=workflow_name, namespace=namespace)
