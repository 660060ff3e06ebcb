# SPDX-License-Identifier: Apache-2.0
"""A single-threaded loop over file descriptors and timers.

The scheduler's process is one thread: it waits here for sockets of tasks, fork servers and condition
hosts, for timers, and for hints from other threads. One thread means that no state needs a lock, and that
everything that became ready in one turn can ride one database commit.

Promises: callbacks run on the thread that calls ``run_once``, one at a time; timers run in the order of
their due time; ``call_soon_threadsafe`` may be called from any thread and from a signal handler. Nothing here
catches what a callback raises: the owner of the loop decides what an error means.
"""

from __future__ import annotations

import collections
import heapq
import itertools
import os
import selectors
import time
from collections.abc import Callable
from typing import Protocol


class HasFileno(Protocol):
    """Anything a selector can wait for."""

    def fileno(self) -> int: ...


FileLike = int | HasFileno

READABLE = selectors.EVENT_READ
WRITABLE = selectors.EVENT_WRITE


class Timer:
    """A callback that is due at a time; ``cancel`` makes it never run."""

    __slots__ = ("callback", "due_s")

    def __init__(self, due_s: float, callback: Callable[[], None]) -> None:
        self.due_s = due_s
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Forget the callback; harmless when it already ran."""
        self.callback = None


class Reactor:
    """Wait for files and timers and call their callbacks."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._tie_break = itertools.count()
        # deque.append and popleft are atomic, so other threads and signal handlers need no lock.
        self._soon: collections.deque[Callable[[], None]] = collections.deque()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._selector.register(self._wake_reader, READABLE, self._drain_wake_pipe)

    def watch(self, file: FileLike, events: int, callback: Callable[[int], None]) -> None:
        """Call ``callback(events)`` whenever ``file`` is ready; a second call changes both."""
        if self.is_watching(file):
            self._selector.modify(file, events, callback)
        else:
            self._selector.register(file, events, callback)

    def unwatch(self, file: FileLike) -> None:
        """Stop watching ``file``; harmless when it is not watched. Call it before closing the file."""
        if self.is_watching(file):
            self._selector.unregister(file)

    def is_watching(self, file: FileLike) -> bool:
        """Tell whether ``file`` is watched."""
        try:
            self._selector.get_key(file)
        except (KeyError, ValueError):
            return False
        return True

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` once, ``delay_s`` seconds from now."""
        timer = Timer(self._monotonic_s() + max(0.0, delay_s), callback)
        heapq.heappush(self._timers, (timer.due_s, next(self._tie_break), timer))
        return timer

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` in the next turn; the one method for other threads and signal handlers."""
        self._soon.append(callback)
        try:
            os.write(self._wake_writer, b"\0")
        except BlockingIOError:
            pass  # the pipe is full of wake-ups already

    def run_once(self, max_wait_s: float | None = None) -> None:
        """Wait until something is ready, a timer is due or ``max_wait_s`` passed, and run what is ready."""
        for key, events in self._selector.select(self._wait_s(max_wait_s)):
            # An earlier callback of this turn may have stopped watching this file, or reused its number.
            if self._selector.get_map().get(key.fd) is key:
                key.data(events)
        for _ in range(len(self._soon)):
            self._soon.popleft()()
        self._run_due_timers()

    def close(self) -> None:
        """Release the loop's own files; watched files stay open."""
        self._selector.close()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _wait_s(self, max_wait_s: float | None) -> float | None:
        if self._soon:
            return 0.0
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return max_wait_s
        until_timer_s = max(0.0, self._timers[0][0] - self._monotonic_s())
        return until_timer_s if max_wait_s is None else min(until_timer_s, max_wait_s)

    def _run_due_timers(self) -> None:
        now_s = self._monotonic_s()
        while self._timers and self._timers[0][0] <= now_s:
            callback = heapq.heappop(self._timers)[2].callback
            if callback is not None:
                callback()

    def _drain_wake_pipe(self, _events: int) -> None:
        try:
            while len(os.read(self._wake_reader, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass
