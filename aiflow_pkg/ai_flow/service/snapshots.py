# SPDX-License-Identifier: Apache-2.0
"""Operations on workflow snapshots.

A snapshot that an execution or a trigger needs stays. The files of a removed one are left in the home:
another snapshot may share them.
"""

from __future__ import annotations

from ai_flow.metadata.workflow_snapshot import WorkflowSnapshotMeta
from ai_flow.service.arguments import checked_id, checked_page
from ai_flow.service.errors import InUseError, NotFoundError
from ai_flow.service.metas import snapshot_meta
from ai_flow.service.operations import Operations
from ai_flow.store import catalog
from notification_service.database.port import WriteTransaction


class Snapshots(Operations):
    """Versions of workflows; which one is the latest is the workflow's affair."""

    def get(self, snapshot_id: int) -> WorkflowSnapshotMeta | None:
        """Return a snapshot; None when there is none of that id."""
        with self._database.read() as tx:
            row = catalog.get_snapshot(tx, checked_id("snapshot_id", snapshot_id))
        return snapshot_meta(row, self._home) if row is not None else None

    def list(
        self,
        workflow_name: str,
        namespace: str = "default",
        limit: int | None = None,
        offset: int | None = None,
        after_id: int = 0,
    ) -> list[WorkflowSnapshotMeta]:
        """Return the snapshots of a workflow, oldest first."""
        page = checked_page(limit, offset, after_id)
        with self._database.read() as tx:
            workflow = self._workflow(tx, workflow_name, namespace)
            return [snapshot_meta(row, self._home) for row in catalog.list_snapshots(tx, workflow.id, page)]

    def delete(self, snapshot_id: int) -> None:
        """Delete a snapshot that nothing needs."""
        with self._database.write() as tx:
            row = catalog.get_snapshot(tx, checked_id("snapshot_id", snapshot_id))
            if row is None:
                raise NotFoundError("Workflow snapshot", snapshot_id)
            _delete(tx, row.workflow_id, snapshot_id)

    def delete_all(self, workflow_name: str, namespace: str = "default") -> None:
        """Delete all snapshots of a workflow, or none when one is needed.

        The workflow cannot be started before it is uploaded again.
        """
        with self._database.write() as tx:
            workflow = self._workflow(tx, workflow_name, namespace)
            for snapshot_id in catalog.snapshot_ids(tx, workflow.id):
                _delete(tx, workflow.id, snapshot_id)


def _delete(tx: WriteTransaction, workflow_id: int, snapshot_id: int) -> None:
    user = catalog.user_of_snapshot(tx, workflow_id, snapshot_id)
    if user is not None:
        raise InUseError(snapshot_id, user)
    catalog.delete_snapshot(tx, workflow_id, snapshot_id)
