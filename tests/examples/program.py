# SPDX-License-Identifier: Apache-2.0
"""The program as people use it: `aiflow run` in a process of its own, on a home of its own.

A ``HomeOfTest`` runs files to their end (``run``) or starts them for a test to interrupt (``running``), and
knows where logs and working directories lie. What a run says is read from its JSON document, and what tasks
did from what they left behind. Each run is the leader of a process group, as under a terminal, so that
``interrupt`` reaches everything that a Ctrl-C would.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = CHECKOUT / "examples"

#: How long a run may take when the test does not say.
LIMIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What is known of a run after its end."""

    exit_code: int
    #: What was printed for people.
    text: str
    document: dict[str, Any]

    @property
    def executions(self) -> dict[str, dict[str, Any]]:
        """The executions by the names of their workflows; the latest of each."""
        return {execution["workflow"]: execution for execution in self.document["executions"]}

    @property
    def execution(self) -> dict[str, Any]:
        """The only execution."""
        (execution,) = self.document["executions"]
        return execution

    @property
    def statuses(self) -> dict[str, str | None]:
        """The statuses of the tasks of the only execution, None where a task never started."""
        return {task["name"]: task["status"] for task in self.execution["tasks"]}

    @property
    def rounds(self) -> dict[str, int | None]:
        """How often each task of the only execution was started."""
        return {task["name"]: task["sequence_number"] for task in self.execution["tasks"]}

    def tries(self, task: str) -> list[dict[str, Any]]:
        """The tries of a task of the only execution."""
        return next(found["tries"] for found in self.execution["tasks"] if found["name"] == task)

    def log(self, task: str, number: int = -1) -> str:
        """What one try of a task wrote, by default the last one."""
        return Path(self.tries(task)[number]["log"]).read_text()


class Running:
    """A run that has not been waited for."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self._process = process
        self._output = output

    @property
    def pid(self) -> int:
        """The process of the program itself."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def wait_for(self, fact: Callable[[], object], limit_s: float = 30.0) -> None:
        """Wait until a fact holds while it runs; fail with what it printed when it does not."""
        wait_until(lambda: fact() or self.has_ended, limit_s, f"still running, but not so: {fact}")
        assert fact(), f"ended before its time:\n{self.text}"

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Send a signal to the process group: what Ctrl-C in a terminal does."""
        os.killpg(self._process.pid, number)

    def finish(self, limit_s: float = LIMIT_S) -> Finished:
        """Wait for the end."""
        try:
            exit_code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {limit_s} s:\n{self.text}") from None
        printed = self._output.with_suffix(".json").read_text()
        assert printed, f"exit code {exit_code} and no document:\n{self.text}"
        return Finished(exit_code=exit_code, text=self.text, document=json.loads(printed))

    @property
    def text(self) -> str:
        """What was printed for people so far."""
        return self._output.with_suffix(".txt").read_text()

    def end(self) -> None:
        """Kill it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@dataclass(slots=True, kw_only=True)
class HomeOfTest:
    """An empty directory for `$AIFLOW_HOME`, and the program run with it."""

    root: Path
    #: Where the output of runs goes, and where they run: anywhere but in the checkout.
    scratch: Path
    variables: dict[str, str] = field(default_factory=dict[str, str])
    #: The program, and what it is started through.
    command: tuple[str, ...] = (sys.executable, "-m", "ai_flow.cli.main")
    _runs: int = 0

    def run(self, file: Path, *options: str, limit_s: float = LIMIT_S) -> Finished:
        """Run the workflows of a file to their end."""
        with self.running(file, *options) as running:
            return running.finish(limit_s)

    @contextlib.contextmanager
    def running(self, file: Path, *options: str) -> Iterator[Running]:
        """Start running the workflows of a file; what is left of it at the end is killed."""
        self._runs += 1
        output = self.scratch / f"run-{self._runs}"
        command = [*self.command, "run", str(file), "-o", "json", *options]
        with (
            output.with_suffix(".json").open("wb") as document,
            output.with_suffix(".txt").open("wb") as text,
        ):
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=document,
                stderr=text,
                cwd=self.scratch,
                env=self.environment,
                start_new_session=True,
            )
        running = Running(process, output)
        try:
            yield running
        finally:
            running.end()

    def python(self, file: Path) -> str:
        """Execute a file with Python, as a program that uses the home, and return what it prints."""
        result = subprocess.run(
            [sys.executable, str(file)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.scratch,
            env=self.environment,
            timeout=LIMIT_S,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "AIFLOW_HOME": str(self.root), **self.variables}

    def working_dir(self, workflow: str, stem: str, execution_id: int = 1) -> Path:
        """Where the tasks of an execution run."""
        return self.root / "working_dir" / workflow / str(execution_id) / stem

    def log(self, workflow: str, task: str, number: int = 1, execution_id: int = 1) -> Path:
        """Where the log of the first try of a task is, at the path that the manual names."""
        return self.root / "logs" / workflow / str(execution_id) / task / f"{number}.log"

    def wait_for_log(self, workflow: str, task: str, text: str, number: int = 1, limit_s: float = 30) -> None:
        """Wait until a task has written something."""
        path = self.log(workflow, task, number)
        wait_until(
            lambda: path.exists() and text in path.read_text(),
            limit_s,
            f"no {text!r} in {path} after {limit_s} s",
        )

    def wait_for_log_of_any(self, workflow: str, task: str, text: str, limit_s: float = 30) -> None:
        """Wait until a task of any execution of a workflow has written something."""
        folder = self.root / "logs" / workflow
        wait_until(
            lambda: any(text in path.read_text() for path in folder.glob(f"*/{task}/*.log")),
            limit_s,
            f"no {text!r} of {task} in {folder} after {limit_s} s",
        )


def interrupted(running: Running) -> Finished:
    """Interrupt a run once, and check that it ends as an interrupted run has to."""
    running.interrupt()
    finished = running.finish()
    assert finished.exit_code == 130, finished.text
    assert finished.document["signal"] == "SIGINT"
    assert {execution["status"] for execution in finished.document["executions"]} == {"STOPPED"}
    return finished
