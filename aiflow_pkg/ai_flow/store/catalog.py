# SPDX-License-Identifier: Apache-2.0
"""Workflows and their versions: what was uploaded, under which snapshot.

A snapshot pins a workflow's graph, its bundle (the files, named by their content) and the Python version
that it was loaded with. The same content uploaded twice is one snapshot. All functions work inside the
caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ai_flow.common.exception.exceptions import AIFlowException
from notification_service.database.port import ReadTransaction, Row, WriteTransaction
from notification_service.database.statements import load_statements

SQL = load_statements(__package__, "sql/catalog.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The files of an upload: ``digest`` names their content, ``entry`` is the workflow file inside it."""

    digest: str
    entry: str
    imports: Sequence[str]
    python: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRow:
    """A workflow as stored."""

    id: int
    namespace: str
    name: str
    snapshot_id: int | None
    is_enabled: bool
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRow:
    """A snapshot as stored."""

    id: int
    workflow_id: int
    bundle: str
    entry: str
    graph: Mapping[str, Any]
    imports: Sequence[str]
    python: str
    content: str
    created_at_ms: int

    def entry_in(self, snapshots: Path) -> Path:
        """Return the workflow file inside the home's snapshot directory."""
        return snapshots / self.bundle / self.entry


class UnknownNamespaceError(AIFlowException):
    """A workflow names a namespace that does not exist."""

    def __init__(self, namespace: str) -> None:
        super().__init__(
            f"Namespace {namespace} not exists: add it with 'aiflow namespace add {namespace}' first."
        )
        self.namespace = namespace


def read_store_id(tx: ReadTransaction) -> str:
    """Return the identity of the store."""
    row = tx.row(SQL.store_id)
    assert row is not None
    return cast("str", row[0])


def find_workflow(tx: ReadTransaction, namespace: str, name: str) -> WorkflowRow | None:
    """Return the workflow of that name; None when there is none."""
    row = tx.row(SQL.workflow_by_name, namespace=namespace, name=name)
    return _workflow(row) if row is not None else None


def get_workflow(tx: ReadTransaction, workflow_id: int) -> WorkflowRow | None:
    """Return the workflow of that id; None when there is none."""
    row = tx.row(SQL.workflow_by_id, id=workflow_id)
    return _workflow(row) if row is not None else None


def get_snapshot(tx: ReadTransaction, snapshot_id: int) -> SnapshotRow | None:
    """Return the snapshot of that id; None when there is none."""
    row = tx.row(SQL.snapshot_by_id, id=snapshot_id)
    return _snapshot(row) if row is not None else None


def put_workflow(
    tx: WriteTransaction, graph: Mapping[str, Any], bundle: Bundle, *, now_ms: int
) -> tuple[int, int]:
    """Store a version of a workflow; return (workflow id, snapshot id).

    Raise ``UnknownNamespaceError`` when its namespace does not exist.
    """
    namespace, name = cast("str", graph["namespace"]), cast("str", graph["name"])
    if tx.row(SQL.namespace_exists, name=namespace) is None:
        raise UnknownNamespaceError(namespace)
    known = find_workflow(tx, namespace, name)
    workflow_id = (
        known.id if known else tx.insert(SQL.insert_workflow, namespace=namespace, name=name, now=now_ms)
    )
    text = json.dumps(graph, sort_keys=True)
    same = tx.row(
        SQL.latest_same_snapshot,
        workflow_id=workflow_id,
        bundle=bundle.digest,
        graph=text,
        python=bundle.python,
    )
    if same is not None:
        return workflow_id, cast("int", same[0])
    snapshot_id = tx.insert(
        SQL.insert_snapshot,
        workflow_id=workflow_id,
        bundle=bundle.digest,
        entry=bundle.entry,
        graph=text,
        imports=json.dumps(list(bundle.imports)),
        python=bundle.python,
        content=bundle.content,
        now=now_ms,
    )
    tx.execute(SQL.set_snapshot, id=workflow_id, snapshot_id=snapshot_id, now=now_ms)
    return workflow_id, snapshot_id


def _workflow(row: Row) -> WorkflowRow:
    id, namespace, name, snapshot_id, is_enabled, created_at, updated_at = row
    return WorkflowRow(
        id=cast("int", id),
        namespace=cast("str", namespace),
        name=cast("str", name),
        snapshot_id=cast("int | None", snapshot_id),
        is_enabled=bool(is_enabled),
        created_at_ms=cast("int", created_at),
        updated_at_ms=cast("int", updated_at),
    )


def _snapshot(row: Row) -> SnapshotRow:
    id, workflow_id, bundle, entry, graph, imports, python, content, created_at = row
    return SnapshotRow(
        id=cast("int", id),
        workflow_id=cast("int", workflow_id),
        bundle=cast("str", bundle),
        entry=cast("str", entry),
        graph=json.loads(cast("str", graph)),
        imports=json.loads(cast("str", imports)),
        python=cast("str", python),
        content=cast("str", content),
        created_at_ms=cast("int", created_at),
    )
