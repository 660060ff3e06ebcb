# SPDX-License-Identifier: Apache-2.0
"""Namespaces, workflows, their versions and triggers: what was uploaded, under which snapshot.

A snapshot pins a workflow's graph, its bundle (the files, named by their content) and the Python version
that it was loaded with. The same content uploaded twice in a row is one snapshot. All functions work inside
the caller's transaction; what a change means to the scheduler is for the caller to announce.
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


#: For "no limit": the largest that every database accepts.
_ALL_ROWS = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which rows of a list are wanted: those above an id (cheap at any depth), or an offset (which counts).
    Which rows of a list are wanted: those above an id (cheap at any depth), or an offset (which counts).
    """

    limit: int | None = None
    offset: int | None = None
    after_id: int = 0

    @property
    def bounds(self) -> dict[str, int]:
        """Return the parameters ``limit`` and ``offset``; none and 0 are no limit."""
        return {"limit": self.limit or _ALL_ROWS, "offset": self.offset or 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceRow:
    """A namespace as stored; ``properties`` is the text of a JSON object."""

    name: str
    properties: str


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
class WorkflowVersion:
    """A workflow with the source and the graph (JSON) of its latest snapshot, empty when it has none."""

    workflow: WorkflowRow
    content: str
    graph: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRow:
    """A trigger as stored; ``rule`` is a pickle that only a condition host opens."""

    id: int
    workflow_id: int
    snapshot_id: int
    condition: Mapping[str, Any]
    rule: bytes
    python: str
    is_paused: bool
    created_at_ms: int


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


def find_namespace(tx: ReadTransaction, name: str) -> NamespaceRow | None:
    """Return the namespace of that name; None when there is none."""
    row = tx.row(SQL.namespace_by_name, name=name)
    return _namespace(row) if row is not None else None


def list_namespaces(tx: ReadTransaction, page: Page) -> list[NamespaceRow]:
    """Return a page of the namespaces by name."""
    return [_namespace(row) for row in tx.rows(SQL.list_namespaces, **page.bounds)]


def add_namespace(tx: WriteTransaction, name: str, properties: str) -> None:
    """Add a namespace that does not exist yet."""
    tx.execute(SQL.insert_namespace, name=name, properties=properties)


def set_namespace_properties(tx: WriteTransaction, name: str, properties: str) -> bool:
    """Give a namespace other properties; return False when it does not exist."""
    return tx.execute(SQL.set_namespace_properties, name=name, properties=properties) == 1


def namespace_is_empty(tx: ReadTransaction, name: str) -> bool:
    """Tell whether the namespace holds no workflow."""
    return tx.row(SQL.workflow_in_namespace, namespace=name) is None


def delete_namespace(tx: WriteTransaction, name: str) -> bool:
    """Remove an empty namespace; return False when it does not exist."""
    return tx.execute(SQL.delete_namespace, name=name) == 1


def find_workflow(tx: ReadTransaction, namespace: str, name: str) -> WorkflowRow | None:
    """Return the workflow of that name; None when there is none."""
    row = tx.row(SQL.workflow_by_name, namespace=namespace, name=name)
    return _workflow(row) if row is not None else None


def get_workflow(tx: ReadTransaction, workflow_id: int) -> WorkflowRow | None:
    """Return the workflow of that id; None when there is none."""
    row = tx.row(SQL.workflow_by_id, id=workflow_id)
    return _workflow(row) if row is not None else None


def find_workflow_version(tx: ReadTransaction, namespace: str, name: str) -> WorkflowVersion | None:
    """Return the workflow of that name in its latest version; None when there is none."""
    row = tx.row(SQL.workflow_version, namespace=namespace, name=name)
    return _workflow_version(row) if row is not None else None


def list_workflow_versions(tx: ReadTransaction, namespace: str, page: Page) -> list[WorkflowVersion]:
    """Return a page of the workflows of a namespace, oldest first."""
    rows = tx.rows(SQL.list_workflow_versions, namespace=namespace, after_id=page.after_id, **page.bounds)
    return [_workflow_version(row) for row in rows]


def set_enabled(tx: WriteTransaction, workflow_id: int, is_enabled: bool) -> None:
    """Enable or disable a workflow."""
    tx.execute(SQL.set_enabled, id=workflow_id, is_enabled=int(is_enabled))


def delete_workflow(tx: WriteTransaction, workflow_id: int) -> None:
    """Remove a workflow that has no executions any more, with its triggers and snapshots."""
    tx.execute(SQL.delete_workflow_inbox, workflow_id=workflow_id)
    tx.execute(SQL.delete_workflow_states, workflow_id=workflow_id)
    tx.execute(SQL.delete_workflow_evaluations, workflow_id=workflow_id)
    tx.execute(SQL.delete_workflow_failures, workflow_id=workflow_id)
    tx.execute(SQL.delete_triggers, workflow_id=workflow_id)
    tx.execute(SQL.delete_snapshots, workflow_id=workflow_id)
    tx.execute(SQL.delete_workflow, id=workflow_id)


def get_snapshot(tx: ReadTransaction, snapshot_id: int) -> SnapshotRow | None:
    """Return the snapshot of that id; None when there is none."""
    row = tx.row(SQL.snapshot_by_id, id=snapshot_id)
    return _snapshot(row) if row is not None else None


def list_snapshots(tx: ReadTransaction, workflow_id: int, page: Page) -> list[SnapshotRow]:
    """Return a page of the snapshots of a workflow, oldest first."""
    rows = tx.rows(SQL.list_snapshots, workflow_id=workflow_id, after_id=page.after_id, **page.bounds)
    return [_snapshot(row) for row in rows]


def snapshot_ids(tx: ReadTransaction, workflow_id: int) -> list[int]:
    """Return all snapshots of a workflow, oldest first."""
    return [cast("int", id) for (id,) in tx.rows(SQL.snapshot_ids, workflow_id=workflow_id)]


def user_of_snapshot(tx: ReadTransaction, workflow_id: int, snapshot_id: int) -> str | None:
    """Name an execution or a trigger that needs a snapshot of the workflow; None when nothing does."""
    where = {"workflow_id": workflow_id, "snapshot_id": snapshot_id}
    if (row := tx.row(SQL.execution_of_snapshot, **where)) is not None:
        return f"workflow execution {row[0]}"
    if (row := tx.row(SQL.trigger_of_snapshot, **where)) is not None:
        return f"workflow trigger {row[0]}"
    return None


def delete_snapshot(tx: WriteTransaction, workflow_id: int, snapshot_id: int) -> None:
    """Remove a snapshot that nothing needs; a workflow whose latest it was has to be uploaded again."""
    tx.execute(SQL.forget_snapshot, id=workflow_id, snapshot_id=snapshot_id)
    tx.execute(SQL.delete_snapshot, id=snapshot_id)


def add_trigger(
    tx: WriteTransaction,
    *,
    workflow_id: int,
    snapshot_id: int,
    condition: Mapping[str, Any],
    rule: bytes,
    python: str,
    now_ms: int,
    created_offset: int,
) -> int:
    """Add a trigger that sees the events above ``created_offset``; return its id."""
    return tx.insert(
        SQL.insert_trigger,
        workflow_id=workflow_id,
        snapshot_id=snapshot_id,
        condition=json.dumps(condition),
        rule=rule,
        python=python,
        now=now_ms,
        created_offset=created_offset,
    )


def get_trigger(tx: ReadTransaction, trigger_id: int) -> TriggerRow | None:
    """Return the trigger of that id; None when there is none."""
    row = tx.row(SQL.trigger_by_id, id=trigger_id)
    return _trigger(row) if row is not None else None


def list_triggers(tx: ReadTransaction, workflow_id: int, page: Page) -> list[TriggerRow]:
    """Return a page of the triggers of a workflow, oldest first."""
    rows = tx.rows(SQL.list_triggers, workflow_id=workflow_id, after_id=page.after_id, **page.bounds)
    return [_trigger(row) for row in rows]


def set_trigger_paused(tx: WriteTransaction, trigger_id: int, is_paused: bool) -> None:
    """Pause or resume a trigger."""
    tx.execute(SQL.set_trigger_paused, id=trigger_id, is_paused=int(is_paused))


def delete_trigger(tx: WriteTransaction, trigger_id: int) -> None:
    """Remove a trigger."""
    tx.execute(SQL.delete_trigger, id=trigger_id)


def delete_triggers(tx: WriteTransaction, workflow_id: int) -> None:
    """Remove all triggers of a workflow."""
    tx.execute(SQL.delete_triggers, workflow_id=workflow_id)


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
        snapshot_id = cast("int", same[0])
    else:
        snapshot_id = _insert_snapshot(tx, workflow_id, text, bundle, now_ms)
    tx.execute(SQL.set_snapshot, id=workflow_id, snapshot_id=snapshot_id, now=now_ms)
    return workflow_id, snapshot_id


def _insert_snapshot(tx: WriteTransaction, workflow_id: int, graph: str, bundle: Bundle, now_ms: int) -> int:
    return tx.insert(
        SQL.insert_snapshot,
        workflow_id=workflow_id,
        bundle=bundle.digest,
        entry=bundle.entry,
        graph=graph,
        imports=json.dumps(list(bundle.imports)),
        python=bundle.python,
        content=bundle.content,
        now=now_ms,
    )


def _namespace(row: Row) -> NamespaceRow:
    name, properties = row
    return NamespaceRow(name=cast("str", name), properties=cast("str", properties))


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


def _workflow_version(row: Row) -> WorkflowVersion:
    content, graph = row[-2:]
    return WorkflowVersion(
        workflow=_workflow(row[:-2]),
        content=cast("str | None", content) or "",
        graph=cast("str | None", graph) or "",
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


def _trigger(row: Row) -> TriggerRow:
    id, workflow_id, snapshot_id, condition, rule, python, is_paused, created_at = row
    return TriggerRow(
        id=cast("int", id),
        workflow_id=cast("int", workflow_id),
        snapshot_id=cast("int", snapshot_id),
        condition=json.loads(cast("str", condition)),
        rule=cast("bytes", rule),
        python=cast("str", python),
        is_paused=bool(is_paused),
        created_at_ms=cast("int", created_at),
    )
