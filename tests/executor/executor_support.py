# SPDX-License-Identifier: Apache-2.0
"""An executor with real processes for tests: writes snapshots, launches attempts, waits for facts.

``Site`` turns the loop itself, so a test reads like a list of what happens. When it is left, everything
that still runs is ended; the leak check of the suite sees whether that was true.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ai_flow.common.home import Home
from ai_flow.executor.attempt import AttemptFinished, AttemptSpec
from ai_flow.executor.fork_servers import ForkServer
from ai_flow.executor.local_executor import LocalExecutor
from ai_flow.executor.run_directory import RunDirectory
from ai_flow.runtime import process_table
from notification_service.clock import SystemClock
from notification_service.reactor import Reactor

T = TypeVar("T")

STORE = "store-1"
SNAPSHOT = "d1g35t"
_TURN_S = 0.02


class Site:
    """One home with one executor, and the loop that it runs on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = Home(root / "home")
        self.home.make()
        self.reactor = Reactor()
        self.reports: list[AttemptFinished] = []
        self.tokens: dict[str, str] = {}
        self._executor: LocalExecutor | None = None
        self._graph: dict[str, Any] = {"tasks": []}
        self.bundle = self.home.snapshots / SNAPSHOT
        (self.bundle / "wf").mkdir(parents=True, exist_ok=True)
        (self.bundle / "wf" / "wf.py").write_text("")

    @property
    def executor(self) -> LocalExecutor:
        """The executor, started at first use."""
        if self._executor is None:
            self.start()
        assert self._executor is not None
        return self._executor

    @property
    def attempt_files(self) -> Path:
        """Where the attempts of this store have their files."""
        return self.home.run / "r" / STORE / "attempts"

    def start(self, **options: Any) -> LocalExecutor:
        """Start an executor, in place of one that was dropped."""
        chosen: dict[str, Any] = {"store_id": STORE, "runner_dir": self.home.run / "r", **options}
        self._executor = LocalExecutor(
            home=self.home,
            reactor=self.reactor,
            clock=SystemClock(),
            python=sys.executable,
            slots=4,
            socket_path=self.root / "tasks.sock",
            register_token=self.tokens.__setitem__,
            on_report=self.reports.append,
            **chosen,
        )
        return self._executor

    def drop(self) -> None:
        """Let go of the executor as a stopped server does."""
        if self._executor is not None:
            self._executor.close()
            self._executor = None

    def leave(self) -> None:
        """End everything."""
        if self._executor is not None:
            self._executor.stop_all(at_once=True)
            self.until(lambda: not self.executor.running())
        self.drop()
        self.reactor.close()
        self._remove_sockets()

    def _remove_sockets(self) -> None:
        """Remove the directory for sockets that is not below the root; servers that live on keep it."""
        directory = RunDirectory(self.home.run / "r", STORE)
        sockets = directory.socket_of("x").parent
        if sockets != directory.root:
            shutil.rmtree(sockets, ignore_errors=True)

    def until(self, fact: Callable[[], T | None], timeout: float = 20.0) -> T:
        """Turn the loop until ``fact`` is true and return it."""
        ends = time.monotonic() + timeout
        while not (found := fact()):
            assert time.monotonic() < ends, f"still not true after {timeout} s"
            self.reactor.run_once(_TURN_S)
        return found

    def spec(self, **fields: Any) -> AttemptSpec:
        """Return the description of an attempt."""
        number = fields.pop("number", 1)
        task_name = fields.get("task_name", "t")
        chosen: dict[str, Any] = {
            "attempt_id": secrets.token_hex(16),
            "workflow_execution_id": 7,
            "workflow_name": "w",
            "namespace": "default",
            "task_name": task_name,
            "sequence_number": number,
            "try_number": 1,
            "kind": "bash",
            "bash_command": None,
            "task": {},
            "task_names": [],
            "bundle_dir": self.bundle,
            "entry": "wf/wf.py",
            "working_dir": self.home.working_dir / "w" / "7",
            "log_path": self.home.logs / "w" / "7" / task_name / f"{number}.log",
            "stop_grace_s": 5.0,
            "snapshot": SNAPSHOT,
        }
        return AttemptSpec(**{**chosen, **fields})

    def bash(self, command: str, **fields: Any) -> AttemptSpec:
        """Return the description of a bash attempt."""
        return self.spec(kind="bash", bash_command=command, **fields)

    def write_workflow(self, source: str, **helpers: str) -> None:
        """Make the snapshot hold this workflow file, load it, and prepare its fork server."""
        directory = self.root / "source"
        directory.mkdir(exist_ok=True)
        for name, text in {"wf": source, **helpers}.items():
            for place in (directory, self.bundle / "wf"):
                (place / f"{name}.py").write_text(textwrap.dedent(text))
        loaded = self.load(directory / "wf.py")
        assert "error" not in loaded, loaded
        self._graph = loaded["workflows"][0]
        self.executor.prepare(SNAPSHOT, self.bundle, "wf/wf.py", loaded["imports"], loaded["server"])

    def load(self, path: Path, files: list[Path] | None = None, **options: Any) -> dict[str, Any]:
        """Load a workflow file and return the result."""
        results: list[dict[str, Any]] = []
        self.executor.load_workflow_file(path, files or [], None, results.append, **options)
        return self.until(lambda: results)[0]

    def python(self, task_name: str, **fields: Any) -> AttemptSpec:
        """Return the description of an attempt of a task of the workflow file."""
        tasks = {task["name"]: task for task in self._graph["tasks"]}
        task = tasks[task_name]
        return self.spec(
            **{
                "kind": task["kind"],
                "task": task,
                "task_names": list(tasks),
                "task_name": task_name,
                "workflow_name": self._graph["name"],
                **fields,
            }
        )

    def finish(self, spec: AttemptSpec) -> AttemptFinished:
        """Run an attempt to its end."""
        self.executor.launch(spec)
        return self.report_of(spec)

    def report_of(self, spec: AttemptSpec) -> AttemptFinished:
        """Wait for the end of an attempt."""
        return self.until(
            lambda: next((report for report in self.reports if report.attempt_id == spec.attempt_id), None)
        )

    def launch(self, spec: AttemptSpec, until: str) -> int:
        """Start an attempt, wait until its log has the line ``until``, and return its pid."""
        self.executor.launch(spec)
        self.until(lambda: until in self.log(spec).splitlines())
        return self.until(lambda: self.executor.pid_of(spec.attempt_id))

    def log(self, spec: AttemptSpec) -> str:
        """Return what an attempt has written so far."""
        try:
            return spec.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def pids_in(self, spec: AttemptSpec, name: str = "pid") -> list[int]:
        """Return the pids that an attempt wrote in lines like ``pid 123``."""
        lines = [line.split() for line in self.log(spec).splitlines()]
        return [int(words[1]) for words in lines if len(words) == 2 and words[0] == name]

    def guard(self) -> ForkServer:
        """Return the guard."""
        return self.executor._servers.guard()

    def fork_server(self) -> ForkServer:
        """Return the fork server of the snapshot."""
        server = self.executor._servers.of_snapshot(SNAPSHOT)
        assert server is not None
        return server


@contextmanager
def open_site(root: Path) -> Iterator[Site]:
    """Give a ``Site`` that is left at the end."""
    site = Site(root)
    try:
        yield site
    finally:
        site.leave()


def is_gone(pid: int) -> bool:
    """Tell whether no process runs under this pid, not counting a zombie."""
    process = process_table.read_process(pid)
    return process is None or process_table.is_zombie(process)


def kill(pid: int) -> None:
    """Kill a process as a person, or the kernel, would."""
    os.kill(pid, signal.SIGKILL)


def read_json(path: Path) -> Any:
    """Return the value in a file."""
    return json.loads(path.read_text())
