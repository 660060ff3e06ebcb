# SPDX-License-Identifier: Apache-2.0
"""One SQLite connection, set up the way every connection of ours is, and its transactions.

Connections wait for the write lock with a jittered handler: SQLite's own ``busy_timeout`` sleeps in fixed
steps and starves some processes for seconds (measured with four writers: 110 to 12,094 commits each,
against 3,000 to 3,900 with jitter). Whatever SQLite raises leaves this module as a ``DatabaseError``.

The write-ahead log stays (empty) when the last connection closes, so that short commands need not make and
remove it each time, and is not checkpointed by commits: ``checkpointer`` does that beside them.
"""

from __future__ import annotations

import array
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apsw

from notification_service.database.errors import (
    ConstraintError,
    DatabaseBusyError,
    DatabaseCorruptError,
    DatabaseError,
    DatabaseUnavailableError,
    DiskFullError,
    ForeignDatabaseError,
    UnsupportedSqliteError,
)
from notification_service.database.port import Row, Statement, Value

#: Older versions can corrupt a database when the write-ahead log is reset (sqlite.org/wal.html#walresetbug).
OLDEST_SQLITE = (3, 51, 3)

#: Marks the file as ours in its header, so that ``file`` and we can tell it from others ("aifw").
APPLICATION_ID = 0x61696677

#: A write-ahead log that grew longer than this is cut when it starts over.
WAL_SIZE_LIMIT = 16 * 1024 * 1024

#: How long a transaction waits for another process before it gives up with a clear error.
BUSY_LIMIT_S = 60.0

#: Statements that a connection keeps prepared: about as many as there are. apsw looks through all of them
#: each time, so a generous number would cost every statement (measured: 0.25 us at 500).
_STATEMENTS = 160

#: Waits for the write lock grow from the first to the second; a commit takes about 0.2 ms.
_FIRST_WAIT_S = 0.0002
_LONGEST_WAIT_S = 0.008


def check_sqlite_version(found: str) -> None:
    """Refuse a SQLite library that could damage a store."""
    if tuple(int(part) for part in found.split(".")[:3]) < OLDEST_SQLITE:
        raise UnsupportedSqliteError(found, ".".join(map(str, OLDEST_SQLITE)))


class Connection:
    """A SQLite connection that speaks in statements, rows and our errors."""

    def __init__(self, path: Path, *, read_only: bool, synchronous: str) -> None:
        self.path = path
        self._busy_since_s = 0.0
        self._busy_limit_s = BUSY_LIMIT_S
        try:
            self.apsw = apsw.Connection(
                str(path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=_STATEMENTS
            )
            # The stubs of apsw do not know all of its types, so statements go through an untyped reference.
            self._untyped: Any = self.apsw
            self._execute: Callable[..., Any] = self._untyped.execute
            self._set_up(read_only, synchronous)
        except apsw.Error as error:
            raise explain(path, error) from error

    def _set_up(self, read_only: bool, synchronous: str) -> None:
        connection = self.apsw
        connection.set_busy_handler(self._wait_for_lock)
        if connection.readonly("main"):
            raise DatabaseUnavailableError(self.path, "it is not writable for this user")
        self._claim_file()
        self._use_write_ahead_log()
        self._execute(
            f"PRAGMA synchronous={synchronous}; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
            f"PRAGMA journal_size_limit={WAL_SIZE_LIMIT}"
        )
        if read_only:
            self._execute("PRAGMA query_only=ON")
        # Else SQLite plans a statement anew whenever a value could change the plan: 3 us each time, measured.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.wal_autocheckpoint(0)
        keep = array.array("i", [1])
        connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, keep.buffer_info()[0])

    def _claim_file(self) -> None:
        """Mark an empty file as ours, and leave a database of another program alone."""
        found = self._query("PRAGMA application_id")
        if found == APPLICATION_ID:
            return
        if found != 0 or self._query("PRAGMA schema_version") != 0:
            raise ForeignDatabaseError(self.path)
        self._query(f"PRAGMA application_id={APPLICATION_ID}; PRAGMA application_id")

    def _use_write_ahead_log(self) -> None:
        if self._query("PRAGMA journal_mode") == "wal":
            return
        mode = self._query("PRAGMA journal_mode=WAL")
        if mode != "wal":
            raise DatabaseUnavailableError(
                self.path,
                f"its file system does not support a write-ahead log (SQLite stays in mode {mode})",
                hint="Set AIFLOW_HOME to a directory on a local disk.",
            )

    def _query(self, sql: str) -> Value:
        """Run a pragma that may need the whole file for a moment; SQLite does not wait for that by itself."""
        waits = 0
        while True:
            try:
                return self._execute(sql).fetchall()[0][0]
            except apsw.BusyError:
                if not self._wait_for_lock(waits):
                    raise
                waits += 1

    def _wait_for_lock(self, waits: int) -> bool:
        now_s = time.monotonic()
        if waits == 0:
            self._busy_since_s = now_s
        elif now_s - self._busy_since_s > self._busy_limit_s:
            return False
        time.sleep(random.uniform(0.25, 1.0) * min(_FIRST_WAIT_S * 1.5 ** min(waits, 20), _LONGEST_WAIT_S))
        return True

    # --- transactions

    def begin(self, *, immediate: bool) -> None:
        """Start a transaction; an immediate one holds the write lock when this returns."""
        self.control("BEGIN IMMEDIATE" if immediate else "BEGIN")

    def control(self, sql: str) -> None:
        """Run a statement that controls transactions."""
        try:
            self._execute(sql)
        except apsw.Error as error:
            raise explain(self.path, error) from error

    def roll_back(self) -> None:
        """End the transaction without effect; harmless when SQLite already did it by itself."""
        if self.apsw.in_transaction:
            self.control("ROLLBACK")

    def checkpoint(self, mode: int, *, wait_s: float) -> bool:
        """Move the write-ahead log into the file; False if others were in the way for ``wait_s``."""
        self._busy_limit_s = wait_s
        try:
            self.apsw.wal_checkpoint(mode=mode)
        except apsw.BusyError:
            return False
        except apsw.Error as error:
            raise explain(self.path, error) from error
        finally:
            self._busy_limit_s = BUSY_LIMIT_S
        return True

    @property
    def in_transaction(self) -> bool:
        """Tell whether a transaction is open."""
        return self.apsw.in_transaction

    def close(self) -> None:
        """Close the connection; harmless when called again."""
        self.apsw.close()

    # --- what a transaction offers

    def rows(self, statement: Statement, /, **params: Value) -> list[Row]:
        """Return all rows of a statement."""
        try:
            return self._execute(statement.sql, statement.bind(params)).fetchall()
        except apsw.Error as error:
            raise explain(self.path, error, statement) from error

    def row(self, statement: Statement, /, **params: Value) -> Row | None:
        """Return the first row of a statement, or None."""
        rows = self.rows(statement, **params)
        return rows[0] if rows else None

    def execute(self, statement: Statement, /, **params: Value) -> int:
        """Run a statement and return how many rows it changed."""
        try:
            self._execute(statement.sql, statement.bind(params))
        except apsw.Error as error:
            raise explain(self.path, error, statement) from error
        return self.apsw.changes()

    def execute_many(self, statement: Statement, rows: Sequence[Sequence[Value]], /) -> None:
        """Run a statement once per row of values."""
        try:
            self._untyped.executemany(statement.sql, rows)
        except apsw.Error as error:
            raise explain(self.path, error, statement) from error

    def insert(self, statement: Statement, /, **params: Value) -> int:
        """Insert one row and return the integer key that it got."""
        try:
            self._execute(statement.sql, statement.bind(params))
        except apsw.Error as error:
            raise explain(self.path, error, statement) from error
        return self.apsw.last_insert_rowid()

    def run_script(self, sql: str, /) -> None:
        """Run all statements of a script."""
        self.control(sql)


def explain(path: Path, error: apsw.Error, statement: Statement | None = None) -> DatabaseError:
    """Say in our words what SQLite reported."""
    if isinstance(error, apsw.ConstraintError):
        return ConstraintError(statement.name if statement else "(transaction)", str(error))
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return DatabaseBusyError(path, BUSY_LIMIT_S)
    if isinstance(error, apsw.FullError) or (isinstance(error, apsw.IOError) and _no_room(path)):
        return DiskFullError(path)
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return DatabaseCorruptError(path, str(error))
    if isinstance(error, (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError, apsw.IOError)):
        return DatabaseUnavailableError(path, str(error))
    where = f"the statement {statement.name}" if statement else "a transaction"
    return DatabaseError(f"SQLite refused {where} on {path}: {error}.")


def _no_room(path: Path) -> bool:
    """Tell whether the disk is full; SQLite reports some writes that found no room as plain failures."""
    try:
        return os.statvfs(path.parent).f_bavail == 0
    except OSError:
        return False
