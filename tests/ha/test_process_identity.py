# SPDX-License-Identifier: Apache-2.0
"""Who a process is: a recycled pid, another boot and a zombie are somebody else."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ai_flow_ha.process_identity import ProcessIdentity, boot_clock_ms, boot_id, creation_time, own_identity
from tests.support import wait_until


def _child() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)


def _identity(pid: int) -> ProcessIdentity:
    created = creation_time(pid)
    assert created is not None
    return ProcessIdentity(boot_id(), pid, created)


def test_this_process_is_alive() -> None:
    assert own_identity().is_alive()
    assert own_identity() == own_identity()
    assert own_identity().pid == os.getpid()


def test_a_process_that_ended_is_not_alive() -> None:
    child = _child()
    identity = _identity(child.pid)
    assert identity.is_alive()

    child.communicate(b"\n")

    assert not identity.is_alive()


def test_a_zombie_is_not_alive() -> None:
    child = _child()
    identity = _identity(child.pid)
    assert child.stdin is not None

    child.stdin.close()
    wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)

    assert not identity.is_alive()
    child.wait()


def test_the_same_pid_of_another_time_is_another_process() -> None:
    identity = own_identity()

    assert not replace(identity, created=identity.created - 1).is_alive()
    assert not replace(identity, created=identity.created + 1).is_alive()


def test_the_same_pid_of_another_boot_is_another_process() -> None:
    assert not replace(own_identity(), boot_id="another").is_alive()


def test_a_name_with_spaces_and_brackets_does_not_confuse(tmp_path: Path) -> None:
    strange = tmp_path / "a) R 1 (b"
    strange.symlink_to(sys.executable)
    with subprocess.Popen([strange, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        wait_until(lambda: b") R 1" in Path(f"/proc/{child.pid}/stat").read_bytes())
        found = creation_time(child.pid)
        child.communicate(b"\n")

    assert found is not None
    assert found >= own_identity().created


def test_no_process_has_no_time() -> None:
    assert creation_time(2**31 - 1) is None


def test_the_boot_clock_goes_on_and_is_not_the_wall_clock() -> None:
    first = boot_clock_ms()

    assert first <= boot_clock_ms()
    assert first / 1000 == pytest.approx(float(Path("/proc/uptime").read_text().split()[0]), abs=5)


def test_the_boot_id_is_one_and_not_empty() -> None:
    assert boot_id() == boot_id() != ""
