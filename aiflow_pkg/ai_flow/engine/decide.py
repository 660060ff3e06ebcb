# SPDX-License-Identifier: Apache-2.0
"""The decisions: what an event, an outcome, a tick or a command changes.

Promises: no I/O, no clock, no randomness. The time, the next offset and fresh attempt ids are inputs, so
the same inputs give the same changes. Within one step everything happens in a single order: a transition,
the event that announces it and the evaluation of all rules on that event follow each other at once, so no
rule can see a status without having seen its event, or see one event twice.

Left to the scheduler: reading the log, loading rows that a command names, asking condition hosts, and
writing the changes in one transaction with the cursor.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from ai_flow.engine.delivery import Delivery
from ai_flow.engine.ending import Ending
from ai_flow.engine.lifecycle import Occurrence
from ai_flow.engine.periods import parse_period
from ai_flow.engine.states import (
    FINISHED_TASK,
    ExecutionSignal,
    TaskSignal,
    next_execution_status,
)
from ai_flow.engine.world import (
    Execution,
    RuleId,
    Scope,
    StopOrigin,
    TaskRun,
    Verdict,
)
from ai_flow.model.action import TaskAction
from ai_flow.model.status import TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the process of an attempt ended."""

    attempt_id: str
    #: SUCCESS, FAILED, STOPPED, LOST (it vanished) or NEVER_STARTED (proven).
    outcome: str
    reason: str | None = None


class Engine(Delivery):
    """Applies inputs to a world and collects the changes of one step."""

    def adopt(self, execution: Execution) -> None:
        """Take a loaded execution into the world with its timers."""
        self.world.add_execution(execution)
        for run in execution.runs.values():
            if run.status is TaskStatus.RETRYING and run.retry_at_ms is not None:
                heapq.heappush(self.due, (run.retry_at_ms, execution.id, run.task))
        for task, due_ms in execution.ticks.items():
            heapq.heappush(self.due, (due_ms, execution.id, task))

    def event(self, occurrence: Occurrence) -> None:
        """Apply an event of the log."""
        self._occurrences.append(occurrence)
        self._settle()

    def start_execution(self, execution: Execution) -> None:
        """Start a new execution: its tasks without a START rule begin, its periodic ones get their timers."""
        self.adopt(execution)
        execution.status = next_execution_status(execution.status, ExecutionSignal.START)
        execution.begin_at_ms = self._now_ms
        self._touch(execution)
        for task in execution.graph.tasks.values():
            if task.periodic_expression is not None:
                self._set_tick(
                    execution, task.name, parse_period(task.periodic_expression).next_after(self._now_ms)
                )
            if task.starts_with_execution:
                self._start(execution, task.name)
        self._settle()

    def stop_execution(
        self, execution_id: int, *, offset: int, origin: StopOrigin, reason: str | None
    ) -> None:
        """Stop everything of an execution; it is STOPPED once nothing of it runs."""
        execution = self.world.executions.get(execution_id)
        if execution is None:
            self.changes.refusals.append((offset, f"workflow execution {execution_id} is not running"))
            return
        execution.stop_origin = origin
        execution.stop_reason = reason
        self._touch(execution)
        self._drop_inbox(execution.scope)
        for task in list(execution.ticks):
            self._set_tick(execution, task, None)
        for run in list(execution.alive()):
            run.then_start = False
            self._stop(execution, run.task, origin)
        self._settle()

    def fail_execution(self, execution_id: int, reason: str) -> None:
        """End an execution FAILED at once: its process is gone, or what it waits for cannot come."""
        execution = self.world.executions.get(execution_id)
        if execution is None:
            return
        self._touch(execution)
        self._drop_inbox(execution.scope)
        for task in list(execution.ticks):
            self._set_tick(execution, task, None)
        execution.stop_origin = StopOrigin.RULE
        for run in list(execution.alive()):
            run.then_start = False
            run.reason = reason
            if run.status is TaskStatus.STOPPING:
                self._move(execution, run, TaskSignal.STOP)
            else:
                self._move(execution, run, TaskSignal.FAIL)
        self._end(execution, Ending(ExecutionSignal.FAIL, reason, _unstarted(execution, reason)))
        self._settle()

    def command_task(
        self, execution_id: int, task: str, action: TaskAction, *, offset: int, sequence_number: int | None
    ) -> None:
        """Carry out a person's START, STOP or RESTART of one task, or record why not."""
        execution = self.world.executions.get(execution_id)
        refusal = None
        if execution is None or execution.is_stopping:
            refusal = f"workflow execution {execution_id} is not running"
        elif task not in execution.graph.tasks:
            refusal = f"workflow execution {execution_id} has no task '{task}'"
        else:
            run = execution.runs.get(task)
            next_number = run.sequence_number + 1 if run else 1
            if action is TaskAction.START and run is not None and run.is_alive:
                refusal = f"task '{task}' is {run.status.value}"
            elif sequence_number not in (None, next_number) and action is TaskAction.START:
                refusal = f"task '{task}' was started by something else first"
        if execution is None or refusal is not None:
            self.changes.refusals.append((offset, refusal or ""))
            return
        self._touch(execution)
        self._act(execution, task, action, StopOrigin.PERSON)
        self._settle()

    def claimed(self, attempt_id: str) -> None:
        """Note that another process claimed an attempt and starts it."""
        found = self.world.run_of_attempt(attempt_id)
        if found is None:
            return
        execution, run = found
        assert run.attempt is not None
        run.attempt.claimed = run.attempt.is_claim_stored = True
        if run.status is TaskStatus.QUEUED:
            self._move(execution, run, TaskSignal.CLAIM)
        self._settle()

    def claim(self, owners: Iterable[str | None], slots: int) -> list[tuple[Execution, TaskRun]]:
        """Claim up to ``slots`` queued runs for the own executor, oldest first; the caller launches them."""
        claimed: list[tuple[Execution, TaskRun]] = []
        for owner in owners:
            queue = self.world.queued.get(owner)
            while queue and len(claimed) < slots:
                execution_id, task = queue.popleft()
                execution = self.world.executions.get(execution_id)
                run = execution.runs.get(task) if execution else None
                if (
                    execution is None
                    or run is None
                    or run.attempt is None
                    or run.status is not TaskStatus.QUEUED
                ):
                    continue
                if run.attempt.claimed:
                    continue
                run.attempt.claimed = True
                run.attempt.claimed_at_ms = self._now_ms
                self._note_attempt(execution, run)
                self._move(execution, run, TaskSignal.CLAIM)
                claimed.append((execution, run))
                self._settle()
        # A rule on RUNNING may have stopped one of them again: that one is never launched.
        launched = [(execution, run) for execution, run in claimed if run.status is TaskStatus.RUNNING]
        for execution, run in claimed:
            if run.status is TaskStatus.STOPPING and run.attempt is not None:
                run.attempt.revoked = True
                self._note_attempt(execution, run)
                self._move(execution, run, TaskSignal.STOP)
                self._start_if_wanted(execution, run)
        self._settle()
        return launched

    def outcome(self, outcome: Outcome) -> bool:
        """Apply the end of an attempt; return False when it is superseded and changes nothing."""
        found = self.world.run_of_attempt(outcome.attempt_id)
        if found is None:
            return False
        execution, run = found
        if run.status not in (TaskStatus.RUNNING, TaskStatus.STOPPING):
            return False
        self._touch(execution)
        self.world.forget_attempt(outcome.attempt_id)
        run.attempt = None
        run.reason = outcome.reason
        if outcome.outcome == "SUCCESS":
            self._move(execution, run, TaskSignal.SUCCEED)
        elif run.status is TaskStatus.STOPPING:
            self._move(execution, run, TaskSignal.STOP)
        elif outcome.outcome == "NEVER_STARTED":
            self._move(execution, run, TaskSignal.UNCLAIM)
            self._queue_attempt(execution, run)
        else:
            self._fail_or_retry(execution, run)
        self._start_if_wanted(execution, run)
        self._settle()
        return True

    def _start_if_wanted(self, execution: Execution, run: TaskRun) -> None:
        """Start the run that was to follow this one once it is gone."""
        if run.then_start and run.status in FINISHED_TASK and not execution.is_stopping:
            self._start(execution, run.task)

    def run_due(self) -> None:
        """Carry out the retries and ticks that are due."""
        while self.due and self.due[0][0] <= self._now_ms:
            due_ms, execution_id, task = heapq.heappop(self.due)
            execution = self.world.executions.get(execution_id)
            if execution is None:
                continue
            run = execution.runs.get(task)
            if run is not None and run.status is TaskStatus.RETRYING and run.retry_at_ms == due_ms:
                self._touch(execution)
                run.try_number += 1
                run.retry_at_ms = None
                run.reason = None
                self._move(execution, run, TaskSignal.QUEUE)
                self._queue_attempt(execution, run)
            elif execution.ticks.get(task) == due_ms:
                self._tick(execution, task, due_ms)
            self._settle()

    def verdict(self, scope: Scope, rule: RuleId, verdict: Verdict) -> None:
        """Take the verdict that the head of an inbox waits for, and go on with the inbox."""
        if scope.waits_for != rule or not scope.inbox:
            return
        scope.waits_for = None
        self.waiting.pop(scope.id, None)
        scope.inbox[0].verdicts[rule] = verdict
        self.resume(scope)

    def resume(self, scope: Scope) -> None:
        """Process an inbox until it is empty or its head waits for a host's verdict."""
        self._drain_inbox(scope)
        self._settle()


def _unstarted(execution: Execution, reason: str) -> list[tuple[str, str]]:
    return [(name, reason) for name in execution.graph.tasks if name not in execution.runs]
