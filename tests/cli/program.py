# SPDX-License-Identifier: Apache-2.0
"""Starts the real program in a process of its own, and writes the workflow files that it is given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

CHECKOUT = Path(__file__).resolve().parents[2]

_IMPORTS = """\
from ai_flow.model.action import TaskAction
from ai_flow.model.workflow import Workflow
from ai_flow.operators.bash import BashOperator
from ai_flow.operators.python import PythonOperator
"""


def command(*arguments: object) -> list[str]:
    """Return the command line of the program."""
    return [sys.executable, str(CHECKOUT / "aiflow.py"), *map(str, arguments)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A program that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """What ``-o json`` printed."""
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[str]:
        """The lines of stdout without the times at their beginning."""
        return [
            line[9:] if line[2:3] == ":" and line[5:6] == ":" else line for line in self.stdout.splitlines()
        ]


@dataclass(frozen=True, slots=True)
class Program:
    """The program with a home and a directory of its own."""

    directory: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def home(self) -> Path:
        """The home that it uses."""
        return self.directory / "home"

    def write(self, body: str, name: str = "flow.py", *, imports: bool = True) -> Path:
        """Write a workflow file that begins with the usual imports."""
        path = self.directory / name
        path.write_text((_IMPORTS if imports else "") + textwrap.dedent(body))
        return path

    def start(self, *arguments: object, **changes: Any) -> subprocess.Popen[bytes]:
        """Start it with pipes, or with what ``changes`` say."""
        pipes: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "cwd": self.directory,
            "env": self.variables(),
        }
        options = pipes | changes
        return cast("subprocess.Popen[bytes]", subprocess.Popen(command(*arguments), **options))

    def run(self, *arguments: object) -> Ended:
        """Start it and wait for its end."""
        with self.start(*arguments) as process:
            return ended(process)

    def variables(self) -> dict[str, str]:
        """Return its environment."""
        # readline, which pytest imports, says with these how large the terminal of the tests is.
        inherited = {name: value for name, value in os.environ.items() if name not in ("LINES", "COLUMNS")}
        return inherited | {"AIFLOW_HOME": str(self.home), "TERM": "dumb"} | self.environment


def ended(process: subprocess.Popen[bytes], timeout: float = 60.0) -> Ended:
    """Wait for the end of a started program and return what it wrote."""
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return Ended(
        code=process.returncode,
        stdout=stdout.decode("utf-8", errors="replace"),
        stderr=stderr.decode("utf-8", errors="replace"),
    )
