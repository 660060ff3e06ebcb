# SPDX-License-Identifier: Apache-2.0
"""A real store with processes that are not there: schedulers with scripted executors and clocks by hand.

A ``Stage`` is one home. Each ``Actor`` is a process that supervises tasks: it has a scheduler of its own on
the shared store, and "runs" whatever its scheduler launches until the test says how it ended. Processes are
made up (``FakeProcesses``), so that a test can let one die without killing anything.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import apsw

from ai_flow.common.home import Home
from ai_flow.engine.world import RuleId, ScopeId, Verdict, World
from ai_flow.model.action import TaskAction
from ai_flow.model.condition import Condition
from ai_flow.model.execution_type import ExecutionType
from ai_flow.model.workflow import Workflow
from ai_flow.runtime.describe import describe_condition, describe_workflow
from ai_flow.scheduler.scheduler import Inputs, Scheduler, Send, StepResult
from ai_flow.store import catalog, runners, world_store
from ai_flow.store.attempts import ClaimedAttempt
from ai_flow.store.commands import Commands
from ai_flow.store.open_store import STORE_MIGRATIONS
from ai_flow_ha.lease import SCHEDULER_LEASE, Lease
from ai_flow_ha.process_identity import ProcessIdentity, boot_id, own_identity
from notification_service.database.sqlite import SqliteDatabase
from notification_service.event_log import EventLog
from notification_service.model.event import Event
from tests.support import ManualClock

#: No process has a pid like this.
_FIRST_FAKE_PID = 2**31 - 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an attempt ended, in the form in which an executor says it."""

    attempt_id: str
    outcome: str = "SUCCESS"
    reason: str | None = None
    never_started: bool = False
    exit_code: int | None = None
    signal: int | None = None
    started_at_ms: int | None = None
    finished_at_ms: int = 0
    max_rss_bytes: int | None = None
    cpu_s: float | None = None


@dataclass(slots=True)
class Actor:
    """A process with a scheduler; ``running`` are the attempts that it was told to start."""

    name: str
    stage: Stage
    scheduler: Scheduler
    lease: Lease
    slots: int
    running: dict[str, ClaimedAttempt] = field(default_factory=dict[str, ClaimedAttempt])
    stopping: list[str] = field(default_factory=list[str])
    launched: list[ClaimedAttempt] = field(default_factory=list[ClaimedAttempt])
    results: list[StepResult] = field(default_factory=list[StepResult])

    @property
    def decides(self) -> bool:
        return self.scheduler.engine is not None

    @property
    def world(self) -> World:
        assert self.scheduler.engine is not None, f"{self.name} does not decide"
        return self.scheduler.engine.world

    def step(
        self,
        *outcomes: Ended,
        sends: Sequence[Send] = (),
        verdicts: Sequence[tuple[ScopeId, RuleId, Verdict]] = (),
        gone: Sequence[str] = (),
    ) -> StepResult:
        """Make one step and do what it says."""
        for outcome in outcomes:
            self.running.pop(outcome.attempt_id, None)
        result = self.scheduler.step(
            Inputs(
                outcomes=outcomes,
                sends=sends,
                verdicts=verdicts,
                free_slots=self.slots - len(self.running),
                gone_runners=gone,
            )
        )
        for launch in result.launches:
            assert launch.attempt_id not in self.running
            self.running[launch.attempt_id] = launch
            self.launched.append(launch)
        self.stopping += [id for id in result.stops if id in self.running]
        self.results.append(result)
        return result

    def steps(self) -> None:
        """Make steps until there is nothing more to do."""
        while self.step().more:
            pass

    def attempt(self, task: str, execution_id: int | None = None) -> str:
        """Return the running attempt of a task."""
        found = [
            id
            for id, launch in self.running.items()
            if launch.task == task and execution_id in (None, launch.execution_id)
        ]
        assert len(found) == 1, f"{len(found)} attempts of {task} run"
        return found[0]

    def end(self, task: str, outcome: str = "SUCCESS", reason: str | None = None) -> StepResult:
        """Let the running attempt of a task end, and make the step that takes it in."""
        return self.step(Ended(attempt_id=self.attempt(task), outcome=outcome, reason=reason))

    def die(self) -> None:
        """Be gone without a word."""
        self.stage.processes.alive.discard(self.name)


class FakeProcesses:
    """Which of the made-up processes are alive; real ones are asked for as always."""

    def __init__(self) -> None:
        self.alive: set[str] = set()
        self._pids: dict[int, str] = {}

    def start(self, name: str) -> ProcessIdentity:
        pid = _FIRST_FAKE_PID + len(self._pids)
        self._pids[pid] = name
        self.alive.add(name)
        return ProcessIdentity(boot_id(), pid, 1.0)

    def creation_time(self, pid: int) -> float | None:
        return 1.0 if self._pids.get(pid) in self.alive else None


class Stage:
    """One home, its clocks and its processes."""

    def __init__(self, root: Path, processes: FakeProcesses) -> None:
        self.home = Home(root / "home")
        self.home.make()
        self.clock = ManualClock()
        self.boot_ms = 1_000_000
        self.processes = processes
        self._attempts = itertools.count(1)
        self._databases: list[SqliteDatabase] = []
        self.database = self._open()
        self.log = EventLog(self.database, self.clock)
        self.commands = Commands(self.log)

    def close(self) -> None:
        for database in self._databases:
            database.close()

    def _open(self) -> SqliteDatabase:
        database = SqliteDatabase(self.home.database, migrations=STORE_MIGRATIONS, clock=self.clock)
        self._databases.append(database)
        return database

    def actor(
        self,
        name: str,
        *,
        slots: int = 100,
        takes_unowned: bool = False,
        attempt_ids: Callable[[], str] | None = None,
        database: SqliteDatabase | None = None,
    ) -> Actor:
        """Start a process that supervises tasks."""
        process = self.processes.start(name)
        with self.database.write() as tx:
            runners.register(
                tx, name, "run", process, takes_unowned=takes_unowned, now_ms=self.clock.now_ms()
            )
        lease = Lease(SCHEDULER_LEASE, name, now_boot_ms=lambda: self.boot_ms, process=process)
        database = database or self._open()
        scheduler = Scheduler(
            database=database,
            log=EventLog(database, self.clock),
            clock=self.clock,
            lease=lease,
            runner_id=name,
            takes_unowned=takes_unowned,
            new_attempt_id=attempt_ids or self._new_attempt_id,
        )
        return Actor(name=name, stage=self, scheduler=scheduler, lease=lease, slots=slots)

    def _new_attempt_id(self) -> str:
        return f"{next(self._attempts):032x}"

    def advance(self, seconds: float) -> None:
        """Let time pass on every clock."""
        self.clock.advance(seconds)
        self.boot_ms += round(seconds * 1000)

    # What people and tasks do.

    def upload(self, workflow: Workflow) -> tuple[int, int]:
        """Store a version of a workflow; return (workflow id, snapshot id)."""
        bundle = catalog.Bundle(digest="d", entry="w/w.py", imports=[], python="3.11", content="")
        description = json.loads(json.dumps(describe_workflow(workflow)))
        with self.database.write() as tx:
            return catalog.put_workflow(tx, description, bundle, now_ms=self.clock.now_ms())

    def start(self, workflow: Workflow, *, owner: str | None = None) -> int:
        """Ask for an execution; return its id."""
        workflow_id, snapshot_id = self.upload(workflow)
        with self.database.write() as tx:
            return self.commands.create_execution(
                tx,
                workflow_id=workflow_id,
                snapshot_id=snapshot_id,
                run_type=ExecutionType.MANUAL,
                now_ms=self.clock.now_ms(),
                owner=owner,
            )

    def stop(self, execution_id: int) -> None:
        with self.database.write() as tx:
            self.commands.stop_execution(tx, execution_id, now_ms=self.clock.now_ms(), reason="enough")

    def command(self, execution_id: int, task: str, action: TaskAction) -> int:
        with self.database.write() as tx:
            return self.commands.command_task(tx, execution_id, task, action, now_ms=self.clock.now_ms())

    def send(self, key: str, execution_id: int | None = None, **fields: str | None) -> Event:
        """Append an event to the log as a client would."""
        return self.log.append([draft(key, execution_id, **fields)])[0]

    def add_trigger(self, workflow_id: int, condition: Condition) -> int:
        """Add a trigger to a workflow and tell the scheduler."""
        now_ms = self.clock.now_ms()
        with self.database.write() as tx:
            row = tx.row(catalog.SQL.workflow_by_id, id=workflow_id)
            assert row is not None
            trigger_id = tx.insert(
                catalog.SQL.insert_trigger,
                workflow_id=workflow_id,
                snapshot_id=row[3],
                condition=json.dumps(describe_condition(condition)),
                rule=b"pickle",
                python="3.11",
                now=now_ms,
                created_offset=self.log.head(tx) + 1,
            )
            self.commands.announce_workflow(tx, workflow_id, now_ms=now_ms)
        return trigger_id

    def set_enabled(self, workflow_id: int, is_enabled: bool) -> None:
        with self.database.write() as tx:
            tx.execute(catalog.SQL.set_enabled, id=workflow_id, is_enabled=int(is_enabled))
            self.commands.announce_workflow(tx, workflow_id, now_ms=self.clock.now_ms())

    # What the store holds.

    def rows(self, sql: str, *params: object) -> list[tuple[object, ...]]:
        """Read the store with a connection of the test's own."""
        with closing(apsw.Connection(str(self.home.database), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            return cast("list[tuple[object, ...]]", connection.execute(sql, params).fetchall())

    def status(self, execution_id: int) -> str:
        ((status,),) = self.rows("SELECT status FROM workflow_execution WHERE id = ?", execution_id)
        return str(status)

    def reason(self, execution_id: int) -> str | None:
        ((reason,),) = self.rows("SELECT reason FROM workflow_execution WHERE id = ?", execution_id)
        return cast("str | None", reason)

    def runs(self, execution_id: int) -> list[tuple[object, ...]]:
        """Return (task, sequence number, status, try number) of every run, oldest first."""
        return self.rows(
            "SELECT task_name, sequence_number, status, try_number FROM task_execution"
            " WHERE workflow_execution_id = ? ORDER BY id",
            execution_id,
        )

    def refusals(self) -> dict[object, object]:
        rows = self.rows("SELECT event_offset, reason FROM refusal")
        return {offset: str(reason) for offset, reason in rows}

    def load_world(self) -> World:
        """Load the world anew, as a process does that begins to decide."""
        world = World()
        with self.database.read() as tx:
            cursor = world_store.read_cursor(tx)
            for execution in world_store.load_live_executions(tx, world_store.GraphCache()):
                if execution.created_offset <= cursor:
                    world.add_execution(execution)
            for workflow in world_store.load_triggered_workflows(tx):
                world.put_workflow(workflow)
            for scope_id, parked in world_store.load_inboxes(tx):
                scope = world.scope(scope_id)
                if scope is not None:
                    scope.inbox.append(parked)
        return world


def draft(key: str, execution_id: int | None = None, **fields: str | None) -> Event:
    """Return an event as a client sends it."""
    event = Event(key, fields.get("value", "v"))
    event.namespace = fields.get("namespace", "default")
    event.sender = fields.get("sender")
    context = fields.get("context")
    event.context = context if execution_id is None else json.dumps({"workflow_execution_id": execution_id})
    return event


def picture(world: World) -> Mapping[str, object]:
    """Return everything of a world that the store keeps, to be compared."""
    return {
        "executions": {
            execution.id: {
                "status": execution.status,
                "stop": (execution.stop_origin, execution.stop_reason),
                "begin": execution.begin_at_ms,
                "waits_for": execution.waits_for,
                "owner": execution.owner,
                "created": execution.created_offset,
                "ticks": execution.ticks,
                "states": execution.scope.states,
                "inbox": _inbox(execution.scope.inbox),
                "runs": {
                    run.task: (
                        run.sequence_number,
                        run.status,
                        run.try_number,
                        (run.begin_at_ms, run.end_at_ms, run.retry_at_ms),
                        (run.reason, run.stop_origin, run.then_start),
                        _attempt(run.attempt)
                        if run.status.value in ("QUEUED", "RUNNING", "STOPPING")
                        else None,
                    )
                    for run in execution.runs.values()
                },
            }
            for execution in world.executions.values()
        },
        "workflows": {
            workflow.id: (
                workflow.name,
                workflow.is_enabled,
                workflow.triggers.keys(),
                workflow.scope.states,
                _inbox(workflow.scope.inbox),
            )
            for workflow in world.workflows.values()
        },
    }


def _inbox(inbox: object) -> list[object]:
    return [(p.offset, p.key, dict(p.statuses), p.status_change, p.reported_status) for p in inbox]  # type: ignore[attr-defined]


def _attempt(attempt: object) -> tuple[object, ...]:
    return tuple(getattr(attempt, name) for name in ("id", "try_number", "claimed", "stop_requested"))


def this_process() -> ProcessIdentity:
    """Return who the process of the tests is."""
    return own_identity()
