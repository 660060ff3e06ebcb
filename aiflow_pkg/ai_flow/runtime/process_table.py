# SPDX-License-Identifier: Apache-2.0
"""Which processes belong to an attempt, and signals that cannot hit a stranger.

A pid alone names nobody for long, so a process here is its pid and its create time (in clock ticks since
boot, as the kernel counts). An attempt's processes are its group and session, those that carry its id in
the environment they were started with, and the descendants of all these. Every signal goes through a
pidfd opened before the create time is compared: a pid that was used again in between gets nothing.

Where there is no ``/proc`` (macOS) only the process group of an attempt is known.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HAS_PROC = sys.platform == "linux"
ATTEMPT_VARIABLE = "AIFLOW_ATTEMPT_ID"
_ATTEMPT_IN_ENVIRONMENT = re.compile(rb"(?:^|\0)AIFLOW_ATTEMPT_ID=([0-9a-f]{32})(?:\0|$)")

Process = namedtuple("Process", ["pid", "name", "state", "parent", "group", "session", "created"])


def boot_id() -> str:
    """Return a text that differs after every start of the machine."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def read_process(pid: int) -> Process | None:
    """Return the process with this pid, None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            head, _, tail = file.read().rpartition(b")")
    except (FileNotFoundError, ProcessLookupError):
        return None if HAS_PROC else _probe(pid)
    fields = tail.split()
    name = head.partition(b"(")[2].decode(errors="replace")
    return Process(
        pid, name, fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19])
    )


def is_running(pid: int, created: int) -> bool:
    """Tell whether exactly this process still runs; a zombie does not."""
    process = read_process(pid)
    return process is not None and process.created == created and not is_zombie(process)


def is_zombie(process: Process) -> bool:
    """Tell whether the process has ended and only waits to be reaped."""
    return process.state in ("Z", "X")


def members_of(attempt_id: str, leader: int, created: int) -> list[Process]:
    """Return all running processes of an attempt, whoever their parent is by now; ``leader`` 0 is unknown."""
    table = _all_processes()
    holder = table.get(leader)
    # While a group has members the kernel gives its number to no new process: a stranger there means
    # that it is empty.
    own_group = leader > 0 and (holder is None or holder.created == created)
    chosen = {
        process.pid
        for process in table.values()
        if (own_group and leader in (process.group, process.session))
        or (process.created >= created and attempt_of(process.pid) == attempt_id)
    }
    _add_relatives(chosen, table)
    chosen.discard(os.getpid())
    return [table[pid] for pid in sorted(chosen) if not is_zombie(table[pid])]


def running_attempts() -> set[str]:
    """Return the ids of all attempts that some process shows in its environment."""
    found = {attempt_of(process.pid) for process in _all_processes().values() if not is_zombie(process)}
    return {attempt_id for attempt_id in found if attempt_id is not None}


def attempt_of(pid: int) -> str | None:
    """Return the attempt id in the environment that the process was started with."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            found = _ATTEMPT_IN_ENVIRONMENT.search(file.read(1 << 20))
    except OSError:
        return None
    return found.group(1).decode() if found else None


def children_of_this_process() -> list[int] | None:
    """Return the pids of our children, None where the kernel does not say."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb", buffering=0) as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return None


def group_is_empty(group: int) -> bool:
    """Tell whether no process, dead or alive, is in the group."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def signal_processes(processes: Iterable[Process], number: int) -> None:
    """Send a signal to each process that is still the one it was."""
    for process in processes:
        signal_process(process.pid, process.created, number)


def signal_process(pid: int, created: int, number: int) -> None:
    """Send a signal to exactly this process; nothing happens when it is gone."""
    try:
        if not hasattr(signal, "pidfd_send_signal"):
            if is_running(pid, created):
                os.kill(pid, number)
            return
        handle = os.pidfd_open(pid)
        try:
            if is_running(pid, created):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
    except (ProcessLookupError, PermissionError):
        pass


class AttemptMark:
    """Where the environment of this process shows an attempt id to others, so that a fork can put in its own.

    ``/proc/<pid>/environ`` shows what the process was started with; a fork inherits that of its fork server
    and cannot change it through ``os.environ``. So a fork server is started with a placeholder, and a fork
    overwrites it in memory: then daemons that it forks, without exec and in a session of their own, can
    still be found.
    """

    PLACEHOLDER = "0" * 32

    def __init__(self) -> None:
        self._address: int | None = None
        try:
            with open("/proc/self/environ", "rb", buffering=0) as file:
                found = _ATTEMPT_IN_ENVIRONMENT.search(file.read(1 << 20))
            with open("/proc/self/stat", "rb", buffering=0) as file:
                start = int(file.read().rpartition(b")")[2].split()[47])
        except (OSError, IndexError, ValueError):
            return
        if found is not None and start:
            self._address = start + found.start(1)

    def write(self, attempt_id: str) -> None:
        """Show ``attempt_id`` from now on; without effect where that cannot be done."""
        if self._address is None:
            return
        try:
            memory = os.open("/proc/self/mem", os.O_RDWR)
            try:
                os.pwrite(memory, attempt_id.encode(), self._address)
            finally:
                os.close(memory)
        except OSError:
            pass


def _all_processes() -> dict[int, Process]:
    if not HAS_PROC:
        return {}
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            process = read_process(int(name))
            if process is not None:
                table[process.pid] = process
    return table


def _add_relatives(chosen: set[int], table: Mapping[int, Process]) -> None:
    """Add descendants, and the sessions whose leader is among the chosen."""
    grown = True
    while grown:
        more = {
            process.pid
            for process in table.values()
            if process.parent in chosen or (process.session in chosen and process.session in table)
        } - chosen
        chosen |= more
        grown = bool(more)


def _probe(pid: int) -> Process | None:
    """Return what is known about a process without ``/proc``: that it exists."""
    try:
        os.kill(pid, 0)
        group, session = os.getpgid(pid), os.getsid(pid)
    except ProcessLookupError:
        return None
    except PermissionError:
        group = session = 0
    return Process(pid, "?", "?", 0, group, session, 0)
