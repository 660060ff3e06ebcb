# SPDX-License-Identifier: Apache-2.0
"""A runner: one process that supervises tasks, and decides while it holds the scheduler lease.

It ties the scheduler to the executor, to the condition hosts and to the socket of its tasks, all on one
thread and one loop. A turn waits until something comes in, commits it in one step, and then does what the
step decided: acknowledge sends, start and stop processes, push events to listeners. Nothing is started
before its claim is durable, and no outcome is forgotten before its commit.

Polling the store always works; the wake file only makes it prompt. After a wake-up the store is polled at
once and then at growing intervals, because the hint can arrive before the commit is visible.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ai_flow.engine.world import RuleId, ScopeId, Verdict
from ai_flow.executor.attempt import AttemptFinished, AttemptSpec
from ai_flow.scheduler.scheduler import Inputs, Send, StepResult
from ai_flow.server.condition_asker import ConditionAsker
from ai_flow.server.facts import Facts
from ai_flow.server.gone_runners import GoneRunners
from ai_flow.server.parts import RunnerParts
from ai_flow.store.attempts import ClaimedAttempt
from ai_flow.store.launching import SnapshotFacts
from notification_service.database.errors import DatabaseError, is_passing
from notification_service.errors import NotificationError
from notification_service.gateway import PendingSend
from notification_service.reactor import Timer
from notification_service.wake import IDLE_POLL_S, PollPacing

_log = logging.getLogger(__name__)

#: The files of ended attempts are removed this long after their commit, off the path to the next task.
_TIDY_AFTER_S = 0.05
#: A wake-up so soon after a commit of our own is most likely its echo; a poll follows anyway.
_OWN_ECHO_S, _POLL_AFTER_COMMIT_S = 0.01, 0.02
#: Seconds before a failed commit is tried again.
_RETRY_COMMIT_S = 0.5


class Runner:
    """Takes turns: wait, commit what came in, do what was decided."""

    def __init__(self, parts: RunnerParts, *, stop_grace_s: float) -> None:
        self._parts = parts
        self._stop_grace_s = stop_grace_s
        self._facts = Facts(parts.store)
        self._asker = ConditionAsker(
            home=parts.home,
            store=parts.store,
            facts=self._facts,
            hosts=parts.hosts,
            on_verdict=self._take_verdict,
        )
        self._outcomes: list[AttemptFinished] = []
        self._verdicts: list[tuple[ScopeId, RuleId, Verdict]] = []
        self._sends: list[PendingSend] = []
        self._step_is_wanted = True
        self._step_not_before_s = 0.0
        #: Why the last commit failed, until one succeeds.
        self._trouble: str | None = None
        #: Attempts whose outcome is durable and whose files can go, when there is a quiet moment.
        self._settled: list[str] = []
        self._tidying: Timer | None = None
        self._committed_at_s = 0.0
        self._echo_poll_is_due = False
        self._gone_runners: list[str] = []
        self._pacing = PollPacing(parts.clock.monotonic_s)
        self._poll = parts.reactor.call_later(IDLE_POLL_S, self._poll_store)
        self._prepared: set[str] = set()
        self._gone = GoneRunners(
            parts.reactor, parts.home.run, parts.store, parts.scheduler.dead_runners, self._take_gone
        )

    # What comes in.

    def take_report(self, finished: AttemptFinished) -> None:
        """Take the end of an attempt from the executor."""
        if finished.superseded:
            self._parts.executor.acknowledge(finished.attempt_id)
            return
        self._outcomes.append(finished)
        self._step_is_wanted = True

    def want_step(self) -> None:
        """Have a step made in this turn: something was queued for it."""
        self._step_is_wanted = True

    def hint(self) -> None:
        """Poll the store soon: another process may have committed something."""
        # Our own commits touch the wake file too; what another process commits at the same moment is found
        # by the
        # one poll that follows.
        if self._parts.clock.monotonic_s() - self._committed_at_s < _OWN_ECHO_S:
            if not self._echo_poll_is_due:
                self._echo_poll_is_due = True
                self._parts.reactor.call_later(_POLL_AFTER_COMMIT_S, self._poll_after_echo)
            return
        self._pacing.hint()
        self._schedule_poll()

    def _poll_after_echo(self) -> None:
        self._echo_poll_is_due = False
        self._look_at_store()

    def tidy(self) -> None:
        """Remove the files of attempts whose outcome is committed."""
        self._tidying = None
        settled, self._settled = self._settled, []
        for attempt_id in settled:
            self._parts.executor.acknowledge(attempt_id)

    def _take_verdict(self, scope_id: ScopeId, rule: RuleId, verdict: Verdict) -> None:
        self._verdicts.append((scope_id, rule, verdict))
        self._step_is_wanted = True

    # Turns.

    def begin(self) -> None:
        """Take the first step; then look after what others left: this process may be a short one."""
        self.step()
        self._gone.look()

    def turn(self, max_wait_s: float | None = None) -> None:
        """Wait for something to do, at most ``max_wait_s``, and do it."""
        self._parts.reactor.run_once(self._wait_s(max_wait_s))
        if self._step_is_wanted and self._parts.clock.monotonic_s() >= self._step_not_before_s:
            self.step()

    def step(self) -> None:
        """Commit everything that came in, and do what that decides."""
        self._step_is_wanted = False
        self._sends += self._parts.gateway.take_sends()
        inputs = Inputs(
            sends=[
                Send(drafts=send.drafts, producer=send.producer, sequence=send.sequence)
                for send in self._sends
            ],
            outcomes=self._outcomes,
            verdicts=self._verdicts,
            free_slots=self._parts.executor.free_slots(),
            gone_runners=self._gone_runners,
        )
        try:
            result = self._parts.scheduler.step(inputs)
        except DatabaseError as error:
            if not is_passing(error):
                raise
            self._postpone(error)
            return
        self._trouble = None
        self._carry_out(result)

    def _postpone(self, error: DatabaseError) -> None:
        """Tell senders that it failed; keep what must not be forgotten for the next try."""
        if self._trouble != str(error):
            self._trouble = str(error)
            _log.error("runner.commit_failed error=%s", error)
        for send in self._sends:
            self._parts.gateway.reject(send, error)
        self._sends = []
        self._step_is_wanted = True
        self._step_not_before_s = self._parts.clock.monotonic_s() + _RETRY_COMMIT_S

    def _carry_out(self, result: StepResult) -> None:
        for launch in result.launches:
            self._launch(launch)
        for attempt_id in result.stops:
            self._parts.executor.stop(attempt_id, grace_s=self._stop_grace_s)
        for send, stored in zip(self._sends, result.stored, strict=True):
            if isinstance(stored, NotificationError):
                self._parts.gateway.reject(send, stored)
            else:
                self._parts.gateway.acknowledge(send, stored)
        self._settled += [finished.attempt_id for finished in self._outcomes]
        if self._settled and self._tidying is None:
            self._tidying = self._parts.reactor.call_later(_TIDY_AFTER_S, self.tidy)
        self._sends, self._outcomes, self._verdicts = [], [], []
        if self._gone_runners:
            self._gone_runners = []
            self._gone.accounted()
        self._committed_at_s = self._parts.clock.monotonic_s()
        self._parts.gateway.after_commit()
        self._asker.ask(self._parts.scheduler.engine)
        self._step_is_wanted = self._step_is_wanted or result.more

    def _wait_s(self, max_wait_s: float | None) -> float | None:
        now_s = self._parts.clock.monotonic_s()
        waits = [max_wait_s] if max_wait_s is not None else []
        if self._step_is_wanted:
            waits.append(max(0.0, self._step_not_before_s - now_s))
        due_ms = self._parts.scheduler.next_due_ms()
        if due_ms is not None:
            until_due_s = (due_ms - self._parts.clock.now_ms()) / 1000
            if until_due_s <= 0:
                self._step_is_wanted = True
            waits.append(max(0.0, until_due_s))
        return min(waits, default=None)

    # Looking at the store.

    def _schedule_poll(self) -> None:
        self._poll.cancel()
        self._poll = self._parts.reactor.call_later(self._pacing.wait_s(), self._poll_store)

    def _poll_store(self) -> None:
        self._look_at_store()
        self._schedule_poll()

    def _look_at_store(self) -> None:
        free_slots = self._parts.executor.free_slots()
        if not self._step_is_wanted and self._parts.scheduler.has_news(free_slots=free_slots):
            self._step_is_wanted = True
        # Another process may have committed what only a listener of ours waits for.
        self._parts.gateway.after_commit()

    def _take_gone(self, runner_ids: list[str]) -> None:
        self._gone_runners = runner_ids
        self._step_is_wanted = True

    # Launching.

    def _launch(self, claimed: ClaimedAttempt) -> None:
        snapshot = self._facts.snapshot(claimed.snapshot_id)
        is_python = snapshot.tasks[claimed.task]["kind"] == "python"
        if is_python and snapshot.bundle not in self._prepared:
            self._prepared.add(snapshot.bundle)
            bundle_dir = self._parts.home.snapshots / snapshot.bundle
            self._parts.executor.prepare(snapshot.bundle, bundle_dir, snapshot.entry, snapshot.imports)
        self._parts.executor.launch(self._spec(claimed, snapshot))

    def _spec(self, claimed: ClaimedAttempt, snapshot: SnapshotFacts) -> AttemptSpec:
        execution = self._facts.execution(claimed.execution_id)
        task: Mapping[str, Any] = snapshot.tasks[claimed.task]
        home = self._parts.home
        return AttemptSpec(
            attempt_id=claimed.attempt_id,
            workflow_execution_id=claimed.execution_id,
            workflow_name=snapshot.workflow,
            namespace=snapshot.namespace,
            task_name=claimed.task,
            sequence_number=claimed.sequence_number,
            try_number=claimed.try_number,
            kind=task["kind"],
            bash_command=task["bash_command"],
            task=task,
            task_names=list(snapshot.tasks) if task["kind"] == "python" else (),
            bundle_dir=home.snapshots / snapshot.bundle,
            entry=snapshot.entry,
            working_dir=home.working_dir / snapshot.workflow / str(claimed.execution_id),
            log_path=home.log_of(
                snapshot.workflow,
                claimed.execution_id,
                claimed.task,
                claimed.sequence_number,
                claimed.try_number,
            ),
            env=task["env"],
            params=execution.params,
            timeout_s=task["timeout"],
            stop_grace_s=self._stop_grace_s,
            snapshot=snapshot.bundle,
        )
