# SPDX-License-Identifier: Apache-2.0
"""Loads the engine's world and writes what a step changed.

Every function works inside a transaction of its caller: a step of the scheduler is one transaction. Writes
are guarded by the form that the scheduler believes the row to have; a row that is not as believed means
that the lease was lost or the store was changed by hand, and raises ``StaleWorldError``: the step is rolled
back and the world is loaded anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from ai_flow.engine.changes import Changes, Evaluation, RuleVerdict
from ai_flow.engine.graph import parse_condition
from ai_flow.engine.world import (
    Attempt,
    Execution,
    Parked,
    RuleId,
    Scope,
    ScopeId,
    ScopeKind,
    StateValue,
    StopOrigin,
    TaskRun,
    Trigger,
    Workflow,
)
from ai_flow.model.status import TaskStatus, WorkflowStatus
from ai_flow.store.graph_cache import GraphCache as GraphCache
from ai_flow.store.graph_cache import StaleWorldError as StaleWorldError
from notification_service.database.port import ReadTransaction, Row, WriteTransaction
from notification_service.database.statements import load_statements

SQL = load_statements(__package__, "sql/world.sql")

#: The row that further "no" verdicts of a rule fold into; None: there is none any more.
Fold = tuple[Scope, RuleId, int | None]


# Reading.


def read_cursor(tx: ReadTransaction) -> int:
    """Return the offset of the last event that a scheduler has processed."""
    row = tx.row(SQL.cursor)
    assert row is not None
    return cast("int", row[0])


def load_live_executions(tx: ReadTransaction, graphs: GraphCache) -> list[Execution]:
    """Load every execution that has not finished, with its runs, timers, states."""
    return [_load_execution(tx, row, graphs) for row in tx.rows(SQL.live_executions)]


def load_execution(tx: ReadTransaction, execution_id: int, graphs: GraphCache) -> Execution | None:
    """Load one execution; None when there is none of that id."""
    row = tx.row(SQL.execution, id=execution_id)
    return _load_execution(tx, row, graphs) if row is not None else None


def load_workflow(tx: ReadTransaction, workflow_id: int) -> Workflow | None:
    """Load a workflow with its triggers; None when it is gone or has none."""
    row = tx.row(SQL.workflow, id=workflow_id)
    workflow = _load_workflow(tx, row) if row is not None else None
    return workflow if workflow is not None and workflow.triggers else None


def load_triggered_workflows(tx: ReadTransaction) -> list[Workflow]:
    """Load every workflow that has triggers."""
    return [_load_workflow(tx, row) for row in tx.rows(SQL.workflows_with_triggers)]


def latest_snapshot(tx: ReadTransaction, workflow_id: int) -> int | None:
    """Return the snapshot that new executions of a workflow use; None when the workflow is gone."""
    row = tx.row(SQL.latest_snapshot, id=workflow_id)
    return cast("int | None", row[0]) if row is not None else None


def load_inboxes(tx: ReadTransaction) -> list[tuple[ScopeId, Parked]]:
    """Load everything parked, oldest first."""
    return [_parked(row) for row in tx.rows(SQL.inboxes)]


# Writing.


def move_cursor(tx: WriteTransaction, *, from_offset: int, to_offset: int) -> None:
    """Move the cursor; raise ``StaleWorldError`` when another scheduler has moved it."""
    if tx.execute(SQL.move_cursor, from_offset=from_offset, to_offset=to_offset) != 1:
        raise StaleWorldError("The scheduler's cursor")


def write_changes(tx: WriteTransaction, changes: Changes, *, now_ms: int, runner_id: str) -> list[Fold]:
    """Write a step's changes; return the rows that later "no" verdicts fold into, to be noted after the
    commit.
    """
    for execution, run in changes.runs.values():
        _write_run(tx, execution, run)
    for execution, run, attempt in changes.attempts.values():
        _write_attempt(tx, execution, run, attempt, now_ms, runner_id)
    for execution in changes.executions.values():
        _write_execution(tx, execution)
    for (scope_id, name), value in changes.states.items():
        _write_state(tx, scope_id, name, value)
    _write_inbox(tx, changes)
    for (execution_id, task), due_ms in changes.ticks.items():
        if due_ms is None:
            tx.execute(SQL.delete_tick, workflow_execution_id=execution_id, task_name=task)
        else:
            tx.execute(SQL.put_tick, workflow_execution_id=execution_id, task_name=task, due_at=due_ms)
    for execution_id, task, reason in changes.never_started:
        tx.execute(
            SQL.insert_never_started, workflow_execution_id=execution_id, task_name=task, reason=reason
        )
    for offset, reason in changes.refusals:
        tx.execute(SQL.insert_refusal, event_offset=offset, reason=reason)
    return _write_evaluations(tx, changes, now_ms)


def note_committed(changes: Changes, folds: list[Fold]) -> None:
    """Tell the world's objects that the store holds their present form; call it after the commit."""
    for _, run in changes.runs.values():
        run.stored_status = run.status
    for _, _, attempt in changes.attempts.values():
        attempt.is_stored = True
        attempt.is_claim_stored = attempt.claimed
    for execution in changes.executions.values():
        execution.stored_status = execution.status
    for scope, rule, row_id in folds:
        if row_id is None:
            scope.last_no.pop(rule, None)
        else:
            scope.last_no[rule] = row_id


def _write_run(tx: WriteTransaction, execution: Execution, run: TaskRun) -> None:
    columns = {
        "workflow_execution_id": execution.id,
        "task_name": run.task,
        "sequence_number": run.sequence_number,
        "status": run.status.value,
        "try_number": run.try_number,
        "end_at": run.end_at_ms,
        "reason": run.reason,
        "retry_at": run.retry_at_ms,
        "stop_origin": run.stop_origin.value if run.stop_origin else None,
        "then_start": int(run.then_start),
    }
    if run.stored_status is None:
        tx.execute(SQL.insert_run, begin_at=run.begin_at_ms, **columns)
    elif tx.execute(SQL.update_run, stored_status=run.stored_status.value, **columns) != 1:
        raise StaleWorldError(f"Task execution {execution.id}_{run.task}_{run.sequence_number}")


def _write_attempt(
    tx: WriteTransaction, execution: Execution, run: TaskRun, attempt: Attempt, now_ms: int, runner_id: str
) -> None:
    if not attempt.is_stored:
        tx.execute(
            SQL.insert_attempt,
            id=attempt.id,
            workflow_execution_id=execution.id,
            task_name=run.task,
            sequence_number=run.sequence_number,
            try_number=attempt.try_number,
            owner=execution.owner,
            claimed_by=runner_id if attempt.claimed else None,
            claimed_at=attempt.claimed_at_ms,
            stop_requested=int(attempt.stop_requested),
            outcome="REVOKED" if attempt.revoked else None,
        )
    elif attempt.revoked:
        if tx.execute(SQL.revoke_attempt, id=attempt.id, finished_at=now_ms) != 1:
            raise StaleWorldError(f"Attempt {attempt.id}")
    elif attempt.claimed and not attempt.is_claim_stored:
        claim = {"id": attempt.id, "claimed_by": runner_id, "claimed_at": attempt.claimed_at_ms}
        if tx.execute(SQL.claim_attempt, **claim) != 1:
            raise StaleWorldError(f"Attempt {attempt.id}")
    if attempt.stop_requested and attempt.is_stored:
        tx.execute(SQL.request_stop, id=attempt.id)


def _write_execution(tx: WriteTransaction, execution: Execution) -> None:
    changed = tx.execute(
        SQL.update_execution,
        id=execution.id,
        status=execution.status.value,
        begin_at=execution.begin_at_ms,
        end_at=execution.end_at_ms,
        reason=execution.reason,
        waits_for=execution.waits_for,
        stop_origin=execution.stop_origin.value if execution.stop_origin else None,
        stop_reason=execution.stop_reason,
        stored_status=execution.stored_status.value,
    )
    if changed != 1:
        raise StaleWorldError(f"Workflow execution {execution.id}")
    if execution.is_finished:
        tx.execute(
            SQL.close_attempts,
            workflow_execution_id=execution.id,
            reason=execution.reason,
            finished_at=execution.end_at_ms,
        )


def _write_state(tx: WriteTransaction, scope_id: ScopeId, name: str, value: StateValue | None) -> None:
    where = {"scope_kind": scope_id.kind.value, "scope_id": scope_id.id, "name": name}
    if value is None:
        tx.execute(SQL.delete_state, **where)
    else:
        tx.execute(SQL.put_state, encoding=value.encoding, data=value.data, **where)


def _write_inbox(tx: WriteTransaction, changes: Changes) -> None:
    unparked = {id(parked) for _, parked in changes.unparked}
    for scope, parked in changes.parked:
        if id(parked) in unparked:
            continue
        parked.row_id = tx.insert(
            SQL.insert_parked,
            scope_kind=scope.id.kind.value,
            scope_id=scope.id.id,
            event_offset=parked.offset,
            event_key=parked.key,
            statuses=json.dumps({task: status.value for task, status in parked.statuses.items()}),
            changed_task=parked.status_change[0] if parked.status_change else None,
            reported_status=parked.reported_status,
        )
    for _, parked in changes.unparked:
        if parked.row_id is not None:
            tx.execute(SQL.delete_parked, id=parked.row_id)


def _write_evaluations(tx: WriteTransaction, changes: Changes, now_ms: int) -> list[Fold]:
    folds: dict[tuple[ScopeId, RuleId], tuple[Scope, int | None]] = {}
    for scope, evaluation in changes.evaluations:
        key = (evaluation.scope, evaluation.rule)
        known = folds[key][1] if key in folds else scope.last_no.get(evaluation.rule) if scope else None
        if evaluation.verdict is RuleVerdict.NO and known is not None:
            tx.execute(SQL.fold_evaluation, id=known, event_offset=evaluation.offset, evaluated_at=now_ms)
            continue
        row_id = _insert_evaluation(tx, evaluation, now_ms)
        if scope is not None:
            folds[key] = (scope, row_id if evaluation.verdict is RuleVerdict.NO else None)
    return [(scope, rule, row_id) for (_, rule), (scope, row_id) in folds.items()]


def _insert_evaluation(tx: WriteTransaction, evaluation: Evaluation, now_ms: int) -> int:
    where = {
        "scope_kind": evaluation.scope.kind.value,
        "scope_id": evaluation.scope.id,
        "task_name": evaluation.rule.task,
        "rule_index": evaluation.rule.index,
        "event_offset": evaluation.offset,
        "error": evaluation.error,
    }
    if evaluation.verdict is RuleVerdict.ERROR:
        tx.execute(SQL.insert_failure, failed_at=now_ms, **where)
    return tx.insert(
        SQL.insert_evaluation,
        verdict=evaluation.verdict.value,
        action=evaluation.action,
        outcome=evaluation.outcome,
        evaluated_at=now_ms,
        **where,
    )


# Loading in detail.


def _load_execution(tx: ReadTransaction, row: Row, graphs: GraphCache) -> Execution:
    id, workflow_id, snapshot_id, status, owner, created_offset, begin_at, *stop, waits_for = row
    stop_origin, stop_reason = stop
    execution = Execution(
        id=cast("int", id),
        workflow_id=cast("int", workflow_id),
        snapshot_id=cast("int", snapshot_id),
        graph=graphs.graph(tx, cast("int", snapshot_id)),
        created_offset=cast("int", created_offset),
        owner=cast("str | None", owner),
        status=WorkflowStatus(status),
    )
    execution.begin_at_ms = cast("int | None", begin_at)
    execution.stop_origin = StopOrigin(stop_origin) if stop_origin else None
    execution.stop_reason = cast("str | None", stop_reason)
    execution.waits_for = cast("str | None", waits_for)
    for run_row in tx.rows(SQL.latest_runs, workflow_execution_id=execution.id):
        run = _run(run_row)
        execution.runs[run.task] = run
    for attempt_row in tx.rows(SQL.present_attempts, workflow_execution_id=execution.id):
        _attach_attempt(execution, attempt_row)
    for task, due_at in tx.rows(SQL.ticks, workflow_execution_id=execution.id):
        execution.ticks[cast("str", task)] = cast("int", due_at)
    execution.scope.states = _load_states(tx, execution.scope.id)
    return execution


def _run(row: Row) -> TaskRun:
    task, number, status, try_number, begin_at, end_at, reason, retry_at, stop_origin, then_start = row
    return TaskRun(
        task=cast("str", task),
        sequence_number=cast("int", number),
        status=TaskStatus(status),
        stored_status=TaskStatus(status),
        try_number=cast("int", try_number),
        begin_at_ms=cast("int", begin_at),
        end_at_ms=cast("int | None", end_at),
        reason=cast("str | None", reason),
        retry_at_ms=cast("int | None", retry_at),
        stop_origin=StopOrigin(stop_origin) if stop_origin else None,
        then_start=bool(then_start),
    )


def _attach_attempt(execution: Execution, row: Row) -> None:
    id, task, number, try_number, claimed_by, claimed_at, stop_requested = row
    run = execution.runs.get(cast("str", task))
    if run is not None and run.sequence_number == number and run.is_alive:
        run.attempt = Attempt(
            id=cast("str", id),
            try_number=cast("int", try_number),
            claimed=claimed_by is not None,
            claimed_at_ms=cast("int | None", claimed_at),
            is_claim_stored=claimed_by is not None,
            stop_requested=bool(stop_requested),
            is_stored=True,
        )


def _load_workflow(tx: ReadTransaction, row: Row) -> Workflow:
    id, namespace, name, is_enabled = row
    workflow = Workflow(
        id=cast("int", id),
        namespace=cast("str", namespace),
        name=cast("str", name),
        is_enabled=bool(is_enabled),
    )
    for trigger_id, condition, is_paused, created_offset in tx.rows(SQL.triggers, workflow_id=id):
        description = cast("Mapping[str, object]", json.loads(cast("str", condition)))
        workflow.triggers[cast("int", trigger_id)] = Trigger(
            id=cast("int", trigger_id),
            condition=parse_condition(description, workflow.namespace, workflow.name),
            created_offset=cast("int", created_offset),
            is_paused=bool(is_paused),
        )
    workflow.scope.states = _load_states(tx, workflow.scope.id)
    return workflow


def _load_states(tx: ReadTransaction, scope_id: ScopeId) -> dict[str, StateValue]:
    rows = tx.rows(SQL.states, scope_kind=scope_id.kind.value, scope_id=scope_id.id)
    return {
        cast("str", name): StateValue(cast("str", encoding), cast("str | bytes", data))
        for name, encoding, data in rows
    }


def _parked(row: Row) -> tuple[ScopeId, Parked]:
    row_id, scope_kind, scope_id, offset, key, statuses, changed_task, reported_status = row
    described = cast("dict[str, str]", json.loads(cast("str", statuses)))
    changed = (cast("str", changed_task), TaskStatus(reported_status)) if changed_task is not None else None
    parked = Parked(
        offset=cast("int", offset),
        key=cast("str", key),
        statuses={task: TaskStatus(status) for task, status in described.items()},
        status_change=changed,
        reported_status=cast("str | None", reported_status),
        row_id=cast("int", row_id),
    )
    return ScopeId(ScopeKind(scope_kind), cast("int", scope_id)), parked
