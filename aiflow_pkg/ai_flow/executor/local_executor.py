# SPDX-License-Identifier: Apache-2.0
"""The executor of one machine: launches attempts through a guard and fork servers, and reports how they end.

Single-threaded on the owner's loop, and it never blocks on a task. The processes that run attempts are
their parents, not we: what they find is in files before we hear of it, so a report survives us, and
``adopt`` finds it. Each attempt is reported once per supervisor, always from the loop and never from
within a call, until ``acknowledge``.

Deciding what to launch, retries and statuses belong to the scheduler; what the records mean is in
``outcome``.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ai_flow.common.home import Home
from ai_flow.executor import attempt_message as messages
from ai_flow.executor.adoption import adopt_attempts
from ai_flow.executor.attempt import Adoption, AttemptFinished, AttemptSpec, AttemptStarted, Outcome
from ai_flow.executor.children import ChildRequests
from ai_flow.executor.errors import ExecutorError
from ai_flow.executor.fork_servers import ForkServer, ForkServers
from ai_flow.executor.launch import child_command, resolve_interpreter
from ai_flow.executor.orphans import OrphanedAttempt
from ai_flow.executor.outcome import finished_attempt
from ai_flow.executor.run_directory import RunDirectory
from ai_flow.executor.usage import AttemptUsage, UsageSampler
from ai_flow.runtime.attempts import STOPPED
from ai_flow.runtime.process_table import boot_id
from notification_service.clock import Clock
from notification_service.reactor import Reactor

_CLOSE_WAIT_S = 10.0
_DEFAULT_NOTIFICATION_URI = "127.0.0.1:50052"


@dataclass(slots=True, kw_only=True)
class RunningAttempt:
    """An attempt that was launched or adopted and has not been reported."""

    attempt_id: str
    kind: str
    server: ForkServer | None = None
    pid: int | None = None
    stop_requested: bool = False
    #: Sent to its server; before that it can be forgotten.
    is_sent: bool = False


class LocalExecutor:
    """Run attempts on this machine."""

    def __init__(
        self,
        *,
        home: Home,
        runner_dir: Path,
        store_id: str,
        reactor: Reactor,
        clock: Clock,
        python: str,
        slots: int,
        socket_path: Path,
        register_token: Callable[[str, str], None],
        on_report: Callable[[AttemptFinished], None],
        on_started: Callable[[AttemptStarted], None] | None = None,
        lives_on: bool = False,
        preload: bool = True,
        notification_uri: str = _DEFAULT_NOTIFICATION_URI,
    ) -> None:
        self._reactor = reactor
        self._python = resolve_interpreter(python)
        self._slots = slots
        self._register_token = register_token
        self._on_report = on_report
        self._on_started = on_started
        self._forks = preload and sys.platform == "linux"
        self._boot_id = boot_id()
        self._directory = RunDirectory(runner_dir, store_id)
        self._environment = {
            "AIFLOW_HOME": str(home.root),
            "AIFLOW_SOCKET": str(socket_path),
            "AIFLOW_NOTIFICATION_URI": notification_uri,
        }
        self._attempts: dict[str, RunningAttempt] = {}
        #: Reported and not acknowledged; True when the files are those of another process.
        self._unacknowledged: dict[str, AttemptFinished] = {}
        self._servers = ForkServers(
            reactor=reactor,
            clock=clock,
            directory=self._directory,
            python=self._python,
            lives_on=lives_on,
            on_message=self._receive,
            on_lost=self._lost_server,
        )
        self._children = ChildRequests(
            reactor, self._servers, self._directory, self._python, forks=self._forks
        )
        self._sampler = UsageSampler(reactor, self._processes)
        self.load_workflow_file = self._children.load_workflow_file
        self.spawn_host = self._children.spawn_host

    # Starting.

    def start_guard(self) -> None:
        """Start the process that runs bash and no-op attempts, so that the first one does not wait."""
        self._servers.guard()

    def prepare(
        self,
        snapshot: str,
        bundle_dir: Path,
        entry: str,
        imports: Sequence[str],
        loaded_by: str | None = None,
    ) -> None:
        """Have a fork server ready for the snapshot's Python tasks.

        ``loaded_by`` is the ``server`` of a load result: that process has imported nearly everything already.
        """
        if not self._forks or self._servers.why_unforkable(snapshot) is not None:
            return
        loader = self._servers.named(loaded_by) if loaded_by is not None else None
        if loader is not None and loader.snapshot is None and self._servers.of_snapshot(snapshot) is None:
            loader.snapshot = snapshot
        self._servers.start_for(snapshot, imports, bundle_dir / entry)

    def free_slots(self) -> int:
        """Return how many more attempts may run now."""
        return max(0, self._slots - len(self._attempts))

    def launch(self, spec: AttemptSpec) -> None:
        """Start an attempt; a second call for the same attempt changes nothing."""
        if spec.attempt_id in self._attempts or spec.attempt_id in self._unacknowledged:
            return
        running = RunningAttempt(attempt_id=spec.attempt_id, kind=spec.kind)
        self._attempts[spec.attempt_id] = running
        token = secrets.token_hex(16)
        self._register_token(spec.attempt_id, token)
        try:
            self._route(spec, running, token)
        except (ExecutorError, OSError) as error:
            self._report_soon(running, Outcome.FAILED, f"the task could not be started: {error}")

    def adopt(self, claimed: Sequence[str] = ()) -> Adoption:
        """Account for the attempts of a predecessor, and for those that the store says were ``claimed``.

        A claimed attempt without any file is revoked: it is among the finished, as never started.
        """
        return adopt_attempts(
            claimed, self._directory, self._boot_id, self._servers, self._adopt_running, self._adopt_finished
        )

    # Stopping.

    def stop(self, attempt_id: str, *, grace_s: float | None = None, at_once: bool = False) -> None:
        """End an attempt; STOPPED is reported when nothing of it is left. Harmless when it has ended."""
        running = self._attempts.get(attempt_id)
        if running is None:
            return
        running.stop_requested = True
        if not running.is_sent and running.server is not None:
            self._report_soon(running, Outcome.STOPPED, "stopped before it started")
        elif running.server is not None:
            running.server.send(
                {
                    "op": "stop",
                    "attempt_id": attempt_id,
                    "grace_s": 0 if at_once else grace_s,
                    "cause": STOPPED,
                }
            )

    def stop_all(self, at_once: bool = False) -> None:
        """End every attempt."""
        for attempt_id in self.running():
            self.stop(attempt_id, at_once=at_once)

    def acknowledge(self, attempt_id: str) -> None:
        """Forget an attempt whose outcome is committed, with its files."""
        report = self._unacknowledged.pop(attempt_id, None)
        if report is None or not report.superseded:
            # A revoked marker stays: it is what keeps a late start from happening.
            keep_marker = report is not None and report.never_started
            self._directory.files(attempt_id).remove(keep_marker=keep_marker)

    def close(self) -> None:
        """Let go of all processes: they end with us, unless they live on."""
        self._children.close()
        self._servers.close(wait_s=_CLOSE_WAIT_S)
        if not self._servers.lives_on:
            self._directory.remove()

    # Looking.

    def running(self) -> list[str]:
        """Return the attempts that are launched or adopted and not reported."""
        return list(self._attempts)

    def usage(self, attempt_id: str) -> AttemptUsage | None:
        """Return what a running attempt used when it was last sampled, None before that."""
        return self._sampler.latest(attempt_id)

    def pid_of(self, attempt_id: str) -> int | None:
        """Return the pid of a running attempt's own process, None while it has none."""
        running = self._attempts.get(attempt_id)
        return None if running is None else running.pid

    # Launching.

    def _route(self, spec: AttemptSpec, running: RunningAttempt, token: str) -> None:
        if spec.kind != "python":
            run = messages.BASH if spec.kind == "bash" else messages.NOTHING
            self._send(spec, running, self._servers.guard(), run, token)
        elif self._forks and self._servers.why_unforkable(spec.snapshot) is None:
            server = self._servers.of_snapshot(spec.snapshot)
            if server is None:
                server = self._servers.start_for(spec.snapshot, (), spec.bundle_dir / spec.entry)
            running.server = server
            self._servers.use(server, spec.attempt_id)
            server.when_settled(lambda: self._send_settled(spec, running, server, token))
        else:
            self._send(spec, running, self._servers.guard(), messages.SPAWN, token)

    def _send_settled(
        self, spec: AttemptSpec, running: RunningAttempt, server: ForkServer, token: str
    ) -> None:
        if running.stop_requested:
            return
        if server.safe:
            self._send(spec, running, server, messages.FORK, token)
            return
        self._servers.release(server, spec.attempt_id)
        running.server = None
        try:
            self._send(spec, running, self._servers.guard(), messages.SPAWN, token)
        except ExecutorError as error:
            self._report_soon(running, Outcome.FAILED, f"the task could not be started: {error}")

    def _send(
        self, spec: AttemptSpec, running: RunningAttempt, server: ForkServer, run: str, token: str
    ) -> None:
        message = messages.attempt_message(
            spec, self._directory, run=run, boot_id=self._boot_id, environment=self._environment, token=token
        )
        if run == messages.SPAWN:
            message["argv"] = child_command(self._python, "ai_flow.runtime.task_process:main")
        running.server = server
        running.is_sent = True
        self._servers.use(server, spec.attempt_id)
        server.send({"op": "launch", "spec": message})

    # What the servers say.

    def _receive(self, server: ForkServer, message: dict[str, Any]) -> None:
        operation = message["op"]
        if operation == "ended":
            self._children.ended(server, message)
        elif operation == "forked":
            self._forked(message)
        elif operation in ("finished", "superseded", "refused"):
            running = self._attempts.get(message["attempt_id"])
            if running is not None:
                self._report(running, self._end_of(running, message))

    def _forked(self, message: dict[str, Any]) -> None:
        running = self._attempts.get(message["attempt_id"])
        if running is None or running.pid is not None:
            return
        running.pid = message["pid"]
        self._sampler.wake()
        if self._on_started is not None:
            self._on_started(
                AttemptStarted(
                    attempt_id=running.attempt_id, pid=message["pid"], started_at_ms=message["at_ms"]
                )
            )

    def _end_of(self, running: RunningAttempt, message: dict[str, Any]) -> AttemptFinished:
        if message["op"] == "refused":
            return _end(running, Outcome.FAILED, f"the task could not be started: {message['reason']}")
        if message["op"] == "superseded":
            return _end(running, Outcome.LOST, "it was started elsewhere, or declared lost", superseded=True)
        # A bash task says something only when it could not be begun, which its exit code tells.
        says = running.kind == "python" or message["status"] != 0
        said = self._directory.files(running.attempt_id).read_outcome() if says else None
        return finished_attempt(message, said)

    def _lost_server(self, server: ForkServer, how: str) -> None:
        """Account for everything that a dead server was the parent of."""
        self._children.lost_server(server, how)
        role = "the guard process" if server.is_guard else "the fork server"
        for running in [running for running in self._attempts.values() if running.server is server]:
            self._settle(running, f"{role} that ran it {how}")

    def _settle(self, running: RunningAttempt, why: str) -> None:
        running.server = None
        OrphanedAttempt(
            self._reactor,
            running.attempt_id,
            self._directory.files(running.attempt_id),
            why,
            lambda report: self._report_orphan(running, report),
        ).settle()

    def _report_orphan(self, running: RunningAttempt, report: AttemptFinished) -> None:
        if running.stop_requested and report.outcome is Outcome.LOST:
            report = replace(report, outcome=Outcome.STOPPED)
        self._report(running, report)

    # Adopting.

    def _adopt_running(self, attempt_id: str, marker: dict[str, Any], server: ForkServer | None) -> None:
        running = RunningAttempt(
            attempt_id=attempt_id, kind=marker["kind"], server=server, pid=marker["pid"] or None, is_sent=True
        )
        self._attempts[attempt_id] = running
        self._register_token(attempt_id, marker["token"])
        if server is None:
            self._settle(running, f"the process {marker['server']} that ran it was gone")
        else:
            self._servers.use(server, attempt_id)
            self._sampler.wake()

    def _adopt_finished(self, report: AttemptFinished) -> None:
        self._unacknowledged[report.attempt_id] = report

    # Reporting.

    def _report(self, running: RunningAttempt, report: AttemptFinished) -> None:
        if self._attempts.pop(running.attempt_id, None) is None:
            return
        if running.server is not None:
            self._servers.release(running.server, running.attempt_id)
        self._unacknowledged[running.attempt_id] = report
        self._on_report(report)

    def _report_soon(self, running: RunningAttempt, outcome: Outcome, reason: str) -> None:
        report = _end(running, outcome, reason)
        self._reactor.call_soon_threadsafe(lambda: self._report(running, report))

    def _processes(self) -> list[tuple[str, int]]:
        return [(running.attempt_id, running.pid) for running in self._attempts.values() if running.pid]


def _end(
    running: RunningAttempt, outcome: Outcome, reason: str | None, *, superseded: bool = False
) -> AttemptFinished:
    """Return the end of an attempt of which there is no exit record."""
    return AttemptFinished(
        attempt_id=running.attempt_id,
        outcome=outcome,
        reason=reason,
        finished_at_ms=time.time_ns() // 1_000_000,
        superseded=superseded,
    )
