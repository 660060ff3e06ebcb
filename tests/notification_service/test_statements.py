# SPDX-License-Identifier: Apache-2.0
"""The parser of ``.sql`` files, and every statement of ours against the migrated schema."""

from __future__ import annotations

import apsw
import pytest

from notification_service import event_queries, producers
from notification_service.database import migrations
from notification_service.database.errors import MisuseError
from notification_service.database.sqlite import SqliteDatabase
from notification_service.database.statements import Statement, parse_statements

ALL = [*event_queries.SQL.all(), *producers.SQL.all(), *migrations.SQL.all()]

#: Statements that may look at every row: asked by retention or when a store is opened, not per event.
SCANS_ALLOWED = {"mark_removed", "remove_runs", "has_migration_table", "list_migrations"}


def test_blocks_variants_and_comments_are_told_apart() -> None:
    statements = parse_statements(
        "-- head\n\n-- name: one\n-- What it is for.\nSELECT 1;\n\n"
        "-- name: two\nSELECT :b, ':no', \"x:no\", :a, :b -- :no\n;\n"
        "-- name: one @mysql\nSELECT 2\n",
        "test.sql",
    )

    assert statements.one.sql == "SELECT 1"
    assert statements.one.sql_for("mysql") == "SELECT 2"
    assert statements.one.sql_for("sqlite") == "SELECT 1"
    assert statements.two.parameters == ("b", "a")
    assert statements.two.bind({"a": 1, "b": 2}) == (2, 1)
    assert [statement.name for statement in statements.all()] == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n", "a is defined twice in test.sql"),
        ("-- name: a @mysql\nSELECT 1;\n", "only variants of the statements a"),
    ],
)
def test_a_mistake_in_a_file_is_named(text: str, found: str) -> None:
    with pytest.raises(MisuseError, match=found):
        parse_statements(text, "test.sql")


@pytest.mark.parametrize("statement", ALL, ids=lambda statement: statement.name)
def test_statements_fit_the_schema_and_use_its_keys(database: SqliteDatabase, statement: Statement) -> None:
    connection = apsw.Connection(str(database.path))
    try:
        values = dict.fromkeys(statement.parameters, 1)
        if statement.sql.startswith("CREATE"):
            connection.execute(statement.sql)
            return
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", values)]
    finally:
        connection.close()

    scans = [
        step
        for step in plan
        if step.startswith("SCAN") and "CONSTANT" not in step and "(subquery" not in step
    ]
    if statement.name not in SCANS_ALLOWED:
        assert scans == [], plan
    assert not [step for step in plan if "TEMP B-TREE" in step and "GROUP BY" not in step], plan
