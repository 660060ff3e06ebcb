# SPDX-License-Identifier: Apache-2.0
"""Looks after what supervising processes left that ended without saying so.

The one that decides ends their executions (``Scheduler``), but only when no process of their tasks is left;
until then they are watched here, and tasks without any parent are ended. Directories of supervisors that
nobody needs any more are removed, also those of a store that was deleted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ai_flow.executor.remains import end_orphans, has_running_attempts, has_servers, remove_remains
from ai_flow.store import runners
from ai_flow.store.open_store import Store
from notification_service.reactor import Reactor

#: Seconds between looks.
_LOOK_S = 1.0
#: A directory that the store does not know may be that of a process which has only begun.
_UNKNOWN_FOR_S = 600.0


class GoneRunners:
    """Looks for the gone when told to, and once a second."""

    def __init__(
        self,
        reactor: Reactor,
        run_dir: Path,
        store: Store,
        find_dead: Callable[[], list[str]],
        on_gone: Callable[[list[str]], None],
    ) -> None:
        self._reactor = reactor
        self._run_dir = run_dir
        self._store = store
        self._find_dead = find_dead
        self._on_gone = on_gone
        self._sweep_is_due = True
        reactor.call_later(_LOOK_S, self._look_again)

    def accounted(self) -> None:
        """Take note that the end of the gone is in the store."""
        self._sweep_is_due = True

    def look(self) -> None:
        """Look now."""
        dead = self._find_dead()
        running = [id for id in dead if has_running_attempts(self._run_dir / id)]
        gone = [id for id in dead if id not in running]
        if gone:
            self._on_gone(gone)
        for id in running:
            if not has_servers(self._run_dir / id):
                end_orphans(self._reactor, self._run_dir / id)
        if self._sweep_is_due:
            self._sweep_is_due = self._sweep()

    def _look_again(self) -> None:
        self.look()
        self._reactor.call_later(_LOOK_S, self._look_again)

    def _sweep(self) -> bool:
        """Remove the directories that nobody needs; tell whether some have to wait."""
        has_to_wait = False
        for path in self._unneeded():
            if has_servers(path) or has_running_attempts(path):
                has_to_wait = True
            else:
                remove_remains(path)
        return has_to_wait

    def _unneeded(self) -> Sequence[Path]:
        with self._store.database.read() as tx:
            return [
                path
                for path in self._run_dir.iterdir()
                if self._is_unneeded(path, runners.has_ended(tx, path.name))
            ]

    @staticmethod
    def _is_unneeded(path: Path, has_ended: bool | None) -> bool:
        if has_ended is None:
            return path.is_dir() and time.time() - path.stat().st_mtime > _UNKNOWN_FOR_S
        return has_ended
