# SPDX-License-Identifier: Apache-2.0
"""Signals stop a run: its tasks may end in order, nothing is left alive, the exit code tells the signal.

That nothing is left alive is checked after every test of the suite (``tests/leaks.py``).
"""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.cli.program import Ended, Program, ended

pytestmark = pytest.mark.slow

_SAVES = """
import time
from ai_flow.model.operator import AIFlowOperator
class Stream(AIFlowOperator):
    def start(self, context):
        print("streaming", flush=True)
    def await_termination(self, context, timeout=None):
        while True:
            time.sleep(0.05)
    def stop(self, context):
        print("savepoint taken", flush=True)
with Workflow(name="w") as workflow:
    Stream("stream")
"""

_DEAF = """
with Workflow(name="w") as workflow:
    BashOperator(
        name="deaf", bash_command="trap '' TERM INT HUP; echo streaming; while true; do sleep 0.05; done"
    )
"""


def _signalled(program: Program, body: str, number: signal.Signals, *arguments: str) -> Ended:
    with program.start("run", program.write(body), *arguments) as process:
        first = _read_until(process, b"streaming")
        process.send_signal(number)
        result = ended(process)
    return Ended(code=result.code, stdout=first + result.stdout, stderr=result.stderr)


def _read_until(process: subprocess.Popen[bytes], text: bytes) -> str:
    assert process.stdout is not None
    seen = b""
    # Past the buffer of the pipe: what is read too far would be missing afterwards.
    while text not in seen:
        byte = os.read(process.stdout.fileno(), 1)
        assert byte, seen
        seen += byte
    return seen.decode()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_the_tasks_in_order(program: Program, number: signal.Signals, code: int) -> None:
    result = _signalled(program, _SAVES, number)

    assert result.code == code
    assert result.stderr == ""
    assert f"stopping: interrupted by {number.name}" in result.stdout
    assert "stream | savepoint taken" in result.lines
    assert any(line.startswith("stream was stopped") for line in result.lines)
    assert any(line.startswith("w #1 STOPPED in ") for line in result.lines)


def test_a_task_that_does_not_listen_is_killed_after_the_grace(program: Program) -> None:
    result = _signalled(program, _DEAF, signal.SIGINT, "--stop-grace", "0.2")

    assert result.code == 130
    assert any(line.startswith("w #1 STOPPED in ") for line in result.lines)


def test_a_second_signal_ends_everything_at_once(program: Program) -> None:
    with program.start("run", program.write(_DEAF), "--stop-grace", "600") as process:
        _read_until(process, b"streaming")
        process.send_signal(signal.SIGINT)
        _read_until(process, b"is being stopped")
        process.send_signal(signal.SIGINT)
        result = ended(process, timeout=20)

    assert result.code == 130


def test_the_document_names_the_signal(program: Program) -> None:
    with program.start("run", program.write(_SAVES), "-o", "json") as process:
        assert process.stderr is not None
        assert any(b"streaming" in line for line in iter(process.stderr.readline, b""))
        process.send_signal(signal.SIGTERM)
        result = ended(process)

    assert result.code == result.document["exit_code"] == 143
    assert result.document["signal"] == "SIGTERM"


def test_a_signal_while_the_file_is_loaded_ends_the_run(program: Program) -> None:
    file = program.write("import sys, time\nprint('loading', file=open('mark', 'w'))\ntime.sleep(60)\n")
    mark = program.directory / "mark"
    file.write_text(file.read_text().replace("'mark'", repr(str(mark))))
    from tests.support import wait_until

    with program.start("run", file) as process:
        wait_until(mark.exists, timeout=30)
        process.send_signal(signal.SIGINT)
        result = ended(process, timeout=30)

    assert result.code == 130
