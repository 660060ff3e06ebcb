# SPDX-License-Identifier: Apache-2.0
"""Account for an attempt whose fork server is dead: nobody will report how it ended.

Either its exit is on disk already; or its marker can be won, then it never started and never will; or it
started: then what is left of it is killed, and only when nothing is left is it LOST. A task cannot run on
without a parent, because nobody could ever tell success from failure.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from ai_flow.executor.attempt import AttemptFinished, Outcome
from ai_flow.executor.outcome import finished_attempt
from ai_flow.runtime import process_table
from ai_flow.runtime.attempt_files import AttemptFiles
from notification_service.reactor import Reactor

_FIRST_LOOK_S = 0.005
_LAST_LOOK_S = 0.25


class OrphanedAttempt:
    """One attempt without a parent; calls ``on_settled`` once, from the loop, with how it ended."""

    def __init__(
        self,
        reactor: Reactor,
        attempt_id: str,
        files: AttemptFiles,
        why: str,
        on_settled: Callable[[AttemptFinished], None],
    ) -> None:
        self._reactor = reactor
        self._attempt_id = attempt_id
        self._files = files
        self._why = why
        self._on_settled = on_settled
        self._look_s = _FIRST_LOOK_S
        self._killed: set[int] = set()
        self._marker: Mapping[str, Any] = {}

    def settle(self) -> None:
        """Find out what became of the attempt, and end what is left of it."""
        try:
            never_started = self._files.revoke()
        except OSError:
            # A full disk: whether it will start cannot be settled before there is room.
            self._reactor.call_later(_LAST_LOOK_S, self.settle)
            return
        if never_started:
            never = self._lost(f"it never started: {self._why}", never_started=True)
            self._reactor.call_soon_threadsafe(lambda: self._on_settled(never))
            return
        self._marker = self._files.read_marker() or {}
        self._reactor.call_soon_threadsafe(self._kill_until_gone)

    def _kill_until_gone(self) -> None:
        left = process_table.members_of(
            self._attempt_id, self._marker.get("pid", 0), self._marker.get("created", 0)
        )
        if not left:
            self._on_settled(self._result())
            return
        self._killed.update(process.pid for process in left)
        process_table.signal_processes(left, signal.SIGKILL)
        self._reactor.call_later(self._look_s, self._kill_until_gone)
        self._look_s = min(2 * self._look_s, _LAST_LOOK_S)

    def _result(self) -> AttemptFinished:
        for pid in {*self._killed, self._marker.get("pid", 0)} - {0}:
            _reap(pid)
        exit_record = self._files.read_exit()
        if exit_record is not None:
            return finished_attempt(exit_record, self._files.read_outcome())
        rest = "what was left of it was killed" if self._killed else "nothing of it is left"
        return self._lost(f"nobody saw how it ended: {self._why}; {rest}")

    def _lost(self, reason: str, *, never_started: bool = False) -> AttemptFinished:
        return AttemptFinished(
            attempt_id=self._attempt_id,
            outcome=Outcome.LOST,
            reason=reason,
            started_at_ms=self._marker.get("started_at_ms"),
            finished_at_ms=time.time_ns() // 1_000_000,
            never_started=never_started,
        )


def _reap(pid: int) -> None:
    """Collect an orphan that came to us as the init of a container; nothing happens when it is not ours."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
