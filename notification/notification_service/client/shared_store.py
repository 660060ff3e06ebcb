# SPDX-License-Identifier: Apache-2.0
"""The databases that clients of this process have open, each once, and the thread that reads their tails.

The tail reader serves all listeners of one database with shared queries (``feed``). It polls, sooner when the
wake file tells of a commit, and not at all while nobody listens.

A database must not be used across a fork: a child forgets what its parent had open, without closing it, and
``pid`` lets a transport refuse to go on.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import ClassVar

from notification_service.client.listener import Listener
from notification_service.database.errors import DatabaseError
from notification_service.database.sqlite import SqliteDatabase
from notification_service.event_log import LOG_MIGRATIONS, EventLog
from notification_service.feed import Feed, Subscription
from notification_service.wake import PollPacing, WakeWatcher, wake_directory

#: Batches that a listener may have waiting before it gets more.
LISTENER_BACKLOG = 4

#: How long the tail reader rests after the database refused a read.
AFTER_ERROR_S = 1.0

_logger = logging.getLogger(__name__)


class SharedStore:
    """One open database of this process and how many transports use it."""

    _open_stores: ClassVar[dict[str, SharedStore]] = {}
    _left_to_parent: ClassVar[list[SharedStore]] = []
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, path: str) -> None:
        self.pid = os.getpid()
        self.log = EventLog(SqliteDatabase(path, migrations=[LOG_MIGRATIONS]))
        self._path = path
        self._users = 0
        self._tail: TailReader | None = None

    @classmethod
    def open(cls, path: str) -> SharedStore:
        """Return the store of a path, opened if this process has not got it open."""
        path = os.path.realpath(path)
        with cls._lock:
            store = cls._open_stores.get(path)
            if store is None:
                store = cls._open_stores[path] = cls(path)
            store._users += 1
            return store

    def release(self) -> None:
        """Give the store back; the last user closes it."""
        with self._lock:
            self._users -= 1
            if self._users or self.pid != os.getpid():
                return
            self._open_stores.pop(self._path, None)
            tail, self._tail = self._tail, None
        if tail is not None:
            tail.close()
        self.log.database.close()

    def tail(self) -> TailReader:
        """Return the thread that reads for listeners, started if it does not run."""
        with self._lock:
            if self._tail is None:
                self._tail = TailReader(self.log, wake_directory(Path(self._path)))
                self._tail.start()
            return self._tail

    @classmethod
    def leave_to_parent(cls) -> None:
        """Forget in a forked child what belongs to its parent; even closing it would be harmful."""
        cls._lock = threading.Lock()
        cls._left_to_parent.extend(cls._open_stores.values())
        cls._open_stores.clear()


os.register_at_fork(after_in_child=SharedStore.leave_to_parent)


class TailReader(threading.Thread):
    """Reads new events and delivers them to listeners."""

    def __init__(self, log: EventLog, wake_directory: Path) -> None:
        super().__init__(name="aiflow-tail-reader", daemon=True)
        self._wake_directory = wake_directory
        self._feed = Feed(log)
        self._feed_lock = threading.Lock()
        self._subscriptions: dict[Listener, Subscription] = {}
        self._woken = threading.Event()
        self._closing = False

    def add(self, listener: Listener) -> None:
        """Deliver to a listener what lies above its position."""
        subscription = Subscription(
            keys=None if listener.keys is None else frozenset(listener.keys),
            namespace=listener.namespace,
            position=listener.position,
            is_ready=lambda: listener.backlog < LISTENER_BACKLOG,
            deliver=listener.deliver,
            report_gap=listener.report,
        )
        listener.on_consumed = self._on_consumed
        with self._feed_lock:
            self._subscriptions[listener] = subscription
            self._feed.add(subscription)
        self._woken.set()

    def remove(self, listener: Listener) -> None:
        """Deliver nothing more to a listener."""
        with self._feed_lock:
            subscription = self._subscriptions.pop(listener, None)
            if subscription is not None:
                self._feed.remove(subscription)

    def close(self) -> None:
        """Stop reading."""
        self._closing = True
        self._woken.set()
        self.join()

    def run(self) -> None:
        """Read until closed."""
        pacing = PollPacing()
        watcher = self._watch()
        while not self._closing:
            wait_s: float | None
            try:
                with self._feed_lock:
                    more = self._feed.pump()
                    idle = not self._subscriptions
                wait_s = 0.0 if more else None if idle else pacing.wait_s()
            except DatabaseError as error:
                _logger.error("listener.read_failed error=%s", error)
                wait_s = AFTER_ERROR_S
            if self._woken.wait(wait_s):
                self._woken.clear()
                pacing.hint()
        if watcher is not None:
            watcher.close()

    def _watch(self) -> WakeWatcher | None:
        try:
            return WakeWatcher(self._wake_directory, self._woken.set)
        except OSError as error:
            _logger.warning("wake.not_watched error=%s", error)  # polling goes on by itself
            return None

    def _on_consumed(self, listener: Listener) -> None:
        if listener.backlog == LISTENER_BACKLOG - 1:
            self._woken.set()
