# SPDX-License-Identifier: Apache-2.0
"""Schemas go up and down step by step, whole steps only, and refuse programs that they do not serve."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from notification_service.database.errors import MigrationError, NewerSchemaError
from notification_service.database.migrations import MigrationSource
from notification_service.database.sqlite import SqliteDatabase
from notification_service.database.statements import parse_statements
from notification_service.event_log import LOG_MIGRATIONS, EventLog
from notification_service.model.event import Event

SQL = parse_statements("-- name: schema\nSELECT type, name, sql FROM sqlite_schema ORDER BY name;", "test")

MakeSource = Callable[[dict[str, str]], MigrationSource]

STEPS = {
    "0001_create_thing.sql": "-- up\nCREATE TABLE thing (id INTEGER);\n-- down\nDROP TABLE thing;\n",
    "0002_name_thing.sql": (
        "-- serves: 1\n-- up\nALTER TABLE thing ADD COLUMN name TEXT;\n"
        "-- down\nALTER TABLE thing DROP COLUMN name;\n"
    ),
    "0003_create_other.sql": "-- up\nCREATE TABLE other (id INTEGER);\n-- down\nDROP TABLE other;\n",
}


@pytest.fixture
def make_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeSource]:
    """Make a source of the first so many steps."""
    package = tmp_path / "stepped_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(steps: dict[str, str], folder: str = "steps") -> MigrationSource:
        directory = package / folder
        directory.mkdir(exist_ok=True)
        for file in directory.iterdir():
            file.unlink()
        for name, text in steps.items():
            (directory / name).write_text(text)
        return MigrationSource("stepped", "stepped_package", folder)

    yield make
    sys.modules.pop("stepped_package", None)


def first(count: int) -> dict[str, str]:
    return dict(list(STEPS.items())[:count])


def schema(database: SqliteDatabase) -> Sequence[tuple[object, ...]]:
    with database.read() as tx:
        return tx.rows(SQL.schema)


@pytest.mark.parametrize("source", [LOG_MIGRATIONS])
def test_going_all_the_way_down_and_up_gives_the_same_schema(tmp_path: Path, source: MigrationSource) -> None:
    with SqliteDatabase(tmp_path / "store.db", migrations=[source]) as database:
        fresh = schema(database)
        newest = database.migrator.versions()[source.component]

        for number in range(newest, -1, -1):
            database.migrator.migrate_to(source.component, number)
        assert [
            row for row in schema(database) if row[1] != "migration" and "sqlite" not in str(row[1])
        ] == []
        for number in range(1, newest + 1):
            database.migrator.migrate_to(source.component, number)

        assert schema(database) == fresh
        EventLog(database).append([Event("k", "v")])


def test_steps_are_applied_once_each_and_in_order(tmp_path: Path, make_source: MakeSource) -> None:
    path = tmp_path / "store.db"
    with SqliteDatabase(path, migrations=[make_source(first(1))]) as database:
        assert database.migrator.versions() == {"stepped": 1}

    with SqliteDatabase(path, migrations=[make_source(first(3))]) as database:
        assert database.migrator.versions() == {"stepped": 3}
        database.migrator.migrate_to("stepped", 1)
        assert database.migrator.versions() == {"stepped": 1}
        with pytest.raises(MigrationError, match="no schema 4 of stepped"):
            database.migrator.migrate_to("stepped", 4)


def test_components_are_numbered_by_themselves(tmp_path: Path, make_source: MakeSource) -> None:
    with SqliteDatabase(tmp_path / "s.db", migrations=[LOG_MIGRATIONS, make_source(first(2))]) as database:
        assert database.migrator.versions() == {"log": 1, "stepped": 2}


def test_an_old_program_works_on_a_schema_that_serves_it(tmp_path: Path, make_source: MakeSource) -> None:
    path = tmp_path / "store.db"
    SqliteDatabase(path, migrations=[make_source(first(2))]).close()

    with SqliteDatabase(path, migrations=[make_source(first(1))]) as database:
        assert database.migrator.versions() == {"stepped": 2}


def test_an_old_program_is_refused_by_a_schema_that_does_not_serve_it(
    tmp_path: Path, make_source: MakeSource
) -> None:
    path = tmp_path / "store.db"
    SqliteDatabase(path, migrations=[make_source(first(3))]).close()

    with pytest.raises(
        NewerSchemaError, match=r"newer version of aiflow.*stepped schema is 3.*knows 2"
    ) as caught:
        SqliteDatabase(path, migrations=[make_source(first(2))])

    assert "Upgrade aiflow" in str(caught.value)
    SqliteDatabase(path, migrations=[LOG_MIGRATIONS]).close()


def test_a_step_that_fails_leaves_no_trace(tmp_path: Path, make_source: MakeSource) -> None:
    path = tmp_path / "store.db"
    broken = {**first(1), "0002_break.sql": "-- up\nCREATE TABLE half (id INTEGER);\nNONSENSE;\n-- down\n"}

    with pytest.raises(Exception, match="NONSENSE"):
        SqliteDatabase(path, migrations=[make_source(broken)])

    with SqliteDatabase(path, migrations=[make_source(first(3))]) as database:
        assert database.migrator.versions() == {"stepped": 3}
        assert "half" not in [row[1] for row in schema(database)]


DIES_HALF_WAY = """
import os, sys
from notification_service.database.sqlite import SqliteDatabase

database = SqliteDatabase(sys.argv[1])
with database.write() as tx:
    tx.run_script("CREATE TABLE half (id INTEGER); CREATE TABLE event (id INTEGER)")
    os._exit(9)
"""


def test_a_program_killed_in_the_middle_of_a_step_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    assert subprocess.run([sys.executable, "-c", DIES_HALF_WAY, str(path)], check=False).returncode == 9

    with SqliteDatabase(path, migrations=[LOG_MIGRATIONS]) as database:
        assert EventLog(database).append([Event("k", "v")])[0].offset == 1


OPENS = """
import sys
from notification_service.database.sqlite import SqliteDatabase
from notification_service.event_log import LOG_MIGRATIONS

with SqliteDatabase(sys.argv[1], migrations=[LOG_MIGRATIONS]) as database:
    print(database.migrator.versions())
"""


def test_programs_that_start_at_once_make_one_schema(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPENS, str(tmp_path / "home" / "store.db")]
    starting = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]

    outputs = [started.communicate(timeout=60) for started in starting]

    assert outputs == [("{'log': 1}\n", "")] * 4


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ({"0001_a.sql": "-- up\n-- down\n", "0003_c.sql": "-- up\n-- down\n"}, "not numbered"),
        ({"0001_a.sql": "CREATE TABLE a (x);"}, "needs a line '-- up'"),
    ],
)
def test_a_mistake_in_the_files_is_named(
    tmp_path: Path, make_source: MakeSource, steps: dict[str, str], found: str
) -> None:
    with pytest.raises(MigrationError, match=found):
        SqliteDatabase(tmp_path / "store.db", migrations=[make_source(steps)])


def test_a_dialect_takes_its_own_form_of_a_step(make_source: MakeSource) -> None:
    special = {**first(2), "0001_create_thing.mysql.sql": "-- up\nSPECIAL\n-- down\n"}
    source = make_source(special)

    assert source.load("mysql")[0].up.strip() == "SPECIAL"
    assert "CREATE TABLE" in source.load("sqlite")[0].up
