# SPDX-License-Identifier: Apache-2.0
"""The leak check of the suite sees what it is there for, and lets go what ends by itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import psutil
import pytest

from tests.leaks import (
    TAG_VARIABLE,
    Leaks,
    Snapshot,
    end_processes,
    leaks_since,
    take_snapshot,
    wait_for_no_leaks,
)

_LEAVE_A_DAEMON = """
import os, signal
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.pause()
    os._exit(0)
os.wait()
"""


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    # Puts back the tag of the check that watches this very test.
    monkeypatch.setenv(TAG_VARIABLE, os.environ[TAG_VARIABLE])
    return take_snapshot()


def test_nothing_left_is_no_leak(before: Snapshot) -> None:
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)

    assert not leaks_since(before)


def test_open_socket_is_named(before: Snapshot) -> None:
    with socket.socket() as left_open:
        leaks = leaks_since(before)

        number = left_open.fileno()

    (line,) = leaks.describe()
    assert line.startswith(f"file descriptor {number}: socket:")


def test_running_child_is_named_and_ended(before: Snapshot) -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        leaks = leaks_since(before)
        assert list(leaks.describe()) == [f"process {child.pid}: sleep 60"]

        end_processes(leaks)
    finally:
        child.kill()
        child.wait()

    assert not psutil.pid_exists(child.pid)


def test_child_that_nobody_waited_for_is_a_leak(before: Snapshot) -> None:
    pid = os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", ""], os.environ)
    try:
        leaks = wait_for_no_leaks(before, 0.2)
        assert [process.pid for process in leaks.processes] == [pid]
    finally:
        os.waitpid(pid, 0)


def test_daemon_that_left_its_parent_is_found(before: Snapshot) -> None:
    subprocess.run([sys.executable, "-S", "-c", _LEAVE_A_DAEMON], check=True)

    leaks = wait_for_no_leaks(before, 0.2)
    end_processes(leaks)

    assert len(leaks.processes) == 1
    assert not wait_for_no_leaks(before, 2)


def test_thread_gets_a_moment_to_end(before: Snapshot) -> None:
    told = threading.Event()
    thread = threading.Thread(target=told.wait, name="waiter")
    thread.start()
    assert list(leaks_since(before).describe()) == ["thread 'waiter'"]

    threading.Timer(0.05, told.set).start()

    assert wait_for_no_leaks(before, 10) == Leaks(processes=(), threads=(), descriptors=())
