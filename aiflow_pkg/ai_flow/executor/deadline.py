# SPDX-License-Identifier: Apache-2.0
"""A due time that is set and cleared thousands of times a second without filling the loop with timers.

A cancelled timer of the Reactor stays in its heap until it would have been due. A ``Deadline`` keeps at
most one timer there and looks, when it fires, whether the due time has moved on in the meantime.
"""

from __future__ import annotations

from collections.abc import Callable

from notification_service.clock import Clock
from notification_service.reactor import Reactor, Timer


class Deadline:
    """Call ``on_due`` once the time that was last ``set`` has passed, unless it was cleared."""

    def __init__(self, reactor: Reactor, clock: Clock, on_due: Callable[[], None]) -> None:
        self._reactor = reactor
        self._clock = clock
        self._on_due = on_due
        self._due_s: float | None = None
        self._timer: Timer | None = None
        self._timer_due_s = 0.0

    def set(self, delay_s: float) -> None:
        """Become due ``delay_s`` from now, whatever was set before."""
        now_s = self._clock.monotonic_s()
        self._due_s = now_s + delay_s
        if self._timer is None or self._timer_due_s > self._due_s:
            self._drop_timer()
            self._arm(now_s)

    def clear(self) -> None:
        """Never become due, until set again."""
        self._due_s = None

    def close(self) -> None:
        """Clear, and give the timer up as well."""
        self.clear()
        self._drop_timer()

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, now_s: float) -> None:
        assert self._due_s is not None
        self._timer_due_s = self._due_s
        self._timer = self._reactor.call_later(self._due_s - now_s, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._due_s is None:
            return
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s:
            self._arm(now_s)
            return
        self._due_s = None
        self._on_due()
