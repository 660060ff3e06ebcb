# SPDX-License-Identifier: Apache-2.0
"""Operations on task executions; starting and stopping are commands to the scheduler."""

from __future__ import annotations

from ai_flow.engine.graph import WorkflowGraph, parse_graph
from ai_flow.engine.states import ALIVE_TASK
from ai_flow.metadata.task_execution import TaskExecutionMeta
from ai_flow.model.action import TaskAction
from ai_flow.model.status import WorkflowStatus
from ai_flow.model.task_execution import TaskExecutionKey
from ai_flow.service.arguments import checked_id, checked_page, checked_text
from ai_flow.service.errors import NotFoundError, StartRefusedError
from ai_flow.service.metas import task_execution_meta
from ai_flow.service.operations import Operations
from ai_flow.store import catalog, executions
from ai_flow.store.executions import ExecutionRow
from notification_service.database.port import ReadTransaction


class TaskExecutions(Operations):
    """Runs of tasks within workflow executions."""

    def start(self, workflow_execution_id: int, task_name: str) -> str:
        """Ask for a run of a task in a running execution; return its key ``<execution>_<task>_<number>``."""
        checked_text("task_name", task_name)
        with self._database.write() as tx:
            row = self._execution(tx, workflow_execution_id)
            refusal = _why_not_startable(tx, row, task_name)
            if refusal is not None:
                raise StartRefusedError("task", refusal)
            number = self._commands.command_task(
                tx, row.id, task_name, TaskAction.START, now_ms=self._clock.now_ms()
            )
        return str(TaskExecutionKey(row.id, task_name, number))

    def stop(self, workflow_execution_id: int, task_name: str) -> None:
        """Ask for the latest run of a task to be stopped; harmless when that is finished."""
        checked_text("task_name", task_name)
        with self._database.write() as tx:
            row = self._execution(tx, workflow_execution_id)
            latest = executions.latest_task_execution(tx, row.id, task_name)
            # Of an execution that is about to start, the tasks are known but have not run yet.
            may_start_yet = row.status is WorkflowStatus.INIT and task_name in _graph_of(tx, row).tasks
            if latest is None and not may_start_yet:
                raise NotFoundError("Task execution", f"{row.id}.{task_name}")
            if not row.is_finished:
                self._commands.command_task(
                    tx, row.id, task_name, TaskAction.STOP, now_ms=self._clock.now_ms()
                )

    def get(self, task_execution_id: int) -> TaskExecutionMeta | None:
        """Return a task execution; None when there is none of that id."""
        checked_id("task_execution_id", task_execution_id)
        with self._database.read() as tx:
            row = executions.get_task_execution(tx, task_execution_id)
        return task_execution_meta(row) if row is not None else None

    def list(
        self,
        workflow_execution_id: int,
        limit: int | None = None,
        offset: int | None = None,
        after_id: int = 0,
    ) -> list[TaskExecutionMeta]:
        """Return the task executions of a workflow execution, oldest first."""
        page = checked_page(limit, offset, after_id)
        with self._database.read() as tx:
            row = self._execution(tx, workflow_execution_id, "Workflow execution with id:")
            return [task_execution_meta(run) for run in executions.list_task_executions(tx, row.id, page)]

    def _execution(
        self, tx: ReadTransaction, execution_id: int, what: str = "Workflow execution"
    ) -> ExecutionRow:
        row = executions.get_execution(tx, checked_id("workflow_execution_id", execution_id))
        if row is None:
            raise NotFoundError(what, execution_id)
        return row


def _why_not_startable(tx: ReadTransaction, execution: ExecutionRow, task_name: str) -> str | None:
    """Say why no run of the task can start now; None when one can."""
    if execution.is_finished:
        return f"Workflow execution {execution.id} is finished ({execution.status.value})."
    graph = _graph_of(tx, execution)
    if task_name not in graph.tasks:
        return (
            f"Workflow execution {execution.id} has no task '{task_name}'; its tasks: "
            f"{', '.join(graph.tasks)}."
        )
    latest = executions.latest_task_execution(tx, execution.id, task_name)
    if latest is not None and latest.status in ALIVE_TASK:
        return f"Task '{task_name}' of workflow execution {execution.id} is {latest.status.value}."
    if execution.status is WorkflowStatus.INIT and graph.tasks[task_name].starts_with_execution:
        return f"Task '{task_name}' starts with workflow execution {execution.id} anyway."
    return None


def _graph_of(tx: ReadTransaction, execution: ExecutionRow) -> WorkflowGraph:
    snapshot = catalog.get_snapshot(tx, execution.snapshot_id)
    assert snapshot is not None  # a foreign key holds it
    return parse_graph(snapshot.graph)
