# SPDX-License-Identifier: Apache-2.0
"""Workflow executions and task executions as people and programs see them.

Reading, and the removal of finished executions. Changing an execution is the scheduler's affair: it is
asked through ``commands``. All functions work inside the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from ai_flow.model.status import TaskStatus, WorkflowStatus
from ai_flow.store.catalog import Page
from notification_service.database.port import ReadTransaction, Row, WriteTransaction
from notification_service.database.statements import load_statements

SQL = load_statements(__package__, "sql/execution.sql")

#: Of these an execution can have very many, so their removal may take several transactions.
_NUMEROUS = (SQL.delete_some_evaluations, SQL.delete_some_attempts, SQL.delete_some_task_executions)
_FEW = (
    SQL.delete_ticks,
    SQL.delete_never_started,
    SQL.delete_states,
    SQL.delete_inbox,
    SQL.delete_failures,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRow:
    """A workflow execution as stored."""

    id: int
    workflow_id: int
    snapshot_id: int
    run_type: str
    status: WorkflowStatus
    begin_at_ms: int
    end_at_ms: int | None
    reason: str | None
    waits_for: str | None
    owner: str | None
    params: Mapping[str, str]

    @property
    def is_finished(self) -> bool:
        """Tell whether it has ended for good."""
        return self.status not in (WorkflowStatus.INIT, WorkflowStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskExecutionRow:
    """A task execution as stored."""

    id: int
    workflow_execution_id: int
    task_name: str
    sequence_number: int
    try_number: int
    status: TaskStatus
    begin_at_ms: int
    end_at_ms: int | None
    reason: str | None


def get_execution(tx: ReadTransaction, execution_id: int) -> ExecutionRow | None:
    """Return the execution of that id; None when there is none."""
    row = tx.row(SQL.execution_by_id, id=execution_id)
    return _execution(row) if row is not None else None


def list_executions(tx: ReadTransaction, workflow_id: int, page: Page) -> list[ExecutionRow]:
    """Return a page of the executions of a workflow, oldest first."""
    rows = tx.rows(SQL.list_executions, workflow_id=workflow_id, after_id=page.after_id, **page.bounds)
    return [_execution(row) for row in rows]


def live_executions(tx: ReadTransaction, workflow_id: int) -> list[int]:
    """Return the executions of a workflow that have not finished, oldest first."""
    rows = tx.rows(SQL.live_executions_of_workflow, workflow_id=workflow_id)
    return [cast("int", id) for (id,) in rows]


def get_task_execution(tx: ReadTransaction, task_execution_id: int) -> TaskExecutionRow | None:
    """Return the task execution of that id; None when there is none."""
    row = tx.row(SQL.task_execution_by_id, id=task_execution_id)
    return _task_execution(row) if row is not None else None


def list_task_executions(tx: ReadTransaction, execution_id: int, page: Page) -> list[TaskExecutionRow]:
    """Return a page of the task executions of a workflow execution, oldest first."""
    rows = tx.rows(
        SQL.list_task_executions, workflow_execution_id=execution_id, after_id=page.after_id, **page.bounds
    )
    return [_task_execution(row) for row in rows]


def latest_task_execution(tx: ReadTransaction, execution_id: int, task_name: str) -> TaskExecutionRow | None:
    """Return the latest execution of a task; None when it never ran."""
    row = tx.row(SQL.latest_task_execution, workflow_execution_id=execution_id, task_name=task_name)
    return _task_execution(row) if row is not None else None


def delete_execution(tx: WriteTransaction, execution_id: int, *, rows: int) -> int | None:
    """Remove a finished execution with everything of it, if that is about ``rows`` rows.

    Return how many of ``rows`` are left, at least 0. None means that ``rows`` did not do: part of what was
    recorded is gone, and the next transaction has to go on. Raise ``LookupError``, to be rolled back, when it
    is not a finished one.
    """
    for statement in _NUMEROUS:
        rows -= tx.execute(statement, workflow_execution_id=execution_id, limit=rows)
        if rows <= 0:
            return None
    for statement in _FEW:
        rows -= tx.execute(statement, workflow_execution_id=execution_id)
    if tx.execute(SQL.delete_execution, workflow_execution_id=execution_id) != 1:
        raise LookupError(f"workflow execution {execution_id} is not a finished one")
    return max(rows - 1, 0)


def delete_executions(tx: WriteTransaction, workflow_id: int, *, rows: int) -> bool:
    """Remove the executions of a workflow, all of them finished; return False when ``rows`` did not do."""
    left: int | None = rows
    while left:
        ids = tx.rows(SQL.execution_ids, workflow_id=workflow_id, limit=100)
        if not ids:
            return True
        for (id,) in ids:
            left = delete_execution(tx, cast("int", id), rows=left)
            if not left:
                break
    return False


def _execution(row: Row) -> ExecutionRow:
    id, workflow_id, snapshot_id, run_type, status, begin_at, end_at, reason, waits_for, owner, params = row
    return ExecutionRow(
        id=cast("int", id),
        workflow_id=cast("int", workflow_id),
        snapshot_id=cast("int", snapshot_id),
        run_type=cast("str", run_type),
        status=WorkflowStatus(status),
        begin_at_ms=cast("int", begin_at),
        end_at_ms=cast("int | None", end_at),
        reason=cast("str | None", reason),
        waits_for=cast("str | None", waits_for),
        owner=cast("str | None", owner),
        params=json.loads(cast("str", params)),
    )


def _task_execution(row: Row) -> TaskExecutionRow:
    id, execution_id, task_name, number, try_number, status, begin_at, end_at, reason = row
    return TaskExecutionRow(
        id=cast("int", id),
        workflow_execution_id=cast("int", execution_id),
        task_name=cast("str", task_name),
        sequence_number=cast("int", number),
        try_number=cast("int", try_number),
        status=TaskStatus(status),
        begin_at_ms=cast("int", begin_at),
        end_at_ms=cast("int | None", end_at),
        reason=cast("str | None", reason),
    )
