# SPDX-License-Identifier: Apache-2.0
"""What a test has left behind: processes, threads and open file descriptors.

A ``Snapshot`` is taken before a test; ``leaks_since`` compares it with the state afterwards. A process
counts as ours when it is a child of this one, or descends from one by its environment, which carries a
tag: so a daemon that left its parent is found too. Ending takes a moment, so the caller asks until a
short time is over (``wait_for_no_leaks``), and only then the names of what is left are an error.

Daemon threads are let go: they end with the process, and what they hold open is seen as a descriptor.
"""

from __future__ import annotations

import gc
import itertools
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

#: Every process started during a test inherits this variable, with a value of that test's own.
TAG_VARIABLE = "LEAK_CHECK_TAG"

#: How long processes, threads and descriptors may take to go away after a test.
GRACE_S = 2.0

#: Descriptors that libraries open once and keep.
KEPT_FILES = ("/dev/random", "/dev/urandom", "/usr/share/zoneinfo/")

#: Helpers that ``multiprocessing`` starts once and keeps.
KEPT_PROCESSES = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")

_FILE_DESCRIPTORS = Path("/proc/self/fd")
_tag_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was there before a test."""

    tag: str
    processes: frozenset[int]
    threads: frozenset[threading.Thread]
    descriptors: frozenset[tuple[int, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """What is there after a test and was not before."""

    processes: tuple[psutil.Process, ...]
    threads: tuple[threading.Thread, ...]
    descriptors: tuple[tuple[int, str], ...]

    def __bool__(self) -> bool:
        return bool(self.processes or self.threads or self.descriptors)

    def describe(self) -> Iterator[str]:
        """Yield a line for everything that is left, with what is needed to recognise it."""
        for process in self.processes:
            yield f"process {process.pid}: {_command_of(process)}"
        for thread in self.threads:
            yield f"thread {thread.name!r}"
        for number, target in self.descriptors:
            yield f"file descriptor {number}: {target}"


def take_snapshot() -> Snapshot:
    """Note what is there, and tag the environment for the processes to come."""
    tag = f"{os.getpid()}.{next(_tag_numbers)}"
    os.environ[TAG_VARIABLE] = tag
    return Snapshot(
        tag=tag,
        processes=frozenset(psutil.pids()),
        threads=frozenset(threading.enumerate()),
        descriptors=frozenset(_open_descriptors()),
    )


def wait_for_no_leaks(before: Snapshot, grace_s: float) -> Leaks:
    """Return no leaks as soon as that is so, else what is still there after ``grace_s``."""
    deadline = time.monotonic() + grace_s
    pause, pause_s = threading.Event(), 0.001
    while (leaks := leaks_since(before)) and time.monotonic() < deadline:
        # A socket or a file in a reference cycle is closed by the collector, at a time of its choosing.
        gc.collect()
        pause.wait(pause_s)
        pause_s = min(2 * pause_s, 0.05)
    return leaks


def leaks_since(before: Snapshot) -> Leaks:
    """Return what is there now and was not at ``before``."""
    return Leaks(
        processes=tuple(_our_new_processes(before)),
        threads=tuple(t for t in threading.enumerate() if t not in before.threads and not t.daemon),
        descriptors=tuple(sorted(set(_open_descriptors()) - before.descriptors)),
    )


def end_processes(leaks: Leaks) -> None:
    """Kill the processes that are left, so that they do not disturb the tests to come."""
    for process in leaks.processes:
        try:
            process.kill()
            if process.ppid() == os.getpid():
                process.wait(timeout=1)
        except psutil.Error:
            continue


def _our_new_processes(before: Snapshot) -> Iterator[psutil.Process]:
    ours = {os.getpid()}
    # Only processes that were not there before are looked at: reading every environment would cost
    # milliseconds per test. Parents mostly have the lower numbers, so one ordered pass is enough.
    for pid in sorted(set(psutil.pids()) - before.processes):
        try:
            process = psutil.Process(pid)
            if process.ppid() in ours or _tag_of(process) == before.tag:
                ours.add(pid)
                if not _may_stay(process):
                    yield process
        except psutil.NoSuchProcess:
            continue


def _may_stay(process: psutil.Process) -> bool:
    # The dead child of another process is for that one to reap: in a container, init may never do it.
    if process.status() == psutil.STATUS_ZOMBIE and process.ppid() != os.getpid():
        return True
    return any(kept in _command_of(process) for kept in KEPT_PROCESSES)


def _tag_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(TAG_VARIABLE)
    except (psutil.Error, OSError):
        return None


def _command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or f"{process.name()} ({process.status()})"
    except psutil.Error:
        return "gone"


def _open_descriptors() -> Iterator[tuple[int, str]]:
    if not _FILE_DESCRIPTORS.is_dir():
        return
    for name in os.listdir(_FILE_DESCRIPTORS):
        try:
            target = os.readlink(_FILE_DESCRIPTORS / name)
        except OSError:
            continue  # the descriptor of this very listing
        if not target.startswith(KEPT_FILES):
            yield int(name), target
