# SPDX-License-Identifier: Apache-2.0
"""What uploads and commands leave in the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ai_flow.common.home import Home
from ai_flow.model.action import TaskAction
from ai_flow.model.execution_type import ExecutionType
from ai_flow.model.operator import Operator
from ai_flow.model.workflow import Workflow
from ai_flow.runtime.describe import describe_workflow
from ai_flow.store import catalog, world_store
from ai_flow.store.catalog import Bundle, UnknownNamespaceError
from ai_flow.store.commands import COMMAND_SENDER, Commands
from ai_flow.store.graph_cache import GraphCache, StaleWorldError
from ai_flow.store.open_store import Store, open_store
from tests.support import ManualClock

BUNDLE = Bundle(digest="d1", entry="w/w.py", imports=["json"], python="3.11", content="print()")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    store = open_store(Home(tmp_path / "home"), clock)
    yield store
    store.database.close()


def _graph(name: str = "w", namespace: str = "default", *tasks: str) -> dict[str, object]:
    with Workflow(name=name, namespace=namespace) as workflow:
        for task in tasks or ("t",):
            Operator(task)
    return describe_workflow(workflow)


def _put(
    store: Store, clock: ManualClock, graph: dict[str, object], bundle: Bundle = BUNDLE
) -> tuple[int, int]:
    with store.database.write() as tx:
        return catalog.put_workflow(tx, graph, bundle, now_ms=clock.now_ms())


def test_the_same_content_again_is_the_same_snapshot(store: Store, clock: ManualClock) -> None:
    assert _put(store, clock, _graph()) == _put(store, clock, _graph())


@pytest.mark.parametrize("change", [{"digest": "d2"}, {"python": "3.12"}])
def test_other_files_or_another_python_make_another_snapshot(
    store: Store, clock: ManualClock, change: dict[str, str]
) -> None:
    workflow_id, first = _put(store, clock, _graph())

    assert _put(store, clock, _graph(), replace(BUNDLE, **change)) == (workflow_id, first + 1)
    with store.database.read() as tx:
        row = catalog.get_workflow(tx, workflow_id)
        old = catalog.get_snapshot(tx, first)
    assert row is not None
    assert row.snapshot_id == first + 1
    assert old is not None
    assert (old.bundle, old.python) == ("d1", "3.11"), "the first is as it was"


def test_another_graph_makes_another_snapshot(store: Store, clock: ManualClock) -> None:
    workflow_id, first = _put(store, clock, _graph())

    assert _put(store, clock, _graph("w", "default", "t", "u")) == (workflow_id, first + 1)


def test_workflows_of_different_names_are_different(store: Store, clock: ManualClock) -> None:
    assert _put(store, clock, _graph("a"))[0] != _put(store, clock, _graph("b"))[0]


def test_a_namespace_that_does_not_exist_is_refused_with_a_way_out(store: Store, clock: ManualClock) -> None:
    with pytest.raises(UnknownNamespaceError, match=r"nowhere.*aiflow namespace add nowhere"):
        _put(store, clock, _graph("w", "nowhere"))


def test_a_snapshot_comes_back_as_it_was_stored(store: Store, clock: ManualClock) -> None:
    graph = _graph()
    _, snapshot_id = _put(store, clock, graph)

    with store.database.read() as tx:
        snapshot = catalog.get_snapshot(tx, snapshot_id)

    assert snapshot is not None
    assert snapshot.graph == json.loads(json.dumps(graph))
    assert snapshot.imports == ["json"]
    assert snapshot.entry_in(Path("/snapshots")) == Path("/snapshots/d1/w/w.py")


def test_what_is_not_there_is_none(store: Store) -> None:
    with store.database.read() as tx:
        assert catalog.find_workflow(tx, "default", "w") is None
        assert catalog.get_workflow(tx, 1) is None
        assert catalog.get_snapshot(tx, 1) is None
        assert world_store.load_workflow(tx, 1) is None
        assert world_store.load_execution(tx, 1, GraphCache()) is None
        assert world_store.latest_snapshot(tx, 1) is None


def _create(store: Store, clock: ManualClock) -> int:
    workflow_id, snapshot_id = _put(store, clock, _graph())
    with store.database.write() as tx:
        return Commands(store.log).create_execution(
            tx,
            workflow_id=workflow_id,
            snapshot_id=snapshot_id,
            run_type=ExecutionType.MANUAL,
            now_ms=clock.now_ms(),
            owner="me",
            params={"p": "1"},
        )


def test_an_execution_is_created_at_the_offset_of_its_start(store: Store, clock: ManualClock) -> None:
    execution_id = _create(store, clock)

    with store.database.read() as tx:
        execution = world_store.load_execution(tx, execution_id, GraphCache())
        (event,) = store.log.read_after(tx, 0, limit=10)
    assert execution is not None
    assert (execution.status.value, execution.owner, execution.created_offset) == ("INIT", "me", event.offset)
    assert (event.value, event.sender) == ("START_WORKFLOW_EXECUTION", COMMAND_SENDER)
    assert json.loads(event.context or "")["workflow_execution_id"] == execution_id


@pytest.mark.parametrize("action", list(TaskAction))
def test_a_command_on_a_task_names_the_run_that_it_is_about(
    store: Store, clock: ManualClock, action: TaskAction
) -> None:
    execution_id = _create(store, clock)

    with store.database.write() as tx:
        number = Commands(store.log).command_task(tx, execution_id, "t", action, now_ms=clock.now_ms())
    with store.database.read() as tx:
        event = store.log.read_after(tx, 0, limit=10)[-1]

    assert number == 1
    assert event.value == f"{action.value}_TASK_EXECUTION"
    context = json.loads(event.context or "")
    assert context["sequence_number"] == (1 if action is TaskAction.START else 0)


def test_a_transaction_that_fails_leaves_no_command(store: Store, clock: ManualClock) -> None:
    workflow_id, snapshot_id = _put(store, clock, _graph())
    with pytest.raises(RuntimeError, match="no"), store.database.write() as tx:
        Commands(store.log).create_execution(
            tx,
            workflow_id=workflow_id,
            snapshot_id=snapshot_id,
            run_type=ExecutionType.MANUAL,
            now_ms=clock.now_ms(),
        )
        raise RuntimeError("no")

    with store.database.read() as tx:
        assert store.log.head(tx) == 0
        assert world_store.load_live_executions(tx, GraphCache()) == []


def test_a_cursor_that_somebody_else_moved_is_noticed(store: Store) -> None:
    with store.database.write() as tx:
        world_store.move_cursor(tx, from_offset=0, to_offset=5)

    with pytest.raises(StaleWorldError), store.database.write() as tx:
        world_store.move_cursor(tx, from_offset=0, to_offset=6)

    with store.database.read() as tx:
        assert world_store.read_cursor(tx) == 5


def test_a_graph_is_parsed_once_and_old_ones_make_room(store: Store, clock: ManualClock) -> None:
    cache = GraphCache()
    ids = [_put(store, clock, _graph(f"w{number}"))[1] for number in range(GraphCache.CAPACITY + 1)]

    with store.database.read() as tx:
        first = cache.graph(tx, ids[0])
        assert cache.graph(tx, ids[0]) is first
        for id in ids[1:]:
            cache.graph(tx, id)
        assert cache.graph(tx, ids[0]) is not first
        with pytest.raises(StaleWorldError, match="4711"):
            cache.graph(tx, 4711)
