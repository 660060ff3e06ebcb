# SPDX-License-Identifier: Apache-2.0
"""The hint that something was committed: a file that is touched, and watchers of its directory.

A wake-up is only a hint. It may come late, doubled or never; readers poll as well, and ``PollPacing`` says
how often: at once and then ever more slowly for a tenth of a second after a hint, twice a second otherwise.

The file is separate from the database because watching SQLite's ``-wal`` wakes too early (measured: 97 of 100
wake-ups still read the old snapshot, as the index is updated after the write). It has a directory of its
own so that a watcher sees nothing else.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Name of the file inside the wake directory.
WAKE_FILE_NAME = "aiflow.wake"

#: Polling without any hint; also the longest that a missed hint can delay a reader.
IDLE_POLL_S = 0.5

#: After a hint the polls start at the first and double up to the second, for the third.
_FIRST_POLL_S = 0.0002
_LAST_POLL_S = 0.02
_BURST_S = 0.1


def wake_directory(database: Path) -> Path:
    """Return the directory that holds the wake file of a database."""
    return database.parent / "wake"


class WakeFile:
    """The writer's side: touch the file after each commit."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / WAKE_FILE_NAME
        self._fd: int | None = None

    def touch(self) -> None:
        """Tell all watchers; an error is of no matter, since readers poll anyway."""
        try:
            if self._fd is None:
                self._fd = self._open()
            os.utime(self._fd)
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the file; a later touch opens it again."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)


class WakeWatcher:
    """The reader's side: call ``callback`` from another thread after commits of any process.

    Touches that come faster than they are delivered become one call. The callback must return at once.
    """

    def __init__(self, directory: Path, callback: Callable[[], None]) -> None:
        # Importing watchdog costs 30 ms, and only processes that live for a while watch.
        from watchdog.events import FileSystemEvent, FileSystemEventHandler
        from watchdog.observers import Observer

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                callback()

        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._observer: Any = Observer()
        self._observer.schedule(Handler(), str(directory))
        self._observer.start()

    def close(self) -> None:
        """Stop watching; no call starts after this returns."""
        # An event that arrives while watchdog stops makes it log an error, which is none.
        logging.getLogger("watchdog.observers.inotify").addFilter(_is_no_late_event)
        self._observer.stop()
        self._observer.join()


def _is_no_late_event(record: logging.LogRecord) -> bool:
    return "when the thread is inactive" not in record.getMessage()


class PollPacing:
    """How long a reader that found nothing waits before it looks again."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._burst_ends_s = 0.0
        self._next_s = _FIRST_POLL_S

    def hint(self) -> None:
        """Begin a burst of quick polls: a hint came, or something was found."""
        self._burst_ends_s = self._monotonic_s() + _BURST_S
        self._next_s = _FIRST_POLL_S

    def wait_s(self) -> float:
        """Return the time until the next poll."""
        if self._monotonic_s() >= self._burst_ends_s:
            return IDLE_POLL_S
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, _LAST_POLL_S)
        return wait_s
