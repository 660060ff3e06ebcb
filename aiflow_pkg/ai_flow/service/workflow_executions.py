# SPDX-License-Identifier: Apache-2.0
"""Operations on workflow executions.

Starting and stopping are commands: they return once the request is durable, and the holder of the scheduler
lease carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping

from ai_flow.metadata.workflow_execution import WorkflowExecutionMeta
from ai_flow.model.execution_type import ExecutionType
from ai_flow.service.arguments import checked_id, checked_page, checked_params
from ai_flow.service.errors import NotFinishedError, NotFoundError, StartRefusedError
from ai_flow.service.metas import execution_meta
from ai_flow.service.operations import Operations, event_offset
from ai_flow.store import executions

#: Rows removed in one transaction, about 50 ms of work: others get to write in between.
_ROWS_PER_DELETION = 5000


class WorkflowExecutions(Operations):
    """Executions by their ids."""

    def start(
        self, workflow_name: str, namespace: str = "default", params: Mapping[str, str] | None = None
    ) -> int:
        """Ask for a new execution of the latest snapshot; return its id."""
        checked = checked_params(params)
        with self._database.write() as tx:
            workflow = self._workflow(tx, workflow_name, namespace)
            full_name = f"{namespace}.{workflow_name}"
            if not workflow.is_enabled:
                raise StartRefusedError("workflow", f"Workflow {full_name} is disabled: enable it first.")
            if workflow.snapshot_id is None:
                raise StartRefusedError(
                    "workflow", f"Workflow {full_name} has no snapshot: upload its file again."
                )
            return self._commands.create_execution(
                tx,
                workflow_id=workflow.id,
                snapshot_id=workflow.snapshot_id,
                run_type=ExecutionType.MANUAL,
                now_ms=self._clock.now_ms(),
                params=checked,
            )

    def stop(self, workflow_execution_id: int) -> None:
        """Ask for everything of an execution to be stopped; harmless when it is finished."""
        checked_id("workflow_execution_id", workflow_execution_id)
        with self._database.write() as tx:
            row = executions.get_execution(tx, workflow_execution_id)
            if row is None:
                raise NotFoundError("Workflow execution", workflow_execution_id)
            if not row.is_finished:
                self._commands.stop_execution(tx, row.id, now_ms=self._clock.now_ms())

    def stop_all(self, workflow_name: str, namespace: str = "default") -> None:
        """Ask for all executions of a workflow to be stopped."""
        with self._database.write() as tx:
            workflow = self._workflow(tx, workflow_name, namespace)
            for execution_id in executions.live_executions(tx, workflow.id):
                self._commands.stop_execution(tx, execution_id, now_ms=self._clock.now_ms())

    def get(self, workflow_execution_id: int) -> WorkflowExecutionMeta | None:
        """Return an execution; None when there is none of that id."""
        checked_id("workflow_execution_id", workflow_execution_id)
        with self._database.read() as tx:
            row = executions.get_execution(tx, workflow_execution_id)
            return execution_meta(row, event_offset(tx)) if row is not None else None

    def list(
        self,
        workflow_name: str,
        namespace: str = "default",
        limit: int | None = None,
        offset: int | None = None,
        after_id: int = 0,
    ) -> list[WorkflowExecutionMeta]:
        """Return the executions of a workflow, oldest first."""
        page = checked_page(limit, offset, after_id)
        with self._database.read() as tx:
            workflow = self._workflow(tx, workflow_name, namespace)
            considered = event_offset(tx)
            rows = executions.list_executions(tx, workflow.id, page)
            return [execution_meta(row, considered) for row in rows]

    def delete(self, workflow_execution_id: int) -> None:
        """Delete a finished execution with everything that was recorded of it; its logs stay."""
        checked_id("workflow_execution_id", workflow_execution_id)
        while not self._delete_some(workflow_execution_id):
            continue

    def _delete_some(self, execution_id: int) -> bool:
        with self._database.write() as tx:
            row = executions.get_execution(tx, execution_id)
            if row is None:
                raise NotFoundError("Workflow execution", execution_id)
            if not row.is_finished:
                raise NotFinishedError(execution_id)
            return executions.delete_execution(tx, execution_id, rows=_ROWS_PER_DELETION) is not None
