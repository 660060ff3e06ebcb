# SPDX-License-Identifier: Apache-2.0
"""How executions stand, for whoever watches them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from ai_flow.model.status import WorkflowStatus
from notification_service.database.port import ReadTransaction
from notification_service.database.statements import load_statements

SQL = load_statements(__package__, "sql/progress.sql")
_EXECUTION_SQL = load_statements(__package__, "sql/execution.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An execution's status and what goes with it."""

    status: WorkflowStatus
    reason: str | None
    waits_for: str | None
    is_stopping: bool
    begin_at_ms: int
    end_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFailure:
    """An event that a rule could not process."""

    id: int
    task: str | None
    #: Counts within the task, from 0.
    rule_index: int
    event_offset: int
    error: str
    failed_at_ms: int


def read_standing(tx: ReadTransaction, execution_id: int) -> Standing:
    """Return how an execution stands; raise ``LookupError`` when it is gone."""
    row = tx.row(SQL.standing, id=execution_id)
    if row is None:
        raise LookupError(f"workflow execution {execution_id}")
    status, reason, waits_for, stop_origin, begin_at, end_at = row
    return Standing(
        status=WorkflowStatus(status),
        reason=cast("str | None", reason),
        waits_for=cast("str | None", waits_for),
        is_stopping=stop_origin is not None,
        begin_at_ms=cast("int", begin_at),
        end_at_ms=cast("int | None", end_at),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerFailure:
    """An event that a trigger of a workflow could not process."""

    id: int
    workflow: str
    trigger_id: int
    event_offset: int
    error: str
    failed_at_ms: int


def unowned_is_busy(tx: ReadTransaction) -> bool:
    """Tell whether an execution of nobody has anything to run, or a trigger may yet start one."""
    return tx.row(SQL.unowned_is_busy) is not None or tx.row(SQL.trigger_is_pending) is not None


def read_never_started(tx: ReadTransaction, execution_id: int) -> dict[str, str]:
    """Return why tasks of a finished execution never ran, by task."""
    rows = tx.rows(_EXECUTION_SQL.never_started, workflow_execution_id=execution_id)
    return {cast("str", task): cast("str", reason) for task, reason in rows}


def read_rule_failures(
    tx: ReadTransaction, execution_id: int, *, after_id: int, limit: int = 100
) -> list[RuleFailure]:
    """Return the failures of an execution's rules that are newer than ``after_id``, oldest first."""
    rows = tx.rows(
        SQL.rule_failures_after, workflow_execution_id=execution_id, after_id=after_id, limit=limit
    )
    return [
        RuleFailure(
            id=cast("int", id),
            task=cast("str | None", task),
            rule_index=cast("int", index),
            event_offset=cast("int", offset),
            error=cast("str", error),
            failed_at_ms=cast("int", failed_at),
        )
        for id, task, index, offset, error, failed_at in rows
    ]


def last_rule_failure(tx: ReadTransaction) -> int:
    """Return the id of the newest failure of any rule, 0 when there is none."""
    row = tx.row(SQL.last_rule_failure)
    return cast("int", row[0]) if row is not None else 0


def read_trigger_failures(tx: ReadTransaction, *, after_id: int, limit: int = 100) -> list[TriggerFailure]:
    """Return the failures of triggers that are newer than ``after_id``, oldest first."""
    rows = tx.rows(SQL.trigger_failures_after, after_id=after_id, limit=limit)
    return [
        TriggerFailure(
            id=cast("int", id),
            workflow=cast("str", workflow),
            trigger_id=cast("int", trigger_id),
            event_offset=cast("int", offset),
            error=cast("str", error),
            failed_at_ms=cast("int", failed_at),
        )
        for id, workflow, trigger_id, offset, error, failed_at in rows
    ]
