# SPDX-License-Identifier: Apache-2.0
"""What tests of all parts share: waiting for facts, and a clock that only moves when told to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(fact: Callable[[], T], timeout: float = 10.0, message: str = "") -> T:
    """Call ``fact`` until it is true and return what it returned; fail after ``timeout`` seconds."""
    ends = time.monotonic() + timeout
    pause = 0.0005
    while True:
        found = fact()
        if found:
            return found
        if time.monotonic() > ends:
            raise AssertionError(message or f"still not true after {timeout} s: {fact}")
        time.sleep(pause)
        pause = min(2 * pause, 0.02)


class ManualClock:
    """A clock for tests; ``advance`` moves both of its times."""

    def __init__(self, now_ms: int = 1_700_000_000_000, monotonic_s: float = 1000.0) -> None:
        self._now_ms = now_ms
        self._monotonic_s = monotonic_s

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_ms += round(seconds * 1000)
        self._monotonic_s += seconds

    def set_back(self, seconds: float) -> None:
        """Set the wall clock back, as a person or NTP may do; monotonic time goes on."""
        self._now_ms -= round(seconds * 1000)
