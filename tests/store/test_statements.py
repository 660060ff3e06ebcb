# SPDX-License-Identifier: Apache-2.0
"""Every named statement against the migrated schema: it parses, and what grows is found by an index.

``event``, ``task_execution``, ``attempt`` and ``evaluation`` grow with the age of a home; a statement that
reads all of one of them would grow slower every day. Small tables (workflows, runners, what waits in
inboxes) may be read as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

import ai_flow.store
import ai_flow_ha
from ai_flow.common.home import Home
from ai_flow.store.open_store import STORE_MIGRATIONS
from notification_service.database.sqlite import SqliteDatabase
from notification_service.database.statements import Statement, parse_statements

#: What grows with the age of a home.
GROWING = (
    "event",
    "task_execution",
    "attempt",
    "evaluation",
    "rule_failure",
    "workflow_execution",
    "never_started",
    "refusal",
    "state",
)


def _files() -> Iterator[Path]:
    for package in (ai_flow.store, ai_flow_ha):
        for root in package.__path__:
            yield from sorted(Path(root, "sql").glob("*.sql"))


STATEMENTS = {
    f"{file.stem}.{statement.name}": statement
    for file in _files()
    for statement in parse_statements(file.read_text(encoding="utf-8"), file.name).all()
}


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apsw.Connection]:
    """Give a connection to the schema, in memory: nothing is open beside it."""
    home = Home(tmp_path_factory.mktemp("statements"))
    home.make()
    with SqliteDatabase(home.database, migrations=STORE_MIGRATIONS):
        pass
    with closing(apsw.Connection(":memory:")) as connection:
        with (
            closing(apsw.Connection(str(home.database))) as source,
            connection.backup("main", source, "main") as backup,
        ):
            backup.step()
        yield connection


def _plan(connection: apsw.Connection, statement: Statement) -> list[str]:
    values = dict.fromkeys(statement.parameters)
    rows = connection.execute("EXPLAIN QUERY PLAN " + statement.sql, values).fetchall()
    return [str(row[3]) for row in rows]


def test_there_are_statements() -> None:
    assert len(STATEMENTS) > 50
    assert {"world.live_executions", "attempt.claimable", "lease.check_term"} <= STATEMENTS.keys()


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_parses_and_reads_nothing_that_grows_as_a_whole(
    migrated: apsw.Connection, name: str
) -> None:
    statement = STATEMENTS[name]

    plan = _plan(migrated, statement)

    aliases = _aliases(statement.sql)
    scans = [step.split()[1] for step in plan if step.startswith("SCAN ")]
    # A partial index holds only what is alive: a scan of it does not grow.
    scanned = [
        aliases.get(table, table)
        for step, table in zip([s for s in plan if s.startswith("SCAN ")], scans, strict=True)
        if not any(index in step for index in ("workflow_execution_live", "attempt_open", "runner_present"))
    ]
    assert [table for table in scanned if table in GROWING] == [], plan


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("world.live_executions", "workflow_execution_live"),
        ("world.execution", "INTEGER PRIMARY KEY"),
        ("world.present_attempts", "attempt_by_run"),
        ("world.update_run", "sqlite_autoindex_task_execution_1"),
        ("world.update_execution", "INTEGER PRIMARY KEY"),
        ("world.claim_attempt", "sqlite_autoindex_attempt_1"),
        ("world.fold_evaluation", "INTEGER PRIMARY KEY"),
        ("world.close_attempts", "attempt_by_run"),
        ("attempt.claimable", "attempt_open"),
        ("attempt.claim", "sqlite_autoindex_attempt_1"),
        ("attempt.finish_attempt", "sqlite_autoindex_attempt_1"),
        ("attempt.stops_requested", "attempt_open"),
        ("attempt.stopped_before_claim", "attempt_open"),
        ("execution.evaluations", "evaluation_by_scope"),
        ("execution.latest_sequence_number", "sqlite_autoindex_task_execution_1"),
        ("runner.present_runners", "runner_present"),
        ("lease.check_term", "sqlite_autoindex_lease_1"),
    ],
)
def test_a_hot_statement_uses_its_index(migrated: apsw.Connection, name: str, index: str) -> None:
    plan = _plan(migrated, STATEMENTS[name])

    assert any(index in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan if name != "world.present_attempts"), plan


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_says_what_it_is_for(name: str) -> None:
    (text,) = [
        file.read_text(encoding="utf-8").partition(f"-- name: {STATEMENTS[name].name}\n")[2]
        for file in _files()
        if file.stem == name.partition(".")[0]
    ]

    purpose = text.splitlines()[0]
    assert purpose.startswith("-- "), f"{name} has no purpose"


def _aliases(sql: str) -> dict[str, str]:
    words = sql.replace("\n", " ").split()
    return {
        words[number + 1].strip(",;()"): words[number - 1].strip(",;()")
        for number in range(1, len(words) - 1)
        if words[number] == "AS"
    }
