# SPDX-License-Identifier: Apache-2.0
"""Operations on workflows: what was uploaded, whether it may start, and its removal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_flow.metadata.workflow import WorkflowMeta
from ai_flow.service.arguments import checked_page, checked_text
from ai_flow.service.errors import NotFinishedError
from ai_flow.service.metas import workflow_meta
from ai_flow.service.operations import Operations, event_offset
from ai_flow.service.upload import LoadedFile, make_upload
from ai_flow.store import catalog, executions

#: Rows removed in one transaction, about 50 ms of work: others get to write in between.
_ROWS_PER_DELETION = 5000


class Workflows(Operations):
    """Workflows by namespace and name."""

    def get(self, workflow_name: str, namespace: str = "default") -> WorkflowMeta | None:
        """Return a workflow; None when there is none of that name."""
        checked_text("workflow_name", workflow_name)
        checked_text("namespace", namespace)
        with self._database.read() as tx:
            version = catalog.find_workflow_version(tx, namespace, workflow_name)
            return workflow_meta(version, event_offset(tx)) if version is not None else None

    def list(
        self,
        namespace: str = "default",
        limit: int | None = None,
        offset: int | None = None,
        after_id: int = 0,
    ) -> list[WorkflowMeta]:
        """Return the workflows of a namespace, oldest first."""
        checked_text("namespace", namespace)
        page = checked_page(limit, offset, after_id)
        with self._database.read() as tx:
            considered = event_offset(tx)
            versions = catalog.list_workflow_versions(tx, namespace, page)
            return [workflow_meta(version, considered) for version in versions]

    def upload(self, loaded: Mapping[str, Any]) -> list[WorkflowMeta]:
        """Store the workflows of a file that was loaded in a child, all or none, and enable them.

        ``loaded`` is a ``LoadedFile`` as plain data.
        """
        upload = make_upload(LoadedFile.from_data(loaded), self._home)
        now_ms = self._clock.now_ms()
        with self._database.write() as tx:
            for graph in upload.graphs:
                workflow_id, _ = catalog.put_workflow(tx, graph, upload.bundle, now_ms=now_ms)
                catalog.set_enabled(tx, workflow_id, True)
                self._commands.announce_workflow(tx, workflow_id, now_ms=now_ms)
            considered = event_offset(tx)
            versions = [
                catalog.find_workflow_version(tx, graph["namespace"], graph["name"])
                for graph in upload.graphs
            ]
        return [workflow_meta(version, considered) for version in versions if version is not None]

    def enable(self, workflow_name: str, namespace: str = "default") -> None:
        """Let a workflow be started again."""
        self._set_enabled(workflow_name, namespace, True)

    def disable(self, workflow_name: str, namespace: str = "default") -> None:
        """Let no execution of a workflow start; the running ones go on."""
        self._set_enabled(workflow_name, namespace, False)

    def delete(self, workflow_name: str, namespace: str = "default") -> None:
        """Delete a workflow with everything of it; refused while an execution of it is not finished.

        With a long history this takes several transactions, the workflow itself going with the last: an
        execution that starts meanwhile stops it there.
        """
        while not self._delete_some(workflow_name, namespace):
            continue

    def _set_enabled(self, name: str, namespace: str, is_enabled: bool) -> None:
        with self._database.write() as tx:
            workflow = self._workflow(tx, name, namespace)
            catalog.set_enabled(tx, workflow.id, is_enabled)
            self._commands.announce_workflow(tx, workflow.id, now_ms=self._clock.now_ms())

    def _delete_some(self, name: str, namespace: str) -> bool:
        with self._database.write() as tx:
            workflow = self._workflow(tx, name, namespace)
            for execution_id in executions.live_executions(tx, workflow.id):
                raise NotFinishedError(execution_id)
            if not executions.delete_executions(tx, workflow.id, rows=_ROWS_PER_DELETION):
                return False
            catalog.delete_workflow(tx, workflow.id)
            self._commands.announce_workflow(tx, workflow.id, now_ms=self._clock.now_ms())
            return True
