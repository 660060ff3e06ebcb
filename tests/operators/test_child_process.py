# SPDX-License-Identifier: Apache-2.0
"""The child process that operators run: its output, its end, and ending it early."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.operators import child_process
from ai_flow.operators.child_process import ChildProcess
from tests.support import wait_until


def test_every_line_is_given_to_the_listener_however_it_is_encoded() -> None:
    lines: list[str] = []
    child = ChildProcess(["bash", "-c", r"printf 'one\ntw\xff\r\nlast'"], on_line=lines.append)

    assert child.wait_for_exit() == 0

    assert lines == ["one", "tw\ufffd", "last"]


def test_the_end_is_seen_although_a_background_process_keeps_the_output_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_process, "_OUTPUT_GRACE_S", 0.05)
    child = ChildProcess(
        ["bash", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; echo done"], on_line=lambda line: None
    )

    assert child.wait_for_exit(timeout_s=30) == 0

    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    child = ChildProcess(["bash", "-c", f"trap '' TERM; touch {tmp_path}/ready; while :; do sleep 60; done"])
    wait_until((tmp_path / "ready").exists)

    child.stop(grace_s=0.1)

    assert child.exit_code == -signal.SIGKILL
    assert child.describe_exit() == "killed by signal 9 (SIGKILL)"


def test_a_command_may_clean_up_within_the_grace(tmp_path: Path) -> None:
    script = (
        f"trap 'touch {tmp_path}/cleaned; exit 7' TERM; touch {tmp_path}/ready; while :; do sleep 0.01; done"
    )
    child = ChildProcess(["bash", "-c", script])
    wait_until((tmp_path / "ready").exists)

    child.stop(grace_s=30)

    assert child.exit_code == 7
    assert (tmp_path / "cleaned").exists()


def test_a_process_that_outlives_the_command_is_killed_too(tmp_path: Path) -> None:
    script = f"(trap '' TERM; echo $BASHPID > {tmp_path}/pid; while :; do sleep 0.05; done) & wait"
    child = ChildProcess(["bash", "-c", script])
    stubborn = int(wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))

    child.stop(grace_s=0.2)

    wait_until(lambda: not Path(f"/proc/{stubborn}").exists() or _is_zombie(stubborn))


def test_stop_works_in_a_signal_handler_that_interrupts_the_wait() -> None:
    child = ChildProcess(["sleep", "60"])
    stopped = threading.Event()

    def stop(number: int, frame: object) -> None:
        child.stop()
        stopped.set()

    def interrupt_the_wait() -> None:
        wait_until(lambda: child._waiting)
        os.kill(os.getpid(), signal.SIGUSR1)

    previous = signal.signal(signal.SIGUSR1, stop)
    sender = threading.Thread(target=interrupt_the_wait)
    try:
        sender.start()
        code = child.wait_for_exit(timeout_s=60)
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, previous)

    assert stopped.is_set()
    assert code == -signal.SIGTERM


def test_the_command_reads_nothing_from_our_input() -> None:
    lines: list[str] = []
    child = ChildProcess(["bash", "-c", "cat; echo end"], on_line=lines.append)

    assert child.wait_for_exit(timeout_s=60) == 0
    assert lines == ["end"]


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AIFlowException, match=f"Cannot start {tmp_path}/missing: No such file or directory"):
        ChildProcess([str(tmp_path / "missing")])


def test_an_exit_code_is_unknown_while_it_runs() -> None:
    child = ChildProcess(["sleep", "60"])

    assert child.exit_code is None
    assert child.describe_exit() == "still running"

    child.stop()


def _is_zombie(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
