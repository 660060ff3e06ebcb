# SPDX-License-Identifier: Apache-2.0
"""Who a process is, so that a recycled pid is never taken for it.

A process is named by the boot of its machine, its pid and the time it was created. Two processes with the
same three are the same process; a pid alone says nothing.
"""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

#: Creation times come from clock ticks of 10 ms; two readings of one process may differ by rounding.
_SAME_MOMENT_S = 0.05


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process of this or an earlier boot; ``created`` in seconds since boot (elsewhere since the epoch)."""

    boot_id: str
    pid: int
    created: float

    def is_alive(self) -> bool:
        """Tell whether this very process exists now; a zombie does not count."""
        if self.boot_id != boot_id():
            return False
        created = creation_time(self.pid)
        return created is not None and abs(created - self.created) < _SAME_MOMENT_S


def own_identity() -> ProcessIdentity:
    """Return the identity of the calling process."""
    created = creation_time(os.getpid())
    return ProcessIdentity(boot_id(), os.getpid(), created if created is not None else 0.0)


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Return an id that changes with every boot of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        import psutil

        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{uuid.getnode()}-{psutil.boot_time():.0f}"))


def boot_clock_ms() -> int:
    """Return milliseconds since boot, counting the time that the machine slept."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return int(time.clock_gettime(clock) * 1000)


def creation_time(pid: int) -> float | None:
    """Return when the process was created, in seconds since boot; None when there is no such live process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _creation_time_by_psutil(pid)
    # Field 3 is the state, field 22 the start time in clock ticks since boot (proc(5)).
    return None if fields[0] in (b"Z", b"X") else int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _creation_time_by_psutil(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None
