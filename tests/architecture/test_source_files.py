# SPDX-License-Identifier: Apache-2.0
"""Rules for every file: the licence line, the length, and where SQL may stand.

Import rules are held by import-linter and ruff (see ``pyproject.toml``); what those two cannot say is
checked here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source_files import PACKAGES, package_files, python_files, shown

SPDX_LINE = "# SPDX-License-Identifier: Apache-2.0"
LONGEST_FILE = 600

#: How a statement begins. Upper case only: SQL is written so here, and prose is not.
_STATEMENT = re.compile(
    r"\s*(SELECT|INSERT\s+(OR\s+\w+\s+)?INTO|REPLACE\s+INTO|UPDATE\s+\w+|DELETE\s+FROM|WITH\s+\w+"
    r"|(CREATE|ALTER|DROP)\s+(TEMP\s+|UNIQUE\s+)?(TABLE|INDEX|VIEW|TRIGGER)|EXPLAIN|ATTACH|VACUUM)\s"
)
_OF_THE_DATABASE_PORT = re.compile(r"\s*(PRAGMA|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b")


def test_every_python_file_starts_with_its_licence() -> None:
    without = [shown(path) for path in python_files() if not path.read_text().startswith(SPDX_LINE + "\n")]

    assert not without, f"first line is not {SPDX_LINE!r}"


def test_no_file_is_too_long_to_read() -> None:
    lengths = {shown(path): len(path.read_text().splitlines()) for path in python_files()}

    too_long = {path: length for path, length in lengths.items() if length > LONGEST_FILE}

    assert not too_long, f"more than {LONGEST_FILE} lines: give each responsibility a file of its own"


def test_sql_lives_in_sql_files() -> None:
    misplaced = [
        f"{shown(path)}:{line}: {text.strip()[:60]!r}"
        for name, path in package_files()
        if name.endswith(".py")
        for line, text in _strings(path.read_text())
        if _STATEMENT.match(text) or (_OF_THE_DATABASE_PORT.match(text) and not _is_database_port(name))
    ]

    assert not misplaced, "move it into a named block of a .sql file"


@pytest.mark.parametrize(
    ("text", "is_sql"),
    [
        ("SELECT 1", True),
        ("\n  INSERT OR IGNORE INTO event (key) VALUES (:key)", True),
        ("UPDATE task SET status = :status", True),
        ("WITH RECURSIVE t AS (SELECT 1)", True),
        ("CREATE UNIQUE INDEX i ON t (a)", True),
        ("Select a workflow", False),
        ("UPDATED", False),
        ("DELETE", False),
    ],
)
def test_a_statement_is_told_from_a_word(text: str, is_sql: bool) -> None:
    assert bool(_STATEMENT.match(text)) is is_sql


def test_each_package_has_types_for_its_users() -> None:
    names = {name for name, _ in package_files()}

    assert {f"{package}/py.typed" for package in PACKAGES.values()} <= names


def _is_database_port(name: str) -> bool:
    return "database" in Path(name).parent.parts


def _strings(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of every string of a module that is not a docstring."""
    tree = ast.parse(source)
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value
