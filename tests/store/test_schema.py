# SPDX-License-Identifier: Apache-2.0
"""The schema of a home: replayed up and down, and its lists are the enums of the program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from enum import Enum
from pathlib import Path

import apsw
import pytest

from ai_flow.common.home import Home
from ai_flow.engine.changes import RuleVerdict
from ai_flow.engine.world import ScopeKind, StopOrigin
from ai_flow.model.execution_type import ExecutionType
from ai_flow.model.status import TaskStatus, WorkflowStatus
from ai_flow.store.open_store import STORE_MIGRATIONS, open_store
from notification_service.database.errors import ConstraintError
from notification_service.database.sqlite import SqliteDatabase
from notification_service.database.statements import Statement


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    home = Home(tmp_path / "home")
    home.make()
    with SqliteDatabase(home.database, migrations=STORE_MIGRATIONS) as database:
        yield database


def _schema(database: SqliteDatabase) -> list[tuple[object, ...]]:
    with closing(apsw.Connection(str(database.path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        return list(
            connection.execute(
                "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"
            )
        )


def _newest(component: str) -> int:
    (source,) = [source for source in STORE_MIGRATIONS if source.component == component]
    return len(source.load("sqlite"))


def test_down_and_up_again_gives_the_same_schema(database: SqliteDatabase) -> None:
    before = _schema(database)

    for component in ("store", "ha"):
        for number in reversed(range(_newest(component))):
            database.migrator.migrate_to(component, number)
    assert {name for _, name, _ in _schema(database)} & {"workflow", "attempt", "lease"} == set()
    for component in ("ha", "store"):
        for number in range(1, _newest(component) + 1):
            database.migrator.migrate_to(component, number)

    assert _schema(database) == before


def test_every_table_is_strict(database: SqliteDatabase) -> None:
    tables = [(name, str(sql)) for type, name, sql in _schema(database) if type == "table"]

    assert tables
    assert [name for name, sql in tables if not re.search(r"\)\s*STRICT", sql)] == []


@pytest.mark.parametrize(
    ("table", "column", "enum"),
    [
        ("workflow_execution", "status", WorkflowStatus),
        ("workflow_execution", "run_type", ExecutionType),
        ("workflow_execution", "stop_origin", StopOrigin),
        ("task_execution", "status", TaskStatus),
        ("task_execution", "stop_origin", StopOrigin),
        ("state", "scope_kind", ScopeKind),
        ("inbox", "scope_kind", ScopeKind),
        ("evaluation", "scope_kind", ScopeKind),
        ("evaluation", "verdict", RuleVerdict),
        ("rule_failure", "scope_kind", ScopeKind),
    ],
)
def test_a_list_of_the_schema_is_the_enum_of_the_program(
    database: SqliteDatabase, table: str, column: str, enum: type[Enum]
) -> None:
    (sql,) = [str(sql) for type, name, sql in _schema(database) if (type, name) == ("table", table)]
    found = re.search(rf"CHECK\s*\(\s*{column} IN \(([^)]*)\)", sql)

    assert found is not None
    assert set(re.findall(r"'([^']*)'", found[1])) == {member.value for member in enum}


def test_a_new_home_is_ready_and_keeps_its_identity(tmp_path: Path) -> None:
    home = Home(tmp_path / "made" / "by" / "us")

    first = open_store(home)
    first.database.close()
    second = open_store(home)
    second.database.close()

    assert first.store_id == second.store_id
    assert re.fullmatch(r"[0-9a-f]{32}", first.store_id)


def test_two_homes_are_different_stores(tmp_path: Path) -> None:
    stores = [open_store(Home(tmp_path / name)) for name in ("a", "b")]
    for store in stores:
        store.database.close()

    assert stores[0].store_id != stores[1].store_id


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO workflow (namespace, name, created_at, updated_at) VALUES ('nowhere', 'w', 0, 0)",
        "INSERT INTO task_execution (workflow_execution_id, task_name, sequence_number, status, try_number,"
        " begin_at, then_start) VALUES (4711, 't', 1, 'RUNNING', 1, 0, 0)",
        "INSERT INTO refusal (event_offset, reason) VALUES (1, NULL)",
    ],
)
def test_rows_that_cannot_be_are_refused_by_the_schema(database: SqliteDatabase, sql: str) -> None:
    with pytest.raises(ConstraintError), database.write() as tx:
        tx.execute(Statement("odd", sql))
