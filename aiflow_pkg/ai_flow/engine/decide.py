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
from ai_flow.engine.lifecycle import IGNORED, Occurrence
from ai_flow.engine.periods import InvalidPeriodError, parse_period
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
    Workflow,
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

    #: The last ``claim`` left something in the queue although there was room for it.
    has_postponed = False

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
        try:
            due = _first_ticks(execution, self._now_ms)
        except InvalidPeriodError as error:
            # The file was loaded where croniter is missing, so nobody has found out before.
            self.fail_execution(execution.id, str(error))
            return
        execution.status = next_execution_status(execution.status, ExecutionSignal.START)
        execution.begin_at_ms = self._now_ms
        self._touch(execution)
        for task in execution.graph.tasks.values():
            if task.name in due:
                self._set_tick(execution, task.name, due[task.name])
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
        self._drop_inbox(execution.scope, "the execution was stopped")
        for task in list(execution.ticks):
            self._set_tick(execution, task, None)
        for run in list(execution.alive()):
            self._stop(execution, run.task, origin)
        self._settle()

    def give_up(self, execution_id: int, *, offset: int, reason: str) -> None:
        """End an execution FAILED that still waits for events, because they cannot come."""
        execution = self.world.executions.get(execution_id)
        if execution is None or execution.waits_for is None:
            refusal = f"workflow execution {execution_id} does not wait for events"
            self.changes.refusals.append((offset, refusal))
            return
        self.fail_execution(execution_id, reason)

    def fail_execution(self, execution_id: int, reason: str) -> None:
        """End an execution FAILED at once, whatever it is doing: nobody is there any more to do it."""
        execution = self.world.executions.get(execution_id)
        if execution is None:
            return
        self._touch(execution)
        self._drop_inbox(execution.scope, "the execution has failed")
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
        outcome = self._act(execution, task, action, StopOrigin.PERSON)
        if outcome.startswith(IGNORED):
            why = f"task '{task}' cannot be stopped: {outcome.removeprefix(IGNORED)}"
            self.changes.refusals.append((offset, why))
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
        """Claim up to ``slots`` queued runs for the own executor, oldest first; the caller launches them.

        A rule on RUNNING may stop or restart one that was claimed a moment before: that one is withdrawn and
        never launched. What restarts so is left to the next step (``has_postponed``): two tasks that restart
        each other would never let this one end.
        """
        claimed: list[tuple[Execution, TaskRun]] = []
        withdrawn: set[tuple[int, str]] = set()
        postponed: list[tuple[Execution, TaskRun]] = []
        for owner in owners:
            while len(claimed) < slots and (found := self._next_queued(owner)) is not None:
                execution, run = found
                if (execution.id, run.task) in withdrawn:
                    postponed.append(found)
                    continue
                self._claim(execution, run)
                claimed.append(found)
                while stopped := [pair for pair in claimed if pair[1].status is TaskStatus.STOPPING]:
                    for one, its_run in stopped:
                        withdrawn.add((one.id, its_run.task))
                        self._withdraw(one, its_run)
                claimed = [pair for pair in claimed if pair[1].status is TaskStatus.RUNNING]
        for execution, run in postponed:
            self.world.enqueue(execution, run)
        self.has_postponed = bool(postponed)
        return claimed

    def _next_queued(self, owner: str | None) -> tuple[Execution, TaskRun] | None:
        """Take the oldest run from the queue that still waits in it."""
        queue = self.world.queued.get(owner)
        while queue:
            execution_id, task = queue.popleft()
            execution = self.world.executions.get(execution_id)
            run = execution.runs.get(task) if execution else None
            if execution is None or run is None or run.attempt is None:
                continue
            if run.status is TaskStatus.QUEUED and not run.attempt.claimed:
                return execution, run
        return None

    def _claim(self, execution: Execution, run: TaskRun) -> None:
        assert run.attempt is not None
        run.attempt.claimed = True
        run.attempt.claimed_at_ms = self._now_ms
        self._note_attempt(execution, run)
        self._move(execution, run, TaskSignal.CLAIM)
        self._settle()

    def _withdraw(self, execution: Execution, run: TaskRun) -> None:
        """Stop a run that was claimed in this very step: nobody has seen the claim."""
        attempt = run.attempt
        assert attempt is not None
        attempt.claimed = attempt.stop_requested = False
        attempt.claimed_at_ms = None
        attempt.revoked = True
        self.changes.stops.remove(attempt.id)
        self._move(execution, run, TaskSignal.STOP)
        self._start_if_wanted(execution, run)
        self._settle()

    def outcome(self, outcome: Outcome) -> bool:
        """Apply the end of an attempt; return False when it is superseded and changes nothing."""
        found = self.world.run_of_attempt(outcome.attempt_id)
        if found is None:
            return False
        execution, run = found
        if run.status is TaskStatus.QUEUED and run.attempt is not None and run.attempt.claimed:
            # Its claim is in the store, but the event that tells of it has not been read yet.
            self._move(execution, run, TaskSignal.CLAIM)
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

    def put_workflow(self, workflow: Workflow) -> None:
        """Take the present form of a workflow's triggers; what waits for one that is gone goes on."""
        self.world.put_workflow(workflow)
        scope = workflow.scope
        if scope.waits_for is not None:
            scope.waits_for = None
            self.waiting.pop(scope.id, None)
        self.resume(scope)

    def remove_workflow(self, workflow_id: int) -> None:
        """Forget a workflow that has no triggers any more, and the events that waited for them."""
        workflow = self.world.workflows.get(workflow_id)
        if workflow is not None:
            self._drop_inbox(workflow.scope, "the workflow has no triggers any more")
            self.world.remove_workflow(workflow_id)

    def verdict(self, scope: Scope, rule: RuleId, verdict: Verdict) -> None:
        """Take the verdict that the head of an inbox waits for, and go on with the inbox."""
        if scope.waits_for != rule or not scope.inbox:
            return
        if verdict.offset not in (None, scope.inbox[0].offset):
            return
        scope.waits_for = None
        self.waiting.pop(scope.id, None)
        scope.inbox[0].verdicts[rule] = verdict
        self.resume(scope)

    def resume(self, scope: Scope) -> None:
        """Process an inbox until it is empty or its head waits for a host's verdict."""
        self._drain_inbox(scope)
        self._settle()


def _first_ticks(execution: Execution, now_ms: int) -> dict[str, int]:
    """Return when each periodic task is due first; raise ``InvalidPeriodError`` if that cannot be told."""
    expressions = {task.name: task.periodic_expression for task in execution.graph.tasks.values()}
    return {
        name: parse_period(expression).next_after(now_ms)
        for name, expression in expressions.items()
        if expression is not None
    }


def _unstarted(execution: Execution, reason: str) -> list[tuple[str, str]]:
    return [(name, reason) for name in execution.graph.tasks if name not in execution.runs]
