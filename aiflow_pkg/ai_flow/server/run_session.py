# SPDX-License-Identifier: Apache-2.0
"""`aiflow run`: one process that runs the workflows of a file to their end, with no server.

The file is loaded in a child, snapshotted like any upload, and its executions are recorded in the home like
any other. This process owns them: it alone runs their tasks, in its own environment and Python, and they
end with it. Whether it also decides is settled by the scheduler lease; with another run on the same home,
one decides for both.

The session says what happens through a ``RunObserver``; what that prints is the caller's affair.
"""

from __future__ import annotations

import builtins
import logging
import signal
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.common.home import Home
from ai_flow.engine.graph import parse_graph
from ai_flow.engine.world import StopOrigin
from ai_flow.model.execution_type import ExecutionType
from ai_flow.server.parts import RunnerOptions, build_parts
from ai_flow.server.progress import ExecutionProgress, Progress, TaskChange, describe_execution
from ai_flow.server.runner import Runner
from ai_flow.store import catalog, runners
from ai_flow.store.bundles import make_bundle
from ai_flow.store.commands import Commands
from ai_flow.store.open_store import open_store
from ai_flow.store.progress import TriggerFailure
from ai_flow_ha.process_identity import own_identity
from notification_service.clock import Clock, SystemClock
from notification_service.database.errors import DatabaseError, is_passing

_log = logging.getLogger(__name__)

#: Seconds between looks at the clock, the executions and the terminal while nothing happens.
_TURN_S = 0.1
#: While tasks come and go, people are told this often at most.
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What `aiflow run` was asked to do; durations in seconds."""

    file: Path
    python: str
    workflow: str | None = None
    files: Sequence[Path] = ()
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout_s: float | None = None
    wait_events_s: float = 0.0
    until_idle: bool = False
    keep_going: bool = False
    parallelism: int = 10
    stop_grace_s: float = 10.0
    condition_limit_s: float = 10.0
    lease_s: float = 10.0


class RunObserver(Protocol):
    """Told what happens, on the thread of the session; must return quickly."""

    def started(self, executions: Sequence[ExecutionProgress], home: Home) -> None:
        """Take note that the executions exist and are about to run.

        Called again for each execution without an owner that is run too (``until_idle``).
        """
        ...

    def task_changed(self, change: TaskChange) -> None:
        """Take note that a task got another status."""
        ...

    def trigger_failed(self, failure: TriggerFailure) -> None:
        """Take note that a trigger could not process an event (``until_idle``)."""
        ...

    def turned(self) -> None:
        """Show new output of tasks; called several times a second."""
        ...

    def stopping(self, why: str) -> None:
        """Take note that everything is being stopped."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended."""

    executions: Sequence[ExecutionProgress]
    #: Executions without an owner that were run too.
    others: Sequence[ExecutionProgress] = ()
    #: The signal that ended it, if one did.
    signal: int | None = None
    timed_out: bool = False


class UnknownWorkflowError(AIFlowException):
    """The file has no workflow of the name that was asked for."""

    def __init__(self, name: str, file: Path, found: Sequence[str]) -> None:
        names = ", ".join(f"'{other}'" for other in found)
        super().__init__(f"There is no workflow '{name}' in {file}: it defines {names}.")
        self.name = name


class WorkflowFileError(AIFlowException):
    """A workflow file cannot be loaded; shows the line that is to blame."""

    def __init__(self, file: Path, error: Mapping[str, Any]) -> None:
        message, line = str(error["message"]), error.get("line")
        if hasattr(builtins, str(error.get("type"))):
            message = f"{error['type']}: {message}"
        if line is not None:
            message = f"Cannot load the workflow file {file}: {message}\n  {error['file']}, line {line}"
        if line is not None and error.get("text"):
            message += f"\n    {str(error['text']).strip()}"
        super().__init__(message)
        self.file = file
        self.traceback = error.get("traceback")


class RunSession:
    """One `aiflow run`, from the file to the end of its executions."""

    def __init__(
        self, options: RunOptions, home: Home, observer: RunObserver, clock: Clock | None = None
    ) -> None:
        self._options = options
        self._home = home
        self._observer = observer
        self._clock = clock or SystemClock()
        self._runner_id = uuid.uuid4().hex
        self._signals: list[int] = []
        self._stop_reason: str | None = None
        self._timed_out = False
        self._is_closing = False
        self._waiting_since_s: dict[int, float] = {}
        self._asked_to_end: set[int] = set()
        #: Commands that are not in the store yet.
        self._orders: list[partial[object]] = []
        self._store = open_store(home, self._clock)
        self._parts = build_parts(
            RunnerOptions(
                runner_id=self._runner_id,
                takes_unowned=options.until_idle,
                parallelism=options.parallelism,
                python=options.python,
                condition_limit_s=options.condition_limit_s,
                lease_ms=round(options.lease_s * 1000),
            ),
            home=home,
            store=self._store,
            clock=self._clock,
            on_report=lambda finished: self._runner.take_report(finished),
            on_send=lambda: self._runner.want_step(),
        )
        self._runner = Runner(self._parts, stop_grace_s=options.stop_grace_s)
        self._commands = Commands(self._store.log)
        self._progress = Progress(self._store, home, takes_unowned=options.until_idle)
        self._announced = 0

    def note_signal(self, number: int) -> None:
        """Note a signal; safe in a handler. The first asks everything to stop, the second ends it at once."""
        self._signals.append(number)
        if not self._is_closing:
            self._parts.reactor.call_soon_threadsafe(lambda: None)

    def run(self) -> RunResult:
        """Run to the end; raise ``AIFlowException`` for what is the user's to mend."""
        try:
            loaded = self._load()
            if loaded is not None:
                self._create_executions(loaded)
                self._observer.started(self._progress.executions, self._home)
                self._run_to_the_end()
            return RunResult(
                executions=self._progress.executions,
                others=self._progress.others,
                signal=self._signals[0] if self._signals else None,
                timed_out=self._timed_out,
            )
        finally:
            self._close()

    # Loading the file and creating its executions.

    def _load(self) -> Mapping[str, Any] | None:
        """Load the file in a child; None when a signal came first."""
        answers: list[Mapping[str, Any]] = []
        self._parts.executor.start_guard()
        self._parts.executor.load_workflow_file(
            self._options.file, list(self._options.files), self._options.python, answers.append
        )
        while not answers and not self._signals:
            self._parts.reactor.run_once(_TURN_S)
        if self._signals:
            return None
        if "error" in answers[0]:
            raise WorkflowFileError(self._options.file, answers[0]["error"])
        return answers[0]

    def _create_executions(self, loaded: Mapping[str, Any]) -> None:
        graphs = self._chosen(loaded["workflows"])
        beside = [*self._options.files, *(Path(helper) for helper in loaded["helpers"])]
        digest, entry = make_bundle(self._home, self._options.file, beside)
        bundle = catalog.Bundle(
            digest=digest,
            entry=entry,
            imports=loaded["imports"],
            python=loaded["python"],
            content=self._options.file.read_text("utf-8", errors="replace"),
        )
        if any(task["kind"] == "python" for graph in graphs for task in graph["tasks"]):
            self._parts.executor.prepare(
                digest, self._home.snapshots / digest, entry, loaded["imports"], loaded.get("server")
            )
        now_ms = self._clock.now_ms()
        with self._store.database.write() as tx:
            runners.register(
                tx,
                self._runner_id,
                "run",
                own_identity(),
                takes_unowned=self._options.until_idle,
                now_ms=now_ms,
            )
            before = self._store.log.head(tx)
            for graph in graphs:
                workflow_id, snapshot_id = catalog.put_workflow(tx, graph, bundle, now_ms=now_ms)
                execution_id = self._commands.create_execution(
                    tx,
                    workflow_id=workflow_id,
                    snapshot_id=snapshot_id,
                    run_type=ExecutionType.MANUAL,
                    now_ms=now_ms,
                    owner=self._runner_id,
                    params=self._options.params,
                )
                self._progress.follow(
                    describe_execution(self._home, parse_graph(graph), execution_id), after_offset=before
                )

    def _chosen(self, graphs: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        name = self._options.workflow
        if name is None:
            return graphs
        chosen = [graph for graph in graphs if graph["name"] == name]
        if not chosen:
            raise UnknownWorkflowError(name, self._options.file, [graph["name"] for graph in graphs])
        return chosen

    # Running.

    def _run_to_the_end(self) -> None:
        began_s = self._clock.monotonic_s()
        self._runner.begin()
        self._parts.watch_wake_file(self._runner.hint)
        looked_s = 0.0
        while not self._is_over():
            self._runner.turn(_TURN_S)
            now_s = self._clock.monotonic_s()
            if now_s - looked_s < _LOOK_S and self._parts.executor.running():
                continue
            looked_s = now_s
            self._tell_changes()
            self._give_orders()
            self._obey_signals()
            self._obey_timeout(began_s)
            self._end_what_cannot_go_on()
        if self._unfinished():
            # A second signal cut the loop short: record what it stopped, if that is for this process to do.
            self._runner.step()
        self._tell_changes()  # of what others decided since the last look

    def _tell_changes(self) -> None:
        changes = self._progress.look()
        others = self._progress.others
        if len(others) > self._announced:
            self._observer.started(others[self._announced :], self._home)
            self._announced = len(others)
        for change in changes:
            self._observer.task_changed(change)
        for failure in self._progress.look_at_triggers():
            self._observer.trigger_failed(failure)
        self._observer.turned()

    def _is_over(self) -> bool:
        if self._unfinished():
            # The record of what a second signal ended, or what cannot be written, is left to whoever decides.
            is_beyond_record = len(self._signals) > 1 or (self._stop_reason is not None and self._orders)
            return bool(is_beyond_record) and not self._parts.executor.running()
        if not self._options.until_idle or self._stop_reason is not None:
            return True
        return self._progress.home_is_idle()

    def _unfinished(self) -> list[ExecutionProgress]:
        return [execution for execution in self._progress.executions if not execution.is_finished]

    def _obey_signals(self) -> None:
        if self._signals:
            self._stop_everything(f"interrupted by {signal.Signals(self._signals[0]).name}")
        if len(self._signals) > 1:
            # After the order to stop, also when both signals came in one turn: else a killed task has failed,
            # which rules listen to.
            self._parts.executor.stop_all(at_once=True)

    def _obey_timeout(self, began_s: float) -> None:
        limit_s = self._options.timeout_s
        if limit_s is not None and self._clock.monotonic_s() - began_s >= limit_s and not self._timed_out:
            self._timed_out = self._stop_reason is None
            self._stop_everything(f"timed out after {limit_s:g} s")

    def _stop_everything(self, why: str) -> None:
        if self._stop_reason is None:
            self._stop_reason = why
            self._observer.stopping(why)
            self._stop([execution.id for execution in self._unfinished()], why, StopOrigin.PERSON)

    def _end_what_cannot_go_on(self) -> None:
        """End executions that wait for events nobody will send, and those that have failed for good."""
        now_s = self._clock.monotonic_s()
        for execution in self._progress.executions:
            if execution.is_finished or execution.waits_for is None:
                self._waiting_since_s.pop(execution.id, None)
            elif now_s - self._waiting_since_s.setdefault(execution.id, now_s) >= self._options.wait_events_s:
                self._fail(execution.id, f"{execution.waits_for}, which nothing in this run can send")
        doomed = None if self._options.keep_going else self._progress.doomed()
        if doomed is not None:
            why = f"a task of '{doomed.workflow}' has failed for good"
            self._observer.stopping(why)
            self._stop([doomed.id], why, StopOrigin.RULE)

    def _stop(self, execution_ids: Sequence[int], why: str, origin: StopOrigin) -> None:
        for execution_id in execution_ids:
            self._orders.append(
                partial(
                    self._commands.stop_execution, execution_id=execution_id, origin=origin.value, reason=why
                )
            )
        self._give_orders()

    def _fail(self, execution_id: int, why: str) -> None:
        if execution_id not in self._asked_to_end:
            self._asked_to_end.add(execution_id)
            self._orders.append(partial(self._commands.fail_execution, execution_id=execution_id, reason=why))
            self._give_orders()

    def _give_orders(self) -> None:
        """Write the commands of this session; when that is not possible now they are kept."""
        if not self._orders:
            return
        try:
            with self._store.database.write() as tx:
                for order in self._orders:
                    order(tx, now_ms=self._clock.now_ms())
        except DatabaseError as error:
            if not is_passing(error):
                raise
            if self._stop_reason is not None:
                # The tasks need not wait for the record of their stop.
                self._parts.executor.stop_all()
            return
        self._orders.clear()
        self._runner.want_step()

    def _close(self) -> None:
        # From here on there may be no loop that a signal could wake.
        self._is_closing = True
        try:
            self._parts.scheduler.resign(leaves_work=bool(self._unfinished()))
            self._runner.tidy()
        except DatabaseError as error:
            # Whoever decides next finds the process gone. How the run ended is what counts here.
            _log.warning("run.resign_failed error=%s", error)
        finally:
            self._parts.close()
