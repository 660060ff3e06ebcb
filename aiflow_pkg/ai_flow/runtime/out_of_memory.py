# SPDX-License-Identifier: Apache-2.0
"""Find out whether a SIGKILL came from the kernel, for lack of memory.

The kernel leaves no word with the dead process, only counters: of our cgroup (then it was one of ours)
and of the whole machine (then it may have been). They are read when an attempt starts and when it was
killed; the files stay open, so a reading costs microseconds.
"""

from __future__ import annotations

import os
import re

#: The cgroup's own counter rose; or only that of the machine, which any process of it may have moved.
CERTAIN, LIKELY = "certain", "likely"
_OOM_KILL = re.compile(rb"(?:^|\n)oom_kill (\d+)")


class OutOfMemory:
    """The kernel's counters of processes killed for lack of memory."""

    def __init__(self) -> None:
        self._cgroup = _open(_cgroup_file())
        self._machine = _open("/proc/vmstat")

    def counters(self) -> tuple[int, int]:
        """Return how many were killed so far, in our cgroup and on the machine."""
        return _read(self._cgroup), _read(self._machine)

    def close(self) -> None:
        """Close the files of the counters."""
        for file in (self._cgroup, self._machine):
            if file is not None:
                os.close(file)

    def verdict(self, before: tuple[int, int]) -> str | None:
        """Return how sure it is that memory was the reason, since ``before``; None when it was not."""
        now = self.counters()
        if now[0] > before[0]:
            return CERTAIN
        return LIKELY if now[1] > before[1] else None


def _cgroup_file() -> str | None:
    """Return the file with our cgroup's counter, of cgroup version 2 or 1."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return None
    for _, controllers, path in lines:
        if "memory" in controllers.split(","):
            return f"/sys/fs/cgroup/memory{path.rstrip('/')}/memory.oom_control"
    for _, controllers, path in lines:
        if controllers == "":
            return f"/sys/fs/cgroup{path.rstrip('/')}/memory.events"
    return None


def _open(path: str | None) -> int | None:
    if path is None:
        return None
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None


def _read(file: int | None) -> int:
    if file is None:
        return 0
    try:
        found = _OOM_KILL.search(os.pread(file, 1 << 16, 0))
    except OSError:
        return 0
    return int(found.group(1)) if found else 0
