# SPDX-License-Identifier: Apache-2.0
"""The database port on SQLite: one file in write-ahead-log mode, durable at every commit.

Within a process one thread writes at a time, on one connection, and threads that append share commits;
readers take connections from a pool and hinder nobody. Between processes SQLite's write lock orders the
writers, and waiting for it is jittered and patient, so that no user ever reads "database is locked".

A commit touches the wake file (``notification_service.wake``) and leaves checkpoints to a thread of their
own. If the file is removed or replaced while it is open, writing stops with an error: it would go to a file
that nobody finds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

import apsw

from notification_service.clock import Clock, SystemClock
from notification_service.database.checkpointer import MOST_PAGES, Checkpointer, empty_log
from notification_service.database.connection import Connection, check_sqlite_version
from notification_service.database.errors import DatabaseGoneError, MisuseError
from notification_service.database.file_checks import MOUNT_INFO, prepare_file
from notification_service.database.group_commit import GroupCommit
from notification_service.database.migrations import MigrationSource, Migrator, SchemaTransaction
from notification_service.database.port import ReadTransaction, WriteTransaction
from notification_service.wake import WakeFile, wake_directory

T = TypeVar("T")
Durability = Literal["full", "normal"]


class SqliteDatabase:
    """A SQLite file as a ``Database``; opening creates it and brings its schema up to date."""

    dialect = "sqlite"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        migrations: Sequence[MigrationSource] = (),
        clock: Clock | None = None,
        durability: Durability = "full",
        mount_info: Path = MOUNT_INFO,
    ) -> None:
        check_sqlite_version(apsw.sqlite_lib_version())
        self.path = Path(os.path.abspath(path))
        prepare_file(self.path, mount_info)
        self._synchronous = "FULL" if durability == "full" else "NORMAL"
        self._closed = False
        self._idle_readers: list[Connection] = []
        self._writer = _WriteSide(self.path, self._connect)
        self._group = GroupCommit(self._writer)
        self.migrator = Migrator(self, migrations, clock or SystemClock())
        try:
            self.migrator.upgrade()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def read(self) -> Generator[ReadTransaction, None, None]:
        """Open a snapshot on a connection of its own."""
        connection = self._borrow_reader()
        try:
            connection.begin(immediate=False)
            yield connection
        finally:
            self._return_reader(connection)

    @contextmanager
    def write(self) -> Generator[SchemaTransaction, None, None]:
        """Open the write transaction; it holds the write lock from the start."""
        writer = self._writer
        writer.acquire()
        try:
            tx = writer.begin()
            try:
                yield tx
                writer.commit()
            finally:
                writer.roll_back()
        finally:
            writer.release()

    def commit_together(self, work: Callable[[WriteTransaction], T], /) -> T:
        """Run ``work`` in a transaction that other threads may share; it is durable on return."""
        return self._group.run(work)

    def close(self) -> None:
        """Close all connections and threads; harmless when called again."""
        self._closed = True
        self._writer.close()
        while self._idle_readers:
            self._idle_readers.pop().close()

    def __enter__(self) -> SqliteDatabase:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _connect(self, *, read_only: bool = False) -> Connection:
        return Connection(self.path, read_only=read_only, synchronous=self._synchronous)

    def _borrow_reader(self) -> Connection:
        if self._closed:
            raise _closed_error(self.path)
        try:
            return self._idle_readers.pop()
        except IndexError:
            return self._connect(read_only=True)

    def _return_reader(self, connection: Connection) -> None:
        connection.roll_back()
        if self._closed:
            connection.close()
        else:
            self._idle_readers.append(connection)


class _WriteSide:
    """The one connection that writes, and what must happen around each of its transactions."""

    def __init__(self, path: Path, connect: Callable[[], Connection]) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._holder = 0
        self._closed = False
        self._wal_pages = 0
        self._checkpointer = Checkpointer(connect)
        self._wake = WakeFile(wake_directory(path))
        self._connection = connect()
        self._connection.apsw.set_wal_hook(self._note_wal_pages)
        self._file_id = _file_id(path)

    def refuse_nested(self) -> None:
        if self._holder == threading.get_ident():
            raise MisuseError(f"A write transaction on {self._path} was asked for inside another one.")

    def acquire(self) -> None:
        self.refuse_nested()
        self._lock.acquire()
        self._holder = threading.get_ident()

    def release(self) -> None:
        self._holder = 0
        self._lock.release()

    def begin(self) -> Connection:
        if self._closed:
            raise _closed_error(self._path)
        if _file_id(self._path) != self._file_id:
            raise DatabaseGoneError(self._path)
        self._connection.begin(immediate=True)
        return self._connection

    def commit(self) -> None:
        self._connection.control("COMMIT")
        self._wake.touch()
        if self._wal_pages >= MOST_PAGES:
            empty_log(self._connection)
        else:
            self._checkpointer.note_pages(self._wal_pages)

    def roll_back(self) -> None:
        self._connection.roll_back()

    def changes(self) -> int:
        return self._connection.apsw.total_changes()

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._checkpointer.close()
            self._connection.close()
            self._wake.close()

    def _note_wal_pages(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK


def _file_id(path: Path) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return (0, 0)
    return (status.st_dev, status.st_ino)


def _closed_error(path: Path) -> MisuseError:
    return MisuseError(f"The store {path} was closed and cannot be used any more.")
