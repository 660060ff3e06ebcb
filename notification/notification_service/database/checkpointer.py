# SPDX-License-Identifier: Apache-2.0
"""Move the write-ahead log into the database file beside the commits, not inside them.

SQLite's own checkpoint runs in whichever commit crosses 1,000 pages, and makes that one ten times slower.
Here a thread does it in two passes: a passive one, which hinders nobody and moves nearly everything, and
then a restarting one, which holds writers back for the few pages that came meanwhile. Without the second
the log of a busy writer would never be empty at any moment, and would grow for ever.

The thread starts when the log is first long enough, so that short commands never have one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import apsw

from notification_service.database.connection import Connection
from notification_service.database.errors import DatabaseError

#: Pages in the log at which a checkpoint is worth its two fsyncs (4 MB).
CHECKPOINT_PAGES = 1000

#: Pages in the log at which a writer that is too fast for the thread has to checkpoint by itself (16 MB).
MOST_PAGES = 4000

_READER_WAIT_S = 0.1

_logger = logging.getLogger(__name__)


class Checkpointer:
    """Checkpoint one database whenever its write-ahead log is long."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._wanted = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def note_pages(self, pages: int) -> None:
        """Take in how long the log is after a commit; call it from one thread at a time."""
        if pages < CHECKPOINT_PAGES or self._closing:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="aiflow-checkpointer", daemon=True)
            self._thread.start()
        self._wanted.set()

    def close(self) -> None:
        """Stop the thread after the checkpoint that it is in."""
        self._closing = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        connection: Connection | None = None
        try:
            while self._wanted.wait() and not self._closing:
                self._wanted.clear()
                connection = connection or self._connect()
                checkpoint(connection)
        except DatabaseError as error:
            # The commits meet the same trouble and report it; the log only grows meanwhile.
            _logger.warning("checkpoint.failed error=%s", error)
            self._thread = None
        finally:
            if connection is not None:
                connection.close()


def checkpoint(connection: Connection) -> None:
    """Move nearly all of the log beside the writers, then the rest, so that the next one starts it over."""
    if connection.checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE, wait_s=0):
        empty_log(connection)


def empty_log(connection: Connection) -> None:
    """Move all of the log at once; a reader that stays in the way for long is left alone."""
    connection.checkpoint(apsw.SQLITE_CHECKPOINT_RESTART, wait_s=_READER_WAIT_S)
