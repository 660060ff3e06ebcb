# SPDX-License-Identifier: Apache-2.0
"""The pool of condition hosts: hangs, crashes, limits and leftovers, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.executor.condition_support import (
    PREAMBLE_LINES,
    SDK_ROOTS,
    Rig,
    Snapshot,
    alive,
    event,
)
from tests.support import wait_until

pytestmark = pytest.mark.slow

#: A condition that does what the event's value says, and writes its process id down.
SCRIPTED = """
import signal, subprocess, threading
class Scripted(Condition):
    def is_met(self, event, context):
        action, _, argument = event.value.partition(" ")
        if argument:
            with open(argument, "a") as file:
                print(os.getpid(), file=file, flush=True)
        if action == "hang":
            while True:
                time.sleep(60)
        if action == "stubborn":
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
                signal.signal(number, signal.SIG_IGN)
            child = subprocess.Popen(["sleep", "600"])
            with open(argument, "a") as file:
                print(child.pid, file=file, flush=True)
            while True:
                pass
        if action == "exit":
            os._exit(3)
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if action == "leave":
            if os.fork() == 0:
                time.sleep(600)
            os._exit(4)
        if action == "wait":
            while not os.path.exists(argument + ".go"):
                time.sleep(0.01)
        return action != "no"
w = rule(Scripted(["go"]))
"""

RigMaker = Callable[..., Rig]


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[RigMaker]:
    made: list[Rig] = []

    def make(**options: Any) -> Rig:
        made.append(Rig(tmp_path, **options))
        return made[-1]

    yield make
    for hosts in made:
        hosts.close()


def pids_in(path: Path) -> list[int]:
    """Return the process ids that conditions have written down completely."""
    return (
        [int(line) for line in path.read_text().splitlines(True) if line.endswith("\n")]
        if path.exists()
        else []
    )


def do(action: str) -> dict[str, Any]:
    return {"event": event(value=action)}


def test_hanging_condition_is_ended_and_costs_nobody_else(make_rig: RigMaker, tmp_path: Path) -> None:
    hosts = make_rig(time_limit_s=0.6)
    snapshot = hosts.snapshot(SCRIPTED)
    assert hosts.verdict(snapshot, **do("yes")).met
    began_s = time.monotonic()

    hung = hosts.ask(snapshot, **do(f"stubborn {tmp_path / 'pids'}"))
    other = hosts.verdict(snapshot, **do("yes"))
    other_took_s = time.monotonic() - began_s
    hosts.run_until(lambda: bool(hung))
    hung_took_s = time.monotonic() - began_s

    assert other.met
    assert other_took_s < 0.6 <= hung_took_s < 2.0
    assert hung[0].error == "the condition took longer than 0.6 s"
    hosts.run_until(lambda: not any(alive(pid) for pid in pids_in(tmp_path / "pids")))
    assert len(pids_in(tmp_path / "pids")) == 2
    assert hosts.counting.started == 2


def test_limit_of_a_request_beats_the_limit_of_the_pool(make_rig: RigMaker) -> None:
    hosts = make_rig()
    snapshot = hosts.snapshot(SCRIPTED)

    error = hosts.error(snapshot, time_limit_s=0.2, **do("hang"))

    assert error == "the condition took longer than 0.2 s"


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ("exit", "the condition's process exited (exit code 3)"),
        ("kill", "the condition's process was killed by signal 9 (SIGKILL)"),
        ("leave", "the condition's process exited (exit code 4)"),
    ],
)
def test_dead_host_fails_its_request_only(make_rig: RigMaker, action: str, error: str) -> None:
    hosts = make_rig(hosts_per_snapshot=1)
    snapshot = hosts.snapshot(SCRIPTED)

    dying = hosts.ask(snapshot, **do(action))
    queued = hosts.ask(snapshot, **do("yes"))
    hosts.run_until(lambda: bool(dying and queued))

    assert dying[0].error == error
    assert queued[0].met
    assert hosts.counting.started == 2


def test_host_that_closes_its_channel_is_killed(make_rig: RigMaker, tmp_path: Path) -> None:
    hosts = make_rig(python=python_that_runs(tmp_path, 'eval "exec $4>&-"\nexec sleep 600'))
    snapshot = hosts.snapshot(SCRIPTED)

    assert hosts.error(snapshot) == "the process loading the workflow file closed its channel"
    hosts.run_until(lambda: hosts.pool.hosts(snapshot.key) == 0)


def test_file_that_cannot_be_loaded_answers_every_request_with_its_error(make_rig: RigMaker) -> None:
    hosts = make_rig(reload_after_s=0.5)
    snapshot = hosts.snapshot("import no_such_module")

    verdicts = [hosts.ask(snapshot) for _ in range(5)]
    hosts.run_until(lambda: all(verdicts))
    errors = {one[0].error for one in verdicts} | {hosts.error(snapshot) for _ in range(5)}

    line = PREAMBLE_LINES + 1
    assert errors == {f"ModuleNotFoundError: No module named 'no_such_module' (flow.py:{line}, in <module>)"}
    assert hosts.counting.started == 1


def test_file_that_failed_to_load_is_tried_again_after_a_while(make_rig: RigMaker) -> None:
    hosts = make_rig(reload_after_s=0.3)
    snapshot = hosts.snapshot(
        f"if not os.path.exists({str(hosts.directory / 'ready')!r}):\n    raise OSError('not there')\n"
        + SCRIPTED
    )
    assert hosts.error(snapshot, **do("yes")).startswith("OSError: not there")

    (hosts.directory / "ready").touch()
    hosts.run_until(lambda: hosts.verdict(snapshot, **do("yes")).met)

    assert hosts.counting.started == 2


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("x = 1\ny = = 2\n", f"SyntaxError: invalid syntax (flow.py:{PREAMBLE_LINES + 2}: y = = 2)"),
        ("os._exit(3)", "the process loading the workflow file exited (exit code 3)"),
        ("sys.exit('no')", f"SystemExit: no (flow.py:{PREAMBLE_LINES + 1}, in <module>)"),
        ("time.sleep(600)", "loading the workflow file took longer than 1 s"),
    ],
    ids=["syntax", "exit", "sys.exit", "hang"],
)
def test_load_that_fails_says_how(make_rig: RigMaker, source: str, error: str) -> None:
    hosts = make_rig(load_limit_s=1.0)
    snapshot = hosts.snapshot(source)

    assert hosts.error(snapshot) == error
    assert hosts.error(snapshot) == error
    hosts.run_until(lambda: hosts.pool.hosts(snapshot.key) == 0)
    assert hosts.counting.started == 1


def test_python_that_does_not_exist_is_named(make_rig: RigMaker) -> None:
    hosts = make_rig(python="/no/such/python")
    snapshot = hosts.snapshot(SCRIPTED)

    error = hosts.error(snapshot)

    assert error.startswith("the process for conditions could not be started: [Errno 2]")
    assert "/no/such/python" in error
    assert hosts.error(snapshot) == error


def test_another_host_starts_only_when_a_request_has_to_wait(make_rig: RigMaker) -> None:
    hosts = make_rig(grow_after_s=5.0)
    snapshot = hosts.snapshot(SCRIPTED)

    verdicts = [hosts.ask(snapshot, **do("yes")) for _ in range(40)]
    hosts.run_until(lambda: all(verdicts))

    assert hosts.counting.started == 1


def test_busy_hosts_are_joined_by_others_up_to_the_limit_and_the_rest_waits_in_order(
    make_rig: RigMaker, tmp_path: Path
) -> None:
    hosts = make_rig(hosts_per_snapshot=3, time_limit_s=15.0)
    snapshot = hosts.snapshot(SCRIPTED)
    pids = tmp_path / "pids"
    order: list[str] = []

    def noting(name: str) -> Callable[[object], None]:
        return lambda _verdict: order.append(name)

    for name in ("1", "2", "3"):
        hosts.pool.evaluate(hosts.request(snapshot, key=name, **do(f"wait {pids}")), noting(name))
    for name in ("a", "b", "c", "d"):
        hosts.pool.evaluate(hosts.request(snapshot, key=name, **do("yes")), noting(name))
    hosts.run_until(lambda: len(pids_in(pids)) == 3)
    for _ in range(5):
        hosts.reactor.run_once(0.02)
    assert order == []
    assert hosts.pool.hosts(snapshot.key) == 3

    os.kill(pids_in(pids)[0], signal.SIGKILL)
    hosts.run_until(lambda: len(order) == 5)
    assert [name for name in order if name.isalpha()] == ["a", "b", "c", "d"]
    Path(f"{pids}.go").touch()
    hosts.run_until(lambda: len(order) == 7)
    assert hosts.counting.started == 4


def test_time_limit_counts_from_when_the_evaluation_begins(make_rig: RigMaker, tmp_path: Path) -> None:
    hosts = make_rig(hosts_per_snapshot=1, time_limit_s=0.5)
    snapshot = hosts.snapshot(SCRIPTED)

    hung = [hosts.ask(snapshot, **do("hang")) for _ in range(2)]
    late = hosts.ask(snapshot, **do("yes"))
    hosts.run_until(lambda: bool(late))

    assert [one[0].error for one in hung] == ["the condition took longer than 0.5 s"] * 2
    assert late[0].met


def test_answer_that_came_in_time_counts_although_the_loop_was_held_up(make_rig: RigMaker) -> None:
    hosts = make_rig(time_limit_s=0.3)
    snapshot = hosts.snapshot(SCRIPTED)
    assert hosts.verdict(snapshot, **do("yes")).met
    verdicts = hosts.ask(snapshot, **do("yes"))

    wait_until(hosts.has_something_to_read)
    hosts.clock.ahead_s += 0.5
    hosts.run_until(lambda: bool(verdicts))

    assert verdicts[0].met


def test_idle_hosts_end_and_leave_nothing(make_rig: RigMaker, tmp_path: Path) -> None:
    hosts = make_rig(idle_limit_s=0.3)
    snapshot = hosts.snapshot(SCRIPTED)
    assert hosts.verdict(snapshot, **do(f"yes {tmp_path / 'pids'}")).met

    hosts.run_until(lambda: hosts.pool.hosts(snapshot.key) == 0)
    hosts.run_until(lambda: not list((hosts.runner_dir / "conditions").iterdir()))

    assert not alive(pids_in(tmp_path / "pids")[0])
    assert hosts.reactor._wait_s(None) is None  # pyright: ignore[reportPrivateUsage]
    assert hosts.verdict(snapshot, **do("yes")).met


def test_too_many_hosts_in_all_end_the_one_that_was_idle_longest(make_rig: RigMaker) -> None:
    hosts = make_rig(hosts_in_all=2)
    snapshots = [hosts.snapshot(SCRIPTED) for _ in range(3)]

    for snapshot in snapshots:
        assert hosts.verdict(snapshot, **do("yes")).met

    hosts.run_until(lambda: [hosts.pool.hosts(one.key) for one in snapshots] == [0, 1, 1])


def test_cancelled_requests_are_never_answered(make_rig: RigMaker, tmp_path: Path) -> None:
    hosts = make_rig(hosts_per_snapshot=1)
    snapshot = hosts.snapshot(SCRIPTED)
    pids = tmp_path / "pids"
    under_way = hosts.ask(snapshot, key="under way", **do(f"wait {pids}"))
    queued = hosts.ask(snapshot, key="queued", **do("yes"))
    hosts.run_until(lambda: bool(pids_in(pids)))

    for key in ("under way", "queued", "unknown"):
        hosts.pool.cancel(key)
    Path(f"{pids}.go").touch()
    again = hosts.ask(snapshot, key="queued", **do("no"))
    hosts.run_until(lambda: bool(again))

    assert (under_way, queued) == ([], [])
    assert not again[0].met
    assert hosts.counting.started == 1


def test_key_in_use_is_refused(make_rig: RigMaker) -> None:
    hosts = make_rig()
    snapshot = hosts.snapshot(SCRIPTED)
    hosts.ask(snapshot, key="k", **do("yes"))

    with pytest.raises(ValueError, match="'k'"):
        hosts.ask(snapshot, key="k", **do("yes"))


def test_evaluate_never_calls_back_before_it_returns(make_rig: RigMaker) -> None:
    hosts = make_rig(python="/no/such/python")
    snapshot = hosts.snapshot(SCRIPTED)
    hosts.error(snapshot)

    verdicts = hosts.ask(snapshot)

    assert verdicts == []
    hosts.run_until(lambda: bool(verdicts))


def test_callback_may_ask_again_and_close(make_rig: RigMaker) -> None:
    hosts = make_rig()
    snapshot = hosts.snapshot(SCRIPTED)
    seen: list[bool] = []

    def ask_again(verdict: Any) -> None:
        seen.append(verdict.met)
        if len(seen) < 3:
            hosts.pool.evaluate(hosts.request(snapshot, **do("yes")), ask_again)
        else:
            hosts.pool.close()

    hosts.pool.evaluate(hosts.request(snapshot, **do("yes")), ask_again)
    hosts.run_until(lambda: len(seen) == 3)

    assert seen == [True, True, True]


def test_close_kills_what_is_under_way(make_rig: RigMaker, tmp_path: Path) -> None:
    hosts = make_rig()
    snapshot = hosts.snapshot(SCRIPTED)
    verdicts = hosts.ask(snapshot, **do(f"stubborn {tmp_path / 'pids'}"))
    hosts.run_until(lambda: len(pids_in(tmp_path / "pids")) == 2)

    hosts.close()

    # The host is reaped; its child is killed with it, but is not ours to wait for.
    assert not alive(pids_in(tmp_path / "pids")[0])
    wait_until(lambda: not alive(pids_in(tmp_path / "pids")[1]))
    assert verdicts == []


#: A program that forks hosts from itself, without a fresh interpreter, as a fork server does.
_FORKING = """
import json, os, signal, socket, sys
sys.path[:0] = {paths!r}
from ai_flow.runtime import condition_host
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGALRM, signal.SIGTERM))
signal.signal(signal.SIGTERM, lambda *_: None)
boot, fd = json.loads(sys.argv[3]), int(sys.argv[4])
if (pid := os.fork()) == 0:
    condition_host.main(socket.socket(fileno=fd), boot["config"])
os.close(fd)
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def python_that_runs(directory: Path, line: str) -> str:
    """Return an executable that runs ``line`` with the arguments that a Python would get."""
    path = directory / "python"
    path.write_text(f"#!/bin/bash\n{line}\n")
    path.chmod(0o755)
    return str(path)


def test_host_may_be_forked_from_a_running_python(make_rig: RigMaker, tmp_path: Path) -> None:
    program = tmp_path / "forking.py"
    program.write_text(_FORKING.format(paths=SDK_ROOTS))
    hosts = make_rig(python=python_that_runs(tmp_path, f'exec {sys.executable} {program} "$@"'))
    snapshot = hosts.snapshot("""
        import signal
        class Forked(Condition):
            def is_met(self, event, context):
                print("evaluated")
                if event.value:
                    os._exit(int(event.value))
                assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
                assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
                return os.getsid(0) == os.getpid()
        w = rule(Forked(["go"]))
    """)

    verdict = hosts.verdict(snapshot)

    assert (verdict.error, verdict.met) == (None, True)
    assert hosts.error(snapshot, event=event(value="5")) == "the condition's process exited (exit code 5)"
    assert hosts.log(snapshot) == "evaluated\nevaluated\n"


def test_python_without_any_package_can_evaluate(make_rig: RigMaker, tmp_path: Path) -> None:
    # Without ``site`` there are no installed packages.
    hosts = make_rig(python=python_that_runs(tmp_path, f'exec {sys.executable} -S -E "$@"'))
    snapshot = hosts.snapshot("""
        class Total:
            value = 5
        class Sums(Condition):
            def is_met(self, event, context):
                state = context.get_state(ValueStateDescriptor(name="total"))
                was = state.value()
                state.update(Total())
                return was is not None and was.value == 5
        w = rule(Sums(["go"]))
    """)

    first = hosts.verdict(snapshot)
    second = hosts.verdict(snapshot, states=first.states)

    assert (first.error, first.met) == (None, False)
    assert (second.error, second.met) == (None, True)


_SUPERVISOR = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from tests.executor.condition_support import Rig, Snapshot, event
hosts = Rig(Path(sys.argv[1]))
snapshot = Snapshot("digest", Path(sys.argv[2]), "flow/flow.py")
hosts.ask(snapshot, event=event(value=sys.argv[3]))
hosts.run_until(lambda: False, timeout_s=60)
"""


@pytest.mark.parametrize("action", ["hang", "wait"])
def test_host_ends_when_its_supervisor_is_killed(make_rig: RigMaker, tmp_path: Path, action: str) -> None:
    snapshot: Snapshot = make_rig().snapshot(SCRIPTED)
    pids = tmp_path / "pids"
    paths = [*SDK_ROOTS, str(Path(__file__).parents[2])]
    supervisor = subprocess.Popen(
        [
            *(sys.executable, "-c", _SUPERVISOR.format(paths=paths)),
            *(str(tmp_path / "other"), str(snapshot.bundle_dir), f"{action} {pids}"),
        ]
    )
    wait_until(lambda: bool(pids_in(pids)), 20.0)

    supervisor.kill()
    supervisor.wait()

    wait_until(lambda: not alive(pids_in(pids)[0]), 20.0)
