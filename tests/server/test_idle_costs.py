# SPDX-License-Identifier: Apache-2.0
"""A run that has nothing to do costs next to nothing, in time as the kernel counts it and in memory."""

from __future__ import annotations

import time

import psutil
import pytest

from tests.examples.program import HomeOfTest
from tests.server.runs import rss_mb, wait_for, write

pytestmark = pytest.mark.slow

_SLEEPS = """
    with Workflow(name="w") as workflow:
        BashOperator(name="sleeper", bash_command="echo here; sleep 300")
"""
_LOOK_S = 5.0
#: One per cent of a core, doubled: others use the machine, and a cold cache costs time as well.
_LIMIT = 0.02


def test_an_idle_run_costs_next_to_nothing(home: HomeOfTest) -> None:
    with home.running(write(home, _SLEEPS)) as run:
        home.wait_for_log("w", "sleeper", "here")
        family = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
        _settle(family)
        before_s, began = _cpu_s(family), time.monotonic()
        wait_for(lambda: time.monotonic() - began >= _LOOK_S)
        used_s, took_s = _cpu_s(family) - before_s, time.monotonic() - began
        memory_mb = rss_mb(run.pid)
        run.interrupt()
        assert run.finish().exit_code == 130

    assert used_s / took_s < _LIMIT, f"{used_s:.3f} s in {took_s:.1f} s"
    assert memory_mb < 80


def _settle(family: list[psutil.Process]) -> None:
    """Wait until what belongs to the start is done: a second in which nearly nothing was used."""

    def is_quiet() -> bool:
        before_s, began = _cpu_s(family), time.monotonic()
        wait_for(lambda: time.monotonic() - began >= 0.5)
        return _cpu_s(family) - before_s <= 0.02

    wait_for(is_quiet)


def _cpu_s(family: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in family)
