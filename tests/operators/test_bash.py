# SPDX-License-Identifier: Apache-2.0
"""``BashOperator``, driven by hand and as the base of a user's class."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psutil
import pytest

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.model.context import Context
from ai_flow.model.errors import InvalidOptionError
from ai_flow.operators.bash import BashOperator
from tests.support import wait_until


def test_a_command_that_exits_with_zero_succeeds_and_its_output_is_untouched(
    context: Context, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    task = BashOperator("task", r"printf 'out \xff\n'; echo err >&2")

    task.start(context)
    task.await_termination(context)

    captured = capfdbinary.readouterr()
    assert captured.out == b"out \xff\n"
    assert captured.err == b"err\n"


def test_a_command_that_exits_with_another_code_fails(context: Context) -> None:
    task = BashOperator("task", "exit 3")
    task.start(context)

    with pytest.raises(AIFlowException) as raised:
        task.await_termination(context)

    assert str(raised.value).startswith("Bash command failed. The command returned a non-zero exit code.")
    assert "exit code 3" in str(raised.value)


def test_a_command_killed_by_a_signal_fails_with_its_name(context: Context) -> None:
    task = BashOperator("task", "kill -9 $$")
    task.start(context)

    with pytest.raises(AIFlowException, match=r"killed by signal 9 \(SIGKILL\)"):
        task.await_termination(context)


def test_relative_paths_are_below_the_current_directory(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    task = BashOperator("task", "echo content > out.txt; cat out.txt > copy.txt")

    task.start(context)
    task.await_termination(context)

    assert (tmp_path / "copy.txt").read_text() == "content\n"


def test_env_reaches_the_command(context: Context, tmp_path: Path) -> None:
    task = BashOperator("task", f'echo "$STAGE" > {tmp_path}/stage', env={"STAGE": "a test"})

    task.start(context)
    task.await_termination(context)

    assert (tmp_path / "stage").read_text() == "a test\n"


def test_waiting_has_a_limit_after_which_the_command_still_runs(context: Context) -> None:
    task = BashOperator("task", "sleep 60")
    task.start(context)

    with pytest.raises(subprocess.TimeoutExpired):
        task.await_termination(context, timeout=0)

    task.stop(context)
    with pytest.raises(AIFlowException, match="SIGTERM"):
        task.await_termination(context)


def test_stopping_ends_what_the_command_started_too(context: Context, tmp_path: Path) -> None:
    task = BashOperator("task", f"sleep 60 & echo $! > {tmp_path}/pid; wait")
    task.start(context)
    background = int(wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))

    task.stop(context)

    wait_until(lambda: not _runs(background))


def test_stopping_before_the_start_or_after_the_end_does_nothing(context: Context) -> None:
    task = BashOperator("task", "true")

    task.stop(context)
    task.start(context)
    task.await_termination(context)
    task.stop(context)


def test_waiting_before_the_start_is_a_clear_error(context: Context) -> None:
    with pytest.raises(AIFlowException, match="Task 'task' has not been started"):
        BashOperator("task", "true").await_termination(context)


def test_a_subclass_can_add_to_start(context: Context, tmp_path: Path) -> None:
    class Prepared(BashOperator):
        def start(self, context: Context) -> None:
            (tmp_path / "input").write_text("ready\n")
            super().start(context)

    task = Prepared(name="task", bash_command=f"cp {tmp_path}/input {tmp_path}/output")
    task.start(context)
    task.await_termination(context)

    assert (tmp_path / "output").read_text() == "ready\n"


@pytest.mark.parametrize("command", [None, 5, ["echo", "hi"], "echo \0"])
def test_a_command_that_is_no_text_is_refused(command: object) -> None:
    with pytest.raises(InvalidOptionError, match="bash_command must be a text"):
        BashOperator("task", command)  # type: ignore[arg-type]


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
