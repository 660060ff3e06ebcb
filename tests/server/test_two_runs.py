# SPDX-License-Identifier: Apache-2.0
"""Two runs on one home: one decides for both, and the other goes on when the decider is killed or stopped."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import apsw
import psutil
import pytest

from tests.examples.program import HomeOfTest, Running
from tests.server.runs import beside, impatient, lease_of, standing_of, store_of, wait_for, write
from tests.support import wait_until

pytestmark = pytest.mark.slow

#: Each task says who runs it; the first one waits for a file before it ends.
_TWO_STEPS = """
    def tell():
        print("python of", os.environ["WHO"])
    with Workflow(name="w") as workflow:
        a = BashOperator(name="a", bash_command='echo first of $WHO; until test -e $GO; do sleep 0.02; done')
        p = PythonOperator(name="p", python_callable=tell)
        b = BashOperator(name="b", bash_command="echo second of $WHO")
        b.start_after([a, p])
"""

_DEAF = """
    with Workflow(name="deaf") as workflow:
        first = BashOperator(name="first", bash_command="true")
        deaf = BashOperator(name="deaf", bash_command="trap '' TERM; echo here; while :; do sleep 0.05; done")
        deaf.start_after(first)
"""


def _go(home: HomeOfTest) -> None:
    Path(home.variables["GO"]).touch()


def _two(home: HomeOfTest) -> tuple[HomeOfTest, HomeOfTest]:
    one, two = (beside(home, name, WHO=name, GO=str(home.scratch / f"go-{name}")) for name in ("one", "two"))
    return one, two


def _wait_for_start(home: HomeOfTest, execution_id: int) -> None:
    path = home.log("w", "a", execution_id=execution_id)
    wait_for(lambda: path.exists() and "first of" in path.read_text())


def test_each_run_executes_its_own_tasks_in_its_own_environment(home: HomeOfTest) -> None:
    one, two = _two(home)
    file = write(home, _TWO_STEPS)

    with one.running(file) as first:
        _wait_for_start(home, 1)
        with two.running(file) as second:
            _wait_for_start(home, 2)
            with store_of(home) as store:
                assert lease_of(store).process.pid == first.pid
            _go(two)
            ended_second = second.finish()
            assert not first.has_ended
        _go(one)
        ended_first = first.finish()

    for finished, who in ((ended_first, "one"), (ended_second, "two")):
        assert finished.exit_code == 0, finished.text
        assert finished.log("a") == f"first of {who}\n"
        assert finished.log("p") == f"python of {who}\n"
        assert finished.log("b") == f"second of {who}\n"


def test_when_the_decider_ends_the_other_goes_on(home: HomeOfTest) -> None:
    one, two = _two(home)
    file = write(home, _TWO_STEPS)

    with one.running(file) as first:
        _wait_for_start(home, 1)
        with two.running(file) as second:
            _wait_for_start(home, 2)
            _go(one)
            assert first.finish().exit_code == 0
            _go(two)
            finished = second.finish()

    assert finished.exit_code == 0, finished.text
    with store_of(home) as store:
        assert lease_of(store).term == 2


def test_when_the_decider_is_killed_the_other_takes_over_at_once(home: HomeOfTest) -> None:
    one, two = _two(home)
    file = write(home, _TWO_STEPS)

    with one.running(file) as first:
        _wait_for_start(home, 1)
        with two.running(file) as second, store_of(home) as store:
            _wait_for_start(home, 2)
            os.kill(first.pid, signal.SIGKILL)
            # At once: long before the lease of ten seconds is over.
            wait_until(lambda: lease_of(store).process.pid == second.pid, timeout=5)
            wait_until(lambda: standing_of(store, 1).status.value == "FAILED", timeout=5)
            # What it left in the home goes as well.
            wait_until(lambda: len(list((home.root / "run").iterdir())) == 1, timeout=5)
            _go(two)
            finished = second.finish()
            dead = standing_of(store, 1)

    assert finished.exit_code == 0, finished.text
    assert finished.log("b") == "second of two\n"
    assert "owner gone" in (dead.reason or "")
    assert list((home.root / "run").iterdir()) == []


def test_a_dead_run_is_not_ended_before_its_tasks_are_gone(home: HomeOfTest) -> None:
    one, two = _two(home)
    deaf, file = write(home, _DEAF, "deaf.py"), write(home, _TWO_STEPS)

    with one.running(deaf, "--stop-grace", "2") as first:
        home.wait_for_log("deaf", "deaf", "here")
        with two.running(file) as second, store_of(home) as store:
            _wait_for_start(home, 2)
            os.kill(first.pid, signal.SIGKILL)
            wait_until(lambda: lease_of(store).process.pid == second.pid, timeout=5)
            # Its guard has asked the task to stop, and it does not listen.
            assert standing_of(store, 1).status.value == "RUNNING"
            assert _processes_of(home, 1)
            wait_until(lambda: standing_of(store, 1).status.value == "FAILED", timeout=15)
            assert not _processes_of(home, 1)
            _go(two)
            assert second.finish().exit_code == 0


def test_tasks_without_supervisor_and_without_parent_are_ended(home: HomeOfTest) -> None:
    one, two = _two(home)
    deaf, file = write(home, _DEAF, "deaf.py"), write(home, _TWO_STEPS)

    with one.running(deaf) as first:
        home.wait_for_log("deaf", "deaf", "here")
        with two.running(file) as second, store_of(home) as store:
            _wait_for_start(home, 2)
            guards = [child for child in psutil.Process(first.pid).children() if child.is_running()]
            os.kill(first.pid, signal.SIGSTOP)
            for process in (*guards, psutil.Process(first.pid)):
                process.kill()
            wait_until(lambda: standing_of(store, 1).status.value == "FAILED", timeout=15)
            assert not _processes_of(home, 1)
            _go(two)
            assert second.finish().exit_code == 0


def test_a_stopped_decider_is_replaced_and_follows_when_it_wakes_up(home: HomeOfTest) -> None:
    one, two = _two(impatient(home, lease_s=1.0))
    file = write(home, _TWO_STEPS)

    with one.running(file) as first:
        _wait_for_start(home, 1)
        with two.running(file) as second, store_of(home) as store:
            _wait_for_start(home, 2)
            _stop_between_commits(home, first)
            wait_until(lambda: lease_of(store).process.pid == second.pid, timeout=10)
            # A task of the stopped run ends: nobody hears of it yet.
            _go(one)
            os.kill(first.pid, signal.SIGCONT)
            ended_first = first.finish()
            assert lease_of(store).process.pid == second.pid
            assert lease_of(store).term == 2
            _go(two)
            ended_second = second.finish()

    for finished, who in ((ended_first, "one"), (ended_second, "two")):
        assert finished.exit_code == 0, finished.text
        assert finished.log("b") == f"second of {who}\n"
        assert finished.rounds == {"a": 1, "p": 1, "b": 1}


def _stop_between_commits(home: HomeOfTest, run: Running) -> None:
    """Stop the process of a run, but not while it holds the write lock: then nobody else could write."""
    status = Path(f"/proc/{run.pid}/status")
    database = apsw.Connection(str(home.root / "aiflow.db"))
    try:
        while True:
            os.kill(run.pid, signal.SIGSTOP)
            wait_until(lambda: "State:\tT" in status.read_text(), timeout=5)
            try:
                database.execute("BEGIN IMMEDIATE; ROLLBACK")
                return
            except apsw.BusyError:
                os.kill(run.pid, signal.SIGCONT)
    finally:
        database.close()


def _processes_of(home: HomeOfTest, execution_id: int) -> list[int]:
    """Return the processes that carry the execution in their environment."""
    wanted = {
        f"AIFLOW_WORKFLOW_EXECUTION_ID={execution_id}".encode(),
        b"AIFLOW_HOME=" + os.fsencode(home.root),
    }
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted <= set(path.read_bytes().split(b"\0")):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
