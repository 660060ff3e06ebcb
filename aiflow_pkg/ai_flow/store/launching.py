# SPDX-License-Identifier: Apache-2.0
"""What a process needs to know to run tasks and evaluate conditions: snapshots, executions and triggers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from notification_service.database.port import ReadTransaction
from notification_service.database.statements import load_statements

SQL = load_statements(__package__, "sql/launch.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFacts:
    """A snapshot as its processes need it; ``tasks`` are the descriptions of its graph by name."""

    id: int
    workflow_id: int
    namespace: str
    workflow: str
    bundle: str
    entry: str
    imports: Sequence[str]
    python: str
    tasks: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFacts:
    """An execution as its processes need it."""

    workflow_id: int
    snapshot_id: int
    run_type: str
    status: str
    begin_at_ms: int
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerFacts:
    """A trigger as a condition host needs it; ``rule`` is a pickle that only the host opens."""

    snapshot_id: int
    rule: bytes
    python: str


def read_snapshot(tx: ReadTransaction, snapshot_id: int) -> SnapshotFacts:
    """Return a snapshot; raise ``LookupError`` when it is gone."""
    row = tx.row(SQL.snapshot, id=snapshot_id)
    if row is None:
        raise LookupError(f"snapshot {snapshot_id}")
    workflow_id, bundle, entry, graph, imports, python = row
    description = json.loads(cast("str", graph))
    return SnapshotFacts(
        id=snapshot_id,
        workflow_id=cast("int", workflow_id),
        namespace=description["namespace"],
        workflow=description["name"],
        bundle=cast("str", bundle),
        entry=cast("str", entry),
        imports=json.loads(cast("str", imports)),
        python=cast("str", python),
        tasks={task["name"]: task for task in description["tasks"]},
    )


def read_execution(tx: ReadTransaction, execution_id: int) -> ExecutionFacts:
    """Return an execution; raise ``LookupError`` when it is gone."""
    row = tx.row(SQL.execution, id=execution_id)
    if row is None:
        raise LookupError(f"workflow execution {execution_id}")
    workflow_id, snapshot_id, run_type, status, begin_at, params = row
    return ExecutionFacts(
        workflow_id=cast("int", workflow_id),
        snapshot_id=cast("int", snapshot_id),
        run_type=cast("str", run_type),
        status=cast("str", status),
        begin_at_ms=cast("int", begin_at),
        params=json.loads(cast("str", params)),
    )


def read_trigger(tx: ReadTransaction, trigger_id: int) -> TriggerFacts:
    """Return a trigger; raise ``LookupError`` when it is gone."""
    row = tx.row(SQL.trigger, id=trigger_id)
    if row is None:
        raise LookupError(f"workflow trigger {trigger_id}")
    snapshot_id, rule, python = row
    return TriggerFacts(
        snapshot_id=cast("int", snapshot_id), rule=cast("bytes", rule), python=cast("str", python)
    )
