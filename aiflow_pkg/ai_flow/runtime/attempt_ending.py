# SPDX-License-Identifier: Apache-2.0
"""Bring one attempt to its end: ask, wait, terminate, wait, kill; and clear away what a finished task left.

*Asking* is SIGTERM to the leader alone, so that ``operator.stop`` can take a savepoint while the programs
that the operator started still live; a bash attempt has nobody to ask, there the whole group is told.
After the grace everything that belongs to the attempt gets SIGTERM, and then SIGKILL again and again
until it is gone. The leader is not reaped before its parent tells us, so its pid cannot mean anybody
else; all others are named by pid and create time.

Runs in the loop of the attempt's parent. ``on_gone`` is called once, when the leader was reaped and
nobody is left.
"""

from __future__ import annotations

import os
import signal
import time

from ai_flow.runtime import process_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from notification_service.reactor import Reactor, Timer

#: Between SIGTERM to everything and SIGKILL: time for a clean end, not for work.
TERMINATE_S = 1.0
#: Killed processes are gone within milliseconds, unless they wait for a disk.
_FIRST_LOOK_S = 0.005
_LAST_LOOK_S = 0.25


class AttemptEnding:
    """The end of one attempt, whether it came by itself or is wanted."""

    def __init__(
        self,
        reactor: Reactor,
        attempt_id: str,
        pid: int,
        *,
        asks_group: bool,
        on_gone: Callable[[], None],
        on_leftovers: Callable[[list[process_table.Process]], None],
    ) -> None:
        self._reactor = reactor
        self._attempt_id = attempt_id
        self._pid = pid
        self._asks_group = asks_group
        self._on_gone = on_gone
        self._on_leftovers = on_leftovers
        process = process_table.read_process(pid)
        self._created = process.created if process is not None else 0
        self._leader_reaped = False
        self._asked = False
        self._killing = False
        self._gone = False
        self._is_unsure = False
        self._ends_s: float | None = None
        self._timer: Timer | None = None
        self._look_s = _FIRST_LOOK_S

    def ask(self, grace_s: float) -> None:
        """Ask the attempt to stop and end it after the grace; asking again can only end it sooner."""
        if self._gone or self._killing:
            return
        ends_s = time.monotonic() + grace_s
        if self._ends_s is not None and ends_s >= self._ends_s:
            return
        self._ends_s = ends_s
        if not self._asked and not self._leader_reaped:
            self._asked = True
            _send(self._pid, signal.SIGTERM, to_group=self._asks_group)
        self._again_in(grace_s, self._terminate)

    def kill(self) -> None:
        """End the attempt at once."""
        if self._gone or self._killing:
            return
        self._killing = True
        self._look_s = _FIRST_LOOK_S
        self._kill_until_gone()

    def leader_reaped(self, *, nobody_left: bool) -> None:
        """Take note that the leader is gone; ``nobody_left`` when its parent knows that it was alone."""
        self._leader_reaped = True
        if nobody_left:
            self._finish()
        elif not self._end_leftovers():
            # A process that forked and ended while all were listed can hide its child once: look again.
            self._is_unsure = True
            self._again_in(_FIRST_LOOK_S, self._make_sure)

    def look(self) -> None:
        """Look again, because some child of ours ended."""
        if self._leader_reaped and not self._gone and not self._is_unsure and not self._members():
            self._finish()

    def _make_sure(self) -> None:
        self._is_unsure = False
        if not self._end_leftovers():
            self._finish()

    def _end_leftovers(self) -> bool:
        """End what a finished task left; tell whether it left anything."""
        left = self._members()
        if left and not self._killing:
            self._on_leftovers(left)
            self._terminate()
        return bool(left)

    def _terminate(self) -> None:
        self._ends_s = time.monotonic()
        process_table.signal_processes(self._members(), signal.SIGTERM)
        self._again_in(TERMINATE_S, self.kill)

    def _kill_until_gone(self) -> None:
        members = self._members()
        if not self._leader_reaped:
            _send(self._pid, signal.SIGKILL, to_group=True)
        elif not members:
            self._finish()
            return
        process_table.signal_processes(members, signal.SIGKILL)
        self._again_in(self._look_s, self._kill_until_gone)
        self._look_s = min(2 * self._look_s, _LAST_LOOK_S)

    def _members(self) -> list[process_table.Process]:
        return process_table.members_of(self._attempt_id, self._pid, self._created)

    def _again_in(self, delay_s: float, step: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._reactor.call_later(delay_s, step)

    def _finish(self) -> None:
        if self._gone:
            return
        self._gone = True
        if self._timer is not None:
            self._timer.cancel()
        self._on_gone()


def _send(pid: int, number: int, *, to_group: bool) -> None:
    """Signal a child of ours that is not reaped yet, or its group."""
    try:
        if to_group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        # It has not become a group leader yet.
        if to_group:
            _send(pid, number, to_group=False)
    except PermissionError:
        pass
