# SPDX-License-Identifier: Apache-2.0
"""How runs and executions live: starting, stopping, retrying, ticking and ending.

Every transition goes through the tables of ``states``, is noted in the changes of the step and, where it is
one that rules may listen to, announced by an event whose delivery to rules is queued here and done by
``delivery``.
"""

from __future__ import annotations

import collections
import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ai_flow.engine.changes import Changes, EmittedEvent
from ai_flow.engine.ending import Ending, Waiting, ending_of
from ai_flow.engine.periods import latest_due, parse_period
from ai_flow.engine.states import (
    ANNOUNCED_TASK,
    FINISHED_TASK,
    TaskSignal,
    next_execution_status,
    next_task_status,
)
from ai_flow.engine.world import (
    Attempt,
    Execution,
    Scope,
    ScopeId,
    StopOrigin,
    TaskRun,
    World,
)
from ai_flow.model.action import TaskAction
from ai_flow.model.status import TaskStatus, WorkflowStatus

#: Key and values of the internal events (behaviour 2.1).
SCHEDULING_KEY = "AIFLOW_SCHEDULING_EVENT"
PERIODIC_RUN_TASK = "PERIODIC_RUN_TASK"
TASK_STATUS_CHANGED = "TASK_STATUS_CHANGED"

#: How the outcome of an action begins that changed nothing.
IGNORED = "ignored: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """An event as the engine needs it; ``execution_id`` is the one that its context names."""

    offset: int
    namespace: str
    key: str
    execution_id: int | None = None
    status_change: tuple[str, TaskStatus] | None = None
    reported_status: str | None = None
    #: Statuses as of the event where they may have moved on since; None: as they are.
    statuses: Mapping[str, TaskStatus] | None = None


class Lifecycle:
    """What can happen to the runs and executions of a world, and the changes that it makes."""

    def __init__(self, world: World, new_attempt_id: Callable[[], str]) -> None:
        self.world = world
        self.changes = Changes()
        #: Due times of retries and ticks: (due_ms, execution id, task); entries may be out of date.
        self.due: list[tuple[int, int, str]] = []
        #: Scopes whose inbox waits for a verdict of a condition host.
        self.waiting: dict[ScopeId, Scope] = {}
        self._new_attempt_id = new_attempt_id
        self._occurrences: collections.deque[Occurrence] = collections.deque()
        self._touched: dict[int, Execution] = {}
        self._now_ms = 0
        self._next_offset = 0

    def begin(self, *, now_ms: int, next_offset: int) -> None:
        """Start a step: emitted events get offsets from ``next_offset`` on."""
        self.changes = Changes()
        self._now_ms = now_ms
        self._next_offset = next_offset

    def set_next_offset(self, next_offset: int) -> None:
        """Say which offset the next emitted event gets: something else was appended in between."""
        self._next_offset = next_offset

    def next_due_ms(self) -> int | None:
        """Return when the next retry or tick may be due."""
        return self.due[0][0] if self.due else None

    def _touch(self, execution: Execution) -> None:
        self._touched[execution.id] = execution
        self.changes.executions[execution.id] = execution

    def _start(self, execution: Execution, task: str) -> str:
        run = execution.runs.get(task)
        if run is not None and run.status is TaskStatus.STOPPING:
            run.then_start = True
            self._note_run(execution, run)
            return "starts when the stopping run is gone"
        if run is not None and run.is_alive:
            return f"{IGNORED}alive"
        number = run.sequence_number + 1 if run else 1
        run = TaskRun(task=task, sequence_number=number, begin_at_ms=self._now_ms)
        execution.runs[task] = run
        self._arm(execution, task)
        self._move(execution, run, TaskSignal.QUEUE)
        self._queue_attempt(execution, run)
        return "started"

    def _stop(self, execution: Execution, task: str, origin: StopOrigin) -> str:
        """Stop a task for good: its run, and if it is periodic its ticks until something starts it again."""
        run = execution.runs.get(task)
        if task in execution.ticks:
            self._set_tick(execution, task, None)
            if run is None or not run.is_alive:
                return "ticks no more"
        return self._stop_run(execution, task, origin)

    def _stop_run(self, execution: Execution, task: str, origin: StopOrigin) -> str:
        run = execution.runs.get(task)
        if run is None:
            return f"{IGNORED}never run"
        if not run.is_alive:
            return f"{IGNORED}not running"
        if run.status is TaskStatus.STOPPING:
            return self._take_back_start(execution, run)
        run.stop_origin = origin
        run.retry_at_ms = None
        attempt = run.attempt
        if run.status is TaskStatus.RETRYING or attempt is None:
            self._move(execution, run, TaskSignal.STOP)
            return "stopped"
        if run.status is TaskStatus.QUEUED and not attempt.claimed:
            # If another process claims it just now, the guard of this write fails and all is decided anew.
            attempt.revoked = True
            self._note_attempt(execution, run)
            self._move(execution, run, TaskSignal.STOP)
            return "stopped"
        # Its process may be starting just now: whoever claimed it reports when it is gone.
        attempt.stop_requested = True
        self._note_attempt(execution, run)
        self.changes.stops.append(attempt.id)
        self._move(execution, run, TaskSignal.ASK_TO_STOP)
        return "stopping"

    def _take_back_start(self, execution: Execution, run: TaskRun) -> str:
        if not run.then_start:
            return f"{IGNORED}stopping already"
        run.then_start = False
        self._note_run(execution, run)
        return "does not start again"

    def _restart(self, execution: Execution, task: str, origin: StopOrigin) -> str:
        run = execution.runs.get(task)
        if run is None or not run.is_alive:
            return self._start(execution, task)
        self._stop_run(execution, task, origin)
        if run.status in FINISHED_TASK:
            return self._start(execution, task)
        run.then_start = True
        self._note_run(execution, run)
        return "restarts when the present run is gone"

    def _act(self, execution: Execution, task: str, action: TaskAction, origin: StopOrigin) -> str:
        if action is TaskAction.START:
            return self._start(execution, task)
        if action is TaskAction.STOP:
            return self._stop(execution, task, origin)
        return self._restart(execution, task, origin)

    def _fail_or_retry(self, execution: Execution, run: TaskRun) -> None:
        task = execution.graph.tasks[run.task]
        if execution.is_stopping or run.try_number > task.retries:
            self._move(execution, run, TaskSignal.FAIL)
            return
        run.retry_at_ms = self._now_ms + round(task.retry_delay_after(run.try_number) * 1000)
        heapq.heappush(self.due, (run.retry_at_ms, execution.id, run.task))
        self._move(execution, run, TaskSignal.RETRY)

    def _tick(self, execution: Execution, task: str, due_ms: int) -> None:
        expression = execution.graph.tasks[task].periodic_expression
        assert expression is not None
        period = parse_period(expression)
        self._set_tick(execution, task, period.next_after(latest_due(period, due_ms, self._now_ms)))
        self._emit(
            execution,
            key=SCHEDULING_KEY,
            value=PERIODIC_RUN_TASK,
            context={"workflow_execution_id": execution.id, "task_name": task},
        )
        self._restart(execution, task, StopOrigin.RULE)

    def _arm(self, execution: Execution, task: str) -> None:
        """Let a periodic task that had been stopped tick again."""
        expression = execution.graph.tasks[task].periodic_expression
        if expression is not None and task not in execution.ticks:
            self._set_tick(execution, task, parse_period(expression).next_after(self._now_ms))

    def _set_tick(self, execution: Execution, task: str, due_ms: int | None) -> None:
        self.changes.ticks[execution.id, task] = due_ms
        self._touch(execution)
        if due_ms is None:
            execution.ticks.pop(task, None)
        else:
            execution.ticks[task] = due_ms
            heapq.heappush(self.due, (due_ms, execution.id, task))

    def _queue_attempt(self, execution: Execution, run: TaskRun) -> None:
        run.attempt = Attempt(id=self._new_attempt_id(), try_number=run.try_number)
        self.world.index_attempt(execution, run)
        self._note_attempt(execution, run)
        self.world.enqueue(execution, run)

    def _note_attempt(self, execution: Execution, run: TaskRun) -> None:
        assert run.attempt is not None
        self.changes.attempts[run.attempt.id] = (execution, run, run.attempt)

    def _note_run(self, execution: Execution, run: TaskRun) -> None:
        self.changes.runs[execution.id, run.task, run.sequence_number] = (execution, run)
        self._touch(execution)

    def _move(self, execution: Execution, run: TaskRun, signal: TaskSignal) -> None:
        run.status = next_task_status(run.status, signal)
        self._note_run(execution, run)
        if run.status in FINISHED_TASK:
            run.end_at_ms = self._now_ms
            if run.attempt is not None:
                self.world.forget_attempt(run.attempt.id)
        if run.status in ANNOUNCED_TASK:
            self._announce(execution, run)

    def _announce(self, execution: Execution, run: TaskRun) -> None:
        key = execution.graph.status_keys[run.task]
        offset = self._emit(
            execution,
            key=key,
            value=TASK_STATUS_CHANGED,
            context={
                "namespace": execution.graph.namespace,
                "workflow_execution_id": execution.id,
                "workflow_name": execution.graph.name,
                "task_name": run.task,
                "task_status": run.status.value,
                "sequence_number": run.sequence_number,
                "try_number": run.try_number,
                **({"reason": run.reason} if run.reason else {}),
            },
        )
        # Other transitions of this step may follow before this one is delivered: keep what its rules look at.
        observed = execution.statuses() if execution.graph.rules_for(key) else None
        self._occurrences.append(
            Occurrence(
                offset=offset,
                namespace=execution.graph.namespace,
                key=key,
                execution_id=execution.id,
                status_change=(run.task, run.status),
                reported_status=run.status.value,
                statuses=observed,
            )
        )

    def _emit(self, execution: Execution, *, key: str, value: str, context: Mapping[str, object]) -> int:
        offset = self._next_offset
        self._next_offset += 1
        namespace = execution.graph.namespace
        self.changes.events.append(
            EmittedEvent(offset=offset, key=key, value=value, namespace=namespace, context=context)
        )
        return offset

    def _see_whether_it_ends(self, execution: Execution) -> None:
        if execution.status is not WorkflowStatus.RUNNING:
            return
        end = ending_of(execution)
        execution.waits_for = end.text if isinstance(end, Waiting) else None
        if isinstance(end, Ending):
            self._end(execution, end)

    def _end(self, execution: Execution, end: Ending) -> None:
        execution.status = next_execution_status(execution.status, end.signal)
        execution.end_at_ms = self._now_ms
        execution.reason = end.reason
        execution.waits_for = None
        self.changes.executions[execution.id] = execution
        self.changes.never_started += [(execution.id, task, why) for task, why in end.never_started]
        self.changes.finished.append(execution)
        self.world.remove_execution(execution)
