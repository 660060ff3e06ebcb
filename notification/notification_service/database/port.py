# SPDX-License-Identifier: Apache-2.0
"""The database port: all that the log, the store and the scheduler may ask of a database.

Work happens in transactions. A ``read`` sees one snapshot and never writes; a ``write`` is alone with the
database, commits when its block ends and is durable then; an exception rolls it back. Inside a write there
is no wait, no socket and no code of a user. ``commit_together`` lets several threads share one commit, so
that each is durable and one fsync pays for all.

Implementations: ``notification_service.database.sqlite``. All of them pass the same suite,
``tests/notification_service/test_database_port.py``. What goes wrong is a ``DatabaseError``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from notification_service.database.statements import Statement, Statements, Value, load_statements

__all__ = [
    "Database",
    "ReadTransaction",
    "Row",
    "Statement",
    "Statements",
    "Value",
    "WriteTransaction",
    "load_statements",
]

Row = tuple[Value, ...]
T = TypeVar("T")


class ReadTransaction(Protocol):
    """One snapshot of the database."""

    def rows(self, statement: Statement, /, **params: Value) -> list[Row]:
        """Return all rows of a statement."""
        ...

    def row(self, statement: Statement, /, **params: Value) -> Row | None:
        """Return the first row of a statement, or None."""
        ...


class WriteTransaction(ReadTransaction, Protocol):
    """The one transaction that may change the database at this moment."""

    def execute(self, statement: Statement, /, **params: Value) -> int:
        """Run a statement and return how many rows it changed."""
        ...

    def execute_many(self, statement: Statement, rows: Sequence[Sequence[Value]], /) -> None:
        """Run a statement once per row of values, given in the order in which its parameters first appear."""
        ...

    def insert(self, statement: Statement, /, **params: Value) -> int:
        """Insert one row and return the integer key that it got."""
        ...


class Database(Protocol):
    """A database that holds the log and all metadata."""

    def read(self) -> AbstractContextManager[ReadTransaction]:
        """Open a snapshot; keep it short, and never across a wait or a page of output."""
        ...

    def write(self) -> AbstractContextManager[WriteTransaction]:
        """Open the write transaction; durable when the block ends, rolled back when it raises."""
        ...

    def commit_together(self, work: Callable[[WriteTransaction], T], /) -> T:
        """Run ``work`` in a transaction that works of other threads may share; return after its commit.

        What ``work`` raises is raised here and undoes this work only. ``work`` must touch nothing but the
        transaction: it may run on the thread of another caller, and again if another of its group fails.
        """
        ...

    def close(self) -> None:
        """Release everything; harmless when called again."""
        ...
