# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the guard, of a fork server, of the supervisor: each attempt is accounted for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ai_flow.executor.attempt import Outcome
from ai_flow.executor.run_directory import RunDirectory
from ai_flow.runtime import process_table
from ai_flow.runtime.attempt_files import AttemptFiles, attempts_in
from tests.executor.executor_support import STORE, Site, is_gone, kill, open_site
from tests.support import wait_until

CHECKOUT = Path(__file__).parents[2]

_FLOW = """\
import time
from ai_flow.model.workflow import Workflow
from ai_flow.operators.python import PythonOperator

def wait():
    print("up")
    time.sleep(300)

with Workflow(name="w") as workflow:
    PythonOperator("wait", wait)
    PythonOperator("quick", print, op_args=["done"])
"""


@pytest.mark.parametrize("is_spawned", [False, True])
def test_attempts_of_a_killed_guard_are_ended_and_lost(site: Site, is_spawned: bool) -> None:
    if is_spawned:
        # The first task of an execution is forked, because it copies the snapshot; further ones are spawned.
        site.finish(site.bash("true", number=2))
    spec = site.bash("trap '' TERM; (setsid sleep 300 & echo pid $!); echo up; sleep 300; sleep 300")
    pid = site.launch(spec, until="up")

    kill(site.guard().pid)
    report = site.report_of(spec)

    assert (report.outcome, report.never_started) == (Outcome.LOST, False)
    assert report.reason == (
        "nobody saw how it ended: the guard process that ran it was killed by signal 9; "
        "what was left of it was killed"
    )
    assert is_gone(pid)
    assert all(is_gone(child) for child in site.pids_in(spec))


def test_attempt_that_a_killed_guard_did_not_get_to_has_never_started(site: Site) -> None:
    site.finish(site.bash("true"))
    spec = site.bash("echo started", number=2)
    guard = site.guard()
    os.kill(guard.pid, 19)
    site.executor.launch(spec)
    kill(guard.pid)

    report = site.report_of(spec)

    assert (report.outcome, report.never_started) == (Outcome.LOST, True)
    assert site.log(spec) == ""
    site.executor.acknowledge(spec.attempt_id)
    assert not site.executor._directory.files(spec.attempt_id).create_marker({})


def test_stopped_attempt_of_a_killed_guard_is_stopped(site: Site) -> None:
    spec = site.bash("trap '' TERM; echo up; while :; do sleep 0.01; done", stop_grace_s=60)
    site.launch(spec, until="up")
    site.executor.stop(spec.attempt_id)

    kill(site.guard().pid)

    assert site.report_of(spec).outcome is Outcome.STOPPED


def test_guard_is_replaced(site: Site) -> None:
    site.finish(site.bash("true"))
    killed = site.guard().pid
    kill(killed)
    site.until(lambda: site.executor._servers._guard is None)

    assert site.finish(site.bash("true", number=2)).outcome is Outcome.SUCCESS
    assert site.guard().pid != killed


def test_attempts_of_a_killed_fork_server_are_ended_and_the_server_replaced(site: Site) -> None:
    site.write_workflow(_FLOW)
    spec = site.python("wait")
    pid = site.launch(spec, until="up")

    kill(site.fork_server().pid)
    report = site.report_of(spec)

    assert report.outcome is Outcome.LOST
    assert is_gone(pid)
    assert site.finish(site.python("quick")).outcome is Outcome.SUCCESS


def test_server_that_dies_while_it_imports_is_not_tried_again(site: Site) -> None:
    site.write_workflow(_FLOW)
    spec = site.python("quick", snapshot="another")
    site.executor.prepare("another", site.bundle, "wf/wf.py", ["import_that_exits"])
    server = site.executor._servers.of_snapshot("another")
    assert server is not None
    site.executor.launch(spec)
    kill(server.pid)

    assert site.report_of(spec).outcome is Outcome.SUCCESS
    assert site.executor._servers.why_unforkable("another") is not None


@pytest.fixture(autouse=True)
def _reap_orphans() -> Iterator[None]:
    """Collect what came to this process because its parent was killed: here the executor is its own init."""
    yield
    wait_until(_no_children, timeout=5.0)


def _no_children() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] < 0
    except ChildProcessError:
        return True


@dataclass
class Supervisor:
    """A supervisor in another process."""

    process: subprocess.Popen[str]
    attempts: list[str]
    root: Path

    def kill(self) -> None:
        """Kill it; its children are left to whoever is their parent then."""
        self.process.kill()
        self.process.wait()


@contextmanager
def supervisor(root: Path, *commands: str, lives_on: bool) -> Iterator[Supervisor]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.executor.supervisor_process", str(root), str(int(lives_on)), *commands],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        attempts: list[str] = []
        for line in process.stdout:
            if line == "started\n":
                break
            attempts.append(line.split()[1])
        yield Supervisor(process, attempts, root)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # pyright: ignore[reportOptionalMemberAccess]


def log_of(root: Path, number: int) -> str:
    path = root / "home" / "logs" / "w" / "7" / "t" / f"{number}.log"
    return path.read_text() if path.exists() else ""


def pids_of(root: Path, number: int) -> list[int]:
    return [int(line.split()[1]) for line in log_of(root, number).splitlines() if line.startswith("pid ")]


def guard_pid(root: Path) -> int:
    """Return the pid of the process that listens in the run directory."""
    found = [
        process.pid
        for process in process_table._all_processes().values()
        if f'"run_dir": "{root}/home/run/r/{STORE}"'.encode() in _command_line(process.pid)
    ]
    assert len(found) == 1
    return found[0]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_tasks_end_with_a_supervisor_that_vanishes(tmp_path: Path) -> None:
    command = "(setsid sleep 300 & echo pid $!); echo pid $$; trap '' TERM; sleep 300; sleep 300"
    with supervisor(tmp_path, command, lives_on=False) as running:
        wait_until(lambda: len(pids_of(tmp_path, 1)) == 2)
        pids = pids_of(tmp_path, 1)
        guard = guard_pid(tmp_path)

        running.kill()

        wait_until(lambda: all(is_gone(pid) for pid in [*pids, guard]))
    with open_site_again(tmp_path) as site:
        adoption = site.executor.adopt()
        assert [report.outcome for report in adoption.finished] == [Outcome.LOST]
        assert adoption.finished[0].reason == "the process that supervised it was gone, so it was ended"


@contextmanager
def open_site_again(root: Path, **options: object) -> Iterator[Site]:
    with open_site(root) as site:
        site.start(**options)
        yield site


def test_tasks_of_a_server_outlive_it_and_are_adopted(tmp_path: Path) -> None:
    commands = ("echo pid $$; while [ ! -e go ]; do sleep 0.01; done; exit 4", "exit 3")
    with supervisor(tmp_path, *commands, lives_on=True) as running:
        pid = wait_until(lambda: pids_of(tmp_path, 1))[0]
        files = AttemptFiles(f"{tmp_path}/home/run/r/{STORE}/attempts", running.attempts[1])
        wait_until(files.read_exit)
        running.kill()

    with open_site_again(tmp_path, lives_on=True) as site:
        adoption = site.executor.adopt()

        assert adoption.running == (running.attempts[0],)
        assert [report.reason for report in adoption.finished] == ["exit code 3"]
        assert site.executor.running() == [running.attempts[0]]
        assert site.tokens[running.attempts[0]]
        assert not is_gone(pid)
        assert site.until(lambda: site.executor.pid_of(running.attempts[0])) == pid

        (site.home.working_dir / "w" / "7" / "wf" / "go").touch()
        site.until(lambda: site.reports)
        assert (site.reports[0].attempt_id, site.reports[0].reason) == (running.attempts[0], "exit code 4")
        for attempt_id in running.attempts:
            site.executor.acknowledge(attempt_id)
        assert attempts_in(str(site.attempt_files)) == []


def test_adopted_task_can_be_stopped_and_the_adopted_guard_used(tmp_path: Path) -> None:
    with supervisor(tmp_path, "echo pid $$; sleep 300", lives_on=True) as running:
        pid = wait_until(lambda: pids_of(tmp_path, 1))[0]
        guard = guard_pid(tmp_path)
        running.kill()

    with open_site_again(tmp_path, lives_on=True) as site:
        site.executor.adopt()
        site.executor.stop(running.attempts[0])
        site.until(lambda: site.reports)

        assert site.reports[0].outcome is Outcome.STOPPED
        assert is_gone(pid)
        assert site.guard().pid == guard
        assert site.finish(site.bash("true", number=2)).outcome is Outcome.SUCCESS


def test_task_whose_supervisor_and_guard_are_both_killed_is_ended_and_lost(tmp_path: Path) -> None:
    with supervisor(tmp_path, "echo pid $$; sleep 300", lives_on=True) as running:
        pid = wait_until(lambda: pids_of(tmp_path, 1))[0]
        guard = guard_pid(tmp_path)
        running.kill()
        kill(guard)
        wait_until(lambda: is_gone(guard))
    assert not is_gone(pid)

    with open_site_again(tmp_path, lives_on=True) as site:
        assert site.executor.adopt().running == (running.attempts[0],)
        site.until(lambda: site.reports)

        assert site.reports[0].outcome is Outcome.LOST
        assert is_gone(pid)


def test_servers_without_anything_to_do_end_with_their_supervisor(tmp_path: Path) -> None:
    with supervisor(tmp_path, "echo pid $$", lives_on=True) as running:
        wait_until(lambda: pids_of(tmp_path, 1))
        guard = guard_pid(tmp_path)
        sockets = RunDirectory(tmp_path / "home" / "run" / "r", STORE)
        assert sockets.servers()
        running.kill()

        wait_until(lambda: is_gone(guard))
        assert sockets.servers() == []


def test_claimed_attempt_without_a_trace_never_starts(site: Site) -> None:
    spec = site.bash("echo started")

    adoption = site.executor.adopt([spec.attempt_id])

    assert [(report.attempt_id, report.outcome, report.never_started) for report in adoption.finished] == [
        (spec.attempt_id, Outcome.LOST, True)
    ]
    site.executor.acknowledge(spec.attempt_id)
    assert site.finish(spec).superseded
    assert site.log(spec) == ""


def test_attempt_of_an_earlier_boot_is_lost(site: Site) -> None:
    spec = site.bash("true")
    marker = {
        "pid": os.getpid(),
        "created": 1,
        "boot_id": "of yesterday",
        "kind": "bash",
        "token": "",
        "server": "x",
    }
    files = site.executor._directory.files(spec.attempt_id)
    files.create_marker(marker)

    adoption = site.executor.adopt([spec.attempt_id])

    assert [(report.outcome, report.reason) for report in adoption.finished] == [
        (Outcome.LOST, "the machine was restarted while it ran")
    ]


@pytest.mark.parametrize("damage", [b"", b"12 00000000\n{}", b"nonsense"])
def test_damaged_exit_file_is_no_outcome(site: Site, damage: bytes) -> None:
    spec = site.bash("true")
    files = site.executor._directory.files(spec.attempt_id)
    files.create_marker(
        {
            "pid": 0,
            "created": 0,
            "boot_id": process_table.boot_id(),
            "kind": "bash",
            "token": "",
            "server": "x",
        }
    )
    (site.attempt_files / f"{spec.attempt_id}.exit").write_bytes(damage)

    assert site.executor.adopt().running == (spec.attempt_id,)
    site.until(lambda: site.reports)

    assert site.reports[0].outcome is Outcome.LOST


def test_attempts_of_another_store_are_reported_and_left_alone(tmp_path: Path) -> None:
    with supervisor(tmp_path, "echo pid $$; sleep 300", "exit 3", lives_on=True) as running:
        pid = wait_until(lambda: pids_of(tmp_path, 1))[0]
        files = AttemptFiles(f"{tmp_path}/home/run/r/{STORE}/attempts", running.attempts[1])
        wait_until(files.read_exit)
        running.kill()

    with open_site_again(tmp_path, store_id="store-2") as site:
        adoption = site.executor.adopt()

        assert (adoption.running, adoption.finished) == ((), ())
        assert [(found.store_id, found.attempts, found.running) for found in adoption.foreign] == [
            (STORE, 2, 1)
        ]
        assert not is_gone(pid)
        site.finish(site.bash("true", number=3))
        assert not is_gone(pid)

    with open_site_again(tmp_path, lives_on=True) as site:
        site.executor.adopt()
