# SPDX-License-Identifier: Apache-2.0
"""One pass of deciding: everything that has come in, decided and committed in one transaction.

A step takes what is pending (events sent by tasks, new events of the log, outcomes, verdicts, due timers),
applies it to the engine's world and writes changes, new events, claims and the cursor in a single
transaction under the scheduler lease. Its result says what to do now that it is durable: processes to start
and to stop.

When another process holds the lease, a step only appends what its tasks sent, claims the attempts of its
own executions and reports their outcomes; the holder decides. Which of the two applies is settled by the
lease inside the transaction, never by belief. After a failed commit the world is loaded again and every
input may be given again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ai_flow.engine.changes import EmittedEvent, ExecutionRequest
from ai_flow.engine.decide import Engine, Outcome
from ai_flow.engine.world import Execution, RuleId, ScopeId, TaskRun, Verdict, World
from ai_flow.model.execution_type import ExecutionType
from ai_flow.scheduler.command_input import apply_command
from ai_flow.scheduler.log_input import SCHEDULER_SENDER, is_command, is_own, occurrence_of, offset_of
from ai_flow.store import attempts, runners, world_store
from ai_flow.store.attempts import ClaimedAttempt, FinishedAttempt
from ai_flow.store.commands import Commands
from ai_flow.store.world_store import GraphCache, StaleWorldError
from ai_flow_ha.lease import Lease, LeaseLostError
from notification_service.clock import Clock
from notification_service.database.errors import DatabaseError
from notification_service.database.port import Database, WriteTransaction
from notification_service.errors import NotificationError
from notification_service.event_log import EventLog
from notification_service.model.event import Event

_log = logging.getLogger(__name__)

#: Events applied in one step: about 50 ms of work. With more waiting, the next step follows at once.
_MAX_EVENTS = 500
#: How often a step is tried when the world turns out to be stale; once would do, unless two things coincide.
_MAX_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Events that a task sent and waits to have acknowledged."""

    drafts: Sequence[Event]
    producer: str | None = None
    sequence: int | None = None


@dataclass(slots=True, kw_only=True)
class Inputs:
    """What has come in since the last step, besides the log."""

    sends: Sequence[Send] = ()
    outcomes: Sequence[FinishedAttempt] = ()
    verdicts: Sequence[tuple[ScopeId, RuleId, Verdict]] = ()
    free_slots: int = 0
    #: Supervising processes that died, and of whose tasks no process is left.
    gone_runners: Sequence[str] = ()


@dataclass(slots=True)
class StepResult:
    """What a committed step wants done; ``stored`` are the events of each send, in order, or why not."""

    stored: list[list[Event] | NotificationError] = field(
        default_factory=list["list[Event] | NotificationError"]
    )
    launches: list[ClaimedAttempt] = field(default_factory=list[ClaimedAttempt])
    stops: list[str] = field(default_factory=list[str])
    finished: list[Execution] = field(default_factory=list[Execution])
    #: There is more to do than fits into one step.
    more: bool = False


class Scheduler:
    """Decides for all executions of the home while it holds the lease, and follows while it does not."""

    def __init__(
        self,
        *,
        database: Database,
        log: EventLog,
        clock: Clock,
        lease: Lease,
        runner_id: str,
        takes_unowned: bool,
        new_attempt_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._log = log
        self._clock = clock
        self._lease = lease
        self._runner_id = runner_id
        #: Whose tasks this process runs: its own executions', and nobody's if it is told so.
        self._owners: tuple[str | None, ...] = (runner_id, None) if takes_unowned else (runner_id,)
        self._new_attempt_id = new_attempt_id
        self._commands = Commands(log)
        self._graphs = GraphCache()
        self._cursor = 0
        self._engine: Engine | None = None
        self._stopping: set[str] = set()

    @property
    def engine(self) -> Engine | None:
        """The engine while this process decides; None while it follows."""
        return self._engine

    def next_due_ms(self) -> int | None:
        """Return when a timer is due; None when this process follows or has none."""
        return self._engine.next_due_ms() if self._engine else None

    def has_news(self, *, free_slots: int) -> bool:
        """Tell, without writing, whether the store holds something that a step would act on."""
        with self._database.read() as tx:
            if self._engine is not None:
                return self._lease.renewal_is_due or self._log.head(tx) > self._cursor
            if self._lease.may_be_taken(tx):
                return True
            return attempts.has_work_for(
                tx, self._owners, self._runner_id, known=self._stopping, free_slots=free_slots
            )

    def dead_runners(self) -> list[str]:
        """Return, without writing, the supervising processes that died; none while another one decides."""
        if self._engine is None:
            return []
        with self._database.read() as tx:
            return runners.find_gone(tx)

    def step(self, inputs: Inputs) -> StepResult:
        """Take everything in, decide, commit; return what to do now."""
        for _ in range(_MAX_TRIES):
            try:
                return self._try_step(inputs)
            except LeaseLostError as error:
                _log.warning("scheduler.superseded runner=%s term=%s", self._runner_id, error.term)
                self._engine = None
                self._lease.forget()
            except StaleWorldError as error:
                _log.warning("scheduler.reload runner=%s reason=%s", self._runner_id, error)
                self._engine = None
            except BaseException:
                # Whatever was applied to the world is not in the store: load it anew next time.
                self._engine = None
                raise
        raise StaleWorldError("The store")

    def resign(self, *, leaves_work: bool = False) -> None:
        """Give the lease back so that another process decides at once, and say that this one ends.

        One that ``leaves_work`` does not say so: the next to decide finds it gone and ends what it owned.
        """
        with self._database.write() as tx:
            self._lease.resign(tx)
            if not leaves_work:
                runners.end(tx, self._runner_id, now_ms=self._clock.now_ms())
        self._engine = None

    def _try_step(self, inputs: Inputs) -> StepResult:
        result = StepResult()
        now_ms = self._clock.now_ms()
        with self._database.write() as tx:
            result.stored += [self._append(tx, send, now_ms) for send in inputs.sends]
            decided = self._decide(tx, now_ms, inputs, result) if self._is_leader(tx) else None
            if decided is None:
                self._follow(tx, now_ms, inputs, result)
        if decided is not None:
            decided.note_committed()
            self._cursor = decided.cursor
        self._stopping.update(result.stops)
        self._stopping.difference_update(outcome.attempt_id for outcome in inputs.outcomes)
        return result

    def _append(self, tx: WriteTransaction, send: Send, now_ms: int) -> list[Event] | NotificationError:
        """Append what a task sent; what is wrong with it is its sender's affair and nobody else's."""
        try:
            return self._log.append_in(
                tx, send.drafts, now_ms=now_ms, producer=send.producer, sequence=send.sequence
            )
        except DatabaseError:
            raise
        except NotificationError as error:
            return error

    def _is_leader(self, tx: WriteTransaction) -> bool:
        if self._lease.is_held:
            self._lease.check_term(tx)
            return True
        return self._lease.take(tx)

    # Deciding.

    def _decide(self, tx: WriteTransaction, now_ms: int, inputs: Inputs, result: StepResult) -> _Decided:
        is_fresh = self._engine is None
        engine = self._engine or self._load(tx)
        head = self._log.head(tx)
        engine.begin(now_ms=now_ms, next_offset=head + 1)
        if is_fresh:
            engine.resume_all()
            result.stops += self._own_stops(tx)
        tail = self._log.read_after(tx, self._cursor, limit=_MAX_EVENTS)
        for event in tail:
            self._apply(tx, engine, event)
        is_behind = bool(tail) and offset_of(tail[-1]) < head
        if not is_behind:
            # What the dead did last is in the log: an end that they reported, a start that they asked for.
            self._account_for_gone(tx, engine, inputs.gone_runners, now_ms)
        self._apply_outcomes(tx, engine, inputs.outcomes)
        for scope_id, rule, verdict in inputs.verdicts:
            scope = engine.world.scope(scope_id)
            if scope is not None:
                engine.verdict(scope, rule, verdict)
        engine.run_due()
        self._append_emitted(tx, engine, now_ms)
        self._create_requested(tx, engine, now_ms, start_now=not is_behind)
        self._claim(tx, engine, now_ms, inputs.free_slots, result, is_behind=is_behind)
        result.stops += engine.changes.stops
        result.finished += engine.changes.finished
        result.more = is_behind or engine.has_postponed
        cursor = offset_of(tail[-1]) if is_behind else self._log.head(tx)
        if cursor != self._cursor:
            world_store.move_cursor(tx, from_offset=self._cursor, to_offset=cursor)
        folds = world_store.write_changes(tx, engine.changes, now_ms=now_ms, runner_id=self._runner_id)
        return _Decided(engine, folds, cursor)

    def _claim(
        self,
        tx: WriteTransaction,
        engine: Engine,
        now_ms: int,
        free_slots: int,
        result: StepResult,
        *,
        is_behind: bool,
    ) -> None:
        """Claim what may run here; that it runs can meet a trigger, whose execution may run as well."""
        owners = self._owners if not is_behind else (self._runner_id,)
        while True:
            claimed = engine.claim(owners, free_slots - len(result.launches))
            result.launches += [_claimed(*run) for run in claimed]
            self._append_emitted(tx, engine, now_ms)
            if not engine.changes.requests:
                return
            self._create_requested(tx, engine, now_ms, start_now=not is_behind)

    def _load(self, tx: WriteTransaction) -> Engine:
        """Load the world as of the cursor; an execution whose START is still to come is loaded with it."""
        world = World()
        world.own_owners = frozenset(self._owners)
        engine = Engine(world, self._new_attempt_id)
        self._cursor = world_store.read_cursor(tx)
        for execution in world_store.load_live_executions(tx, self._graphs):
            if execution.created_offset <= self._cursor:
                engine.adopt(execution)
        for workflow in world_store.load_triggered_workflows(tx):
            world.put_workflow(workflow)
        for scope_id, parked in world_store.load_inboxes(tx):
            scope = world.scope(scope_id)
            if scope is not None:
                scope.inbox.append(parked)
        self._engine = engine
        return engine

    def _apply(self, tx: WriteTransaction, engine: Engine, event: Event) -> None:
        if is_own(event):
            return
        if is_command(event):
            apply_command(tx, engine, self._graphs, event)
        else:
            engine.event(occurrence_of(event))

    def _apply_outcomes(
        self, tx: WriteTransaction, engine: Engine, outcomes: Sequence[FinishedAttempt]
    ) -> None:
        for outcome in outcomes:
            if attempts.finish(tx, outcome):
                word = attempts.outcome_word(outcome)
                engine.outcome(Outcome(attempt_id=outcome.attempt_id, outcome=word, reason=outcome.reason))

    def _append_emitted(self, tx: WriteTransaction, engine: Engine, now_ms: int) -> None:
        emitted = engine.changes.events
        if not emitted:
            return
        engine.changes.events = []
        stored = self._log.append_in(tx, [_draft(event) for event in emitted], now_ms=now_ms)
        # Rules were evaluated, and rows written, under these offsets.
        assert [event.offset for event in stored] == [event.offset for event in emitted]

    def _create_requested(
        self, tx: WriteTransaction, engine: Engine, now_ms: int, *, start_now: bool
    ) -> None:
        """Create the executions that triggers ask for; starting one may meet further triggers."""
        while engine.changes.requests:
            request = engine.changes.requests.pop(0)
            before = self._log.head(tx)
            self._create(tx, request, now_ms)
            engine.set_next_offset(self._log.head(tx) + 1)
            if start_now:
                for event in self._log.read_after(tx, before, limit=1):
                    self._apply(tx, engine, event)
                self._append_emitted(tx, engine, now_ms)

    def _create(self, tx: WriteTransaction, request: ExecutionRequest, now_ms: int) -> None:
        snapshot_id = world_store.latest_snapshot(tx, request.workflow_id)
        if snapshot_id is not None:
            self._commands.create_execution(
                tx,
                workflow_id=request.workflow_id,
                snapshot_id=snapshot_id,
                run_type=ExecutionType.EVENT,
                trigger_id=request.trigger_id,
                now_ms=now_ms,
            )

    def _account_for_gone(
        self, tx: WriteTransaction, engine: Engine, runner_ids: Sequence[str], now_ms: int
    ) -> None:
        """End what belonged to dead supervising processes: their executions, and nobody's that they ran."""
        for runner_id in runner_ids:
            runners.end(tx, runner_id, now_ms=now_ms)
            for execution in [e for e in engine.world.executions.values() if e.owner == runner_id]:
                engine.fail_execution(execution.id, "owner gone: the process that ran it ended unexpectedly")
            for attempt_id in attempts.open_of_runner(tx, None, runner_id):
                reason = "lost: its supervisor died"
                if attempts.lose(tx, attempt_id, reason=reason, now_ms=now_ms):
                    engine.outcome(Outcome(attempt_id=attempt_id, outcome="LOST", reason=reason))

    def _own_stops(self, tx: WriteTransaction) -> list[str]:
        return attempts.stops_requested(tx, self._owners, self._runner_id, known=self._stopping)

    # Following.

    def _follow(self, tx: WriteTransaction, now_ms: int, inputs: Inputs, result: StepResult) -> None:
        """Do what needs no decision; the holder of the lease reads the reports from the log."""
        self._engine = None
        for outcome in inputs.outcomes:
            if attempts.finish(tx, outcome):
                word = attempts.outcome_word(outcome)
                self._commands.report_outcome(tx, outcome.attempt_id, word, outcome.reason, now_ms=now_ms)
        for attempt_id in attempts.stopped_before_claim(tx, self._owners):
            if attempts.finish_unclaimed(tx, attempt_id, now_ms=now_ms):
                self._commands.report_outcome(tx, attempt_id, "STOPPED", None, now_ms=now_ms)
        result.stops += self._own_stops(tx)
        result.launches += attempts.claim(
            tx, self._owners, self._runner_id, limit=inputs.free_slots, now_ms=now_ms
        )
        for launch in result.launches:
            self._commands.report_claim(tx, launch.attempt_id, now_ms=now_ms)


@dataclass(frozen=True, slots=True)
class _Decided:
    """What to note once the decisions are durable."""

    engine: Engine
    folds: list[world_store.Fold]
    cursor: int

    def note_committed(self) -> None:
        world_store.note_committed(self.engine.changes, self.folds)


def _claimed(execution: Execution, run: TaskRun) -> ClaimedAttempt:
    assert run.attempt is not None
    return ClaimedAttempt(
        attempt_id=run.attempt.id,
        execution_id=execution.id,
        snapshot_id=execution.snapshot_id,
        task=run.task,
        sequence_number=run.sequence_number,
        try_number=run.try_number,
    )


def _draft(event: EmittedEvent) -> Event:
    draft = Event(event.key, event.value)
    draft.namespace = event.namespace
    draft.sender = SCHEDULER_SENDER
    draft.context = json.dumps(dict(event.context))
    return draft
