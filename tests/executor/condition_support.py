# SPDX-License-Identifier: Apache-2.0
"""A pool with real hosts, for tests: writes snapshots, asks for verdicts, leaves nothing behind."""

from __future__ import annotations

import itertools
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ai_flow.engine.world import Verdict
from ai_flow.executor.condition_hosts import ConditionHosts
from ai_flow.executor.condition_requests import (
    EvaluationRequest,
    ExecutionFields,
    HostExit,
    HostProcess,
    HostRequest,
    SpawnHost,
)
from ai_flow.executor.subprocess_spawner import SubprocessSpawner
from notification_service.clock import SystemClock
from notification_service.model.event import Event
from notification_service.reactor import Reactor

SDK_ROOTS = [path for path in sys.path if path and (Path(path) / "ai_flow").is_dir()] + [
    path for path in sys.path if path and (Path(path) / "notification_service").is_dir()
]

#: What every workflow file of these tests begins with; it has this many lines.
PREAMBLE = """\
import os, sys, time
from ai_flow.model.action import TaskAction
from ai_flow.model.condition import Condition
from ai_flow.model.internal.conditions import MeetAllCondition, MeetAnyCondition, SingleEventCondition
from ai_flow.model.state import ValueStateDescriptor
from ai_flow.model.workflow import Workflow
from ai_flow.operators.bash import BashOperator

def rule(condition):
    with Workflow(name="w") as workflow:
        task = BashOperator(name="t", bash_command="true")
        task.action_on_condition(action=TaskAction.START, condition=condition)
    return workflow

"""
PREAMBLE_LINES = PREAMBLE.count("\n")


@dataclass(frozen=True)
class Snapshot:
    """A bundle directory with one workflow file."""

    key: str
    bundle_dir: Path
    entry: str


class CountingSpawner:
    """A spawner that remembers what it started."""

    def __init__(self, spawn_host: SpawnHost) -> None:
        self._spawn_host = spawn_host
        self.started = 0

    def __call__(
        self, request: HostRequest, channel: Any, on_exit: Callable[[HostExit], None]
    ) -> HostProcess:
        self.started += 1
        return self._spawn_host(request, channel, on_exit)


class JumpingClock(SystemClock):
    """The clock of the machine, put forward at will."""

    ahead_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s


class Rig:
    """A pool on its own loop."""

    def __init__(self, directory: Path, *, python: str = sys.executable, **options: Any) -> None:
        self.directory = directory
        self.runner_dir = directory / "runner"
        self.runner_dir.mkdir(parents=True)
        self.clock = JumpingClock()
        self.reactor = Reactor(self.clock.monotonic_s)
        self.spawner = SubprocessSpawner(self.reactor, python=python)
        self.counting = CountingSpawner(self.spawner)
        self.pool = ConditionHosts(
            self.reactor, self.clock, self.counting, runner_dir=self.runner_dir, **options
        )
        self.snapshots = 0
        self._keys = itertools.count()
        self._is_closed = False

    def snapshot(self, source: str, **files: str) -> Snapshot:
        """Write a bundle; ``source`` follows the preamble, ``files`` are modules beside the workflow file."""
        self.snapshots += 1
        bundle = self.directory / "snapshots" / str(self.snapshots)
        stem = bundle / "flow"
        stem.mkdir(parents=True)
        (stem / "flow.py").write_text(PREAMBLE + textwrap.dedent(source))
        for name, text in files.items():
            (stem / f"{name}.py").write_text(textwrap.dedent(text))
        return Snapshot(f"digest{self.snapshots}", bundle, "flow/flow.py")

    def request(self, snapshot: Snapshot, **fields: Any) -> EvaluationRequest:
        """Return a request for the first rule of task ``t``."""
        given: dict[str, Any] = {
            "key": next(self._keys),
            "workflow": "w",
            "namespace": "default",
            "event": event(),
            "workflow_execution": ExecutionFields(
                id=7, workflow_id=3, execution_type="MANUAL", status="RUNNING", begin_at_ms=1_700_000_000_000
            ),
        }
        if "trigger" not in fields:
            given |= {"task": "t", "rule_index": 0}
        return EvaluationRequest(
            snapshot=snapshot.key, bundle_dir=snapshot.bundle_dir, entry=snapshot.entry, **(given | fields)
        )

    def ask(self, snapshot: Snapshot, **fields: Any) -> list[Verdict]:
        """Ask for a verdict; the list has it once the loop has seen it."""
        verdicts: list[Verdict] = []
        self.pool.evaluate(self.request(snapshot, **fields), verdicts.append)
        return verdicts

    def has_something_to_read(self) -> bool:
        """Tell whether something has come that the loop, which nobody runs just now, has yet to read."""
        return bool(self.reactor._selector.select(0))

    def verdict(self, snapshot: Snapshot, **fields: Any) -> Verdict:
        """Ask for a verdict and run the loop until it is there."""
        verdicts = self.ask(snapshot, **fields)
        self.run_until(lambda: bool(verdicts))
        return verdicts[0]

    def error(self, snapshot: Snapshot, **fields: Any) -> str:
        """Return the error that the evaluation ends with."""
        verdict = self.verdict(snapshot, **fields)
        assert verdict.error is not None, verdict
        assert not verdict.met
        assert verdict.states == {}
        return verdict.error

    def run_until(self, fact: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Run the loop until ``fact`` holds."""
        until_s = time.monotonic() + timeout_s
        while not fact():
            assert time.monotonic() < until_s, "it did not come true in time"
            self.reactor.run_once(0.05)

    def log(self, snapshot: Snapshot) -> str:
        """Return what the conditions of the snapshot printed."""
        return (self.runner_dir / f"conditions-{snapshot.key}.log").read_text()

    def close(self) -> None:
        """End everything; a second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self.pool.close()
        self.spawner.close()
        assert self.reactor._wait_s(None) is None, "a timer is left"  # pyright: ignore[reportPrivateUsage]
        self.reactor.close()


def event(key: str = "go", value: str | None = None, **fields: Any) -> Event:
    """Return an event as the log gives it."""
    made = Event(key, value)
    fields = {"namespace": "default", "sender": "me", "context": None, "create_time": 5, "offset": 9} | fields
    for name, of_field in fields.items():
        setattr(made, name, of_field)
    return made


def alive(pid: int) -> bool:
    """Tell whether the process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
