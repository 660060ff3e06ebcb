# SPDX-License-Identifier: Apache-2.0
"""What running attempts use now: memory and processor time of all their processes.

Sampled every two seconds and only while somebody runs; what an attempt used in all is in its exit record,
which costs nothing. A sample looks at the attempt's own processes only, never at all of the machine.
Imported, like psutil, when the first sample is due.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from notification_service.reactor import Reactor

SAMPLE_EVERY_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptUsage:
    """What an attempt used when it was last looked at."""

    rss_bytes: int
    cpu_s: float
    processes: int


class UsageSampler:
    """Look at the processes of running attempts now and then."""

    def __init__(self, reactor: Reactor, running: Callable[[], Iterable[tuple[str, int]]]) -> None:
        self._reactor = reactor
        self._running = running
        self._usage: dict[str, AttemptUsage] = {}
        self._planned = False

    def wake(self) -> None:
        """Sample from now on, until nothing runs."""
        if not self._planned:
            self._planned = True
            self._reactor.call_later(SAMPLE_EVERY_S, self._sample)

    def latest(self, attempt_id: str) -> AttemptUsage | None:
        """Return the latest sample, None before the first."""
        return self._usage.get(attempt_id)

    def _sample(self) -> None:
        self._planned = False
        self._usage = {
            attempt_id: usage for attempt_id, pid in self._running() if (usage := _usage_of(pid)) is not None
        }
        if any(True for _ in self._running()):
            self.wake()


def _usage_of(pid: int) -> AttemptUsage | None:
    import psutil

    rss_bytes, cpu_s, processes = 0, 0.0, 0
    for member in _tree(pid):
        try:
            process = psutil.Process(member)
            with process.oneshot():
                rss_bytes += process.memory_info().rss
                times = process.cpu_times()
        except psutil.Error:
            continue
        cpu_s += times.user + times.system
        processes += 1
    return (
        AttemptUsage(rss_bytes=rss_bytes, cpu_s=round(cpu_s, 2), processes=processes) if processes else None
    )


def _tree(pid: int) -> list[int]:
    """Return the pid and those of its descendants."""
    found = [pid]
    for member in found:
        found += _children(member)
    return found


def _children(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    children: list[int] = []
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                children += map(int, file.read().split())
        except OSError:
            continue
    return children
