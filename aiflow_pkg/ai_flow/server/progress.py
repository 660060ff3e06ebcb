# SPDX-License-Identifier: Apache-2.0
"""What the executions of a run are doing, read from the store whoever decides.

The log tells every change of a task's status, and is read when it has grown; the rows tell how an execution
stands, which can change without an event, so they are read at every look: a few small queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ai_flow.common.home import Home
from ai_flow.engine.ending import is_doomed
from ai_flow.engine.graph import Task, WorkflowGraph
from ai_flow.engine.lifecycle import TASK_STATUS_CHANGED
from ai_flow.engine.states import FINISHED_EXECUTION
from ai_flow.model.status import TaskStatus, WorkflowStatus
from ai_flow.scheduler.log_input import context_of, is_own, offset_of
from ai_flow.store import world_store
from ai_flow.store.open_store import Store
from ai_flow.store.progress import (
    RuleFailure,
    TriggerFailure,
    last_rule_failure,
    read_never_started,
    read_rule_failures,
    read_standing,
    read_trigger_failures,
    unowned_is_busy,
)
from ai_flow.store.world_store import GraphCache
from notification_service.database.port import ReadTransaction

_PAGE = 500
#: Failures of rules that are kept per execution; the store has them all.
_KEPT_FAILURES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskChange:
    """A task of one of the executions got another status."""

    execution_id: int
    workflow: str
    task: str
    sequence_number: int
    try_number: int
    #: How many tries it may have.
    tries: int
    status: TaskStatus
    reason: str | None
    at_ms: int
    log_path: Path
    #: Seconds until the next try, when there is one.
    next_try_in_s: float | None = None


@dataclass(slots=True, kw_only=True)
class ExecutionProgress:
    """How one execution of the run stands."""

    id: int
    workflow: str
    namespace: str
    #: The tasks in the order of their definition.
    tasks: Mapping[str, Task]
    logs: Path
    status: WorkflowStatus = WorkflowStatus.INIT
    reason: str | None = None
    #: What it waits for although nothing runs.
    waits_for: str | None = None
    #: A person (or a program for one) asked for its end.
    is_stopping: bool = False
    begin_at_ms: int | None = None
    end_at_ms: int | None = None
    #: Why tasks never ran, by task; known when it is finished.
    never_started: Mapping[str, str] = field(default_factory=dict[str, str])
    #: What its rules could not process so far; the first ones when there are very many.
    rule_failures: list[RuleFailure] = field(default_factory=list[RuleFailure])

    @property
    def is_finished(self) -> bool:
        """Tell whether nothing of it will change any more."""
        return self.status in FINISHED_EXECUTION


def describe_execution(home: Home, graph: WorkflowGraph, execution_id: int) -> ExecutionProgress:
    """Return an execution of which nothing is known yet but its workflow."""
    return ExecutionProgress(
        id=execution_id,
        workflow=graph.name,
        namespace=graph.namespace,
        tasks=graph.tasks,
        logs=home.logs / graph.name / str(execution_id),
    )


class Progress:
    """Follows the executions of a run."""

    def __init__(self, store: Store, home: Home, *, takes_unowned: bool = False) -> None:
        self._store = store
        self._home = home
        self._takes_unowned = takes_unowned
        self._by_id: dict[int, ExecutionProgress] = {}
        #: Executions of nobody that this process runs too; None for those that are another's.
        self._others: dict[int, ExecutionProgress | None] = {}
        self._offset = 0
        self._graphs = GraphCache()
        self._has_failures = False
        self._last_failure = 0
        if takes_unowned:
            with store.database.read() as tx:
                self._last_failure = last_rule_failure(tx)

    @property
    def executions(self) -> list[ExecutionProgress]:
        """The followed executions, oldest first."""
        return list(self._by_id.values())

    @property
    def others(self) -> list[ExecutionProgress]:
        """The executions without an owner that had tasks while this process took such, oldest first."""
        return [execution for execution in self._others.values() if execution is not None]

    def follow(self, execution: ExecutionProgress, *, after_offset: int) -> None:
        """Follow an execution from its creation on."""
        self._by_id[execution.id] = execution
        self._offset = max(self._offset, after_offset) if self._offset else after_offset

    def look(self) -> list[TaskChange]:
        """Bring the executions up to date and return what changed of their tasks."""
        changes: list[TaskChange] = []
        while True:
            with self._store.database.read() as tx:
                has_grown = self._store.log.head(tx) != self._offset
                events = self._store.log.read_after(tx, self._offset, limit=_PAGE) if has_grown else []
                for event in events:
                    self._offset = offset_of(event)
                    if is_own(event) and event.value == TASK_STATUS_CHANGED:
                        changes += self._change(tx, context_of(event), cast("int", event.create_time))
                # Not only when the log has grown: the verdict of a condition can end an execution, make it
                # wait or be a failure, and none of these is an event.
                for execution in (*self._by_id.values(), *self.others):
                    if not execution.is_finished:
                        self._refresh(tx, execution)
            if len(events) < _PAGE:
                return changes

    def doomed(self) -> ExecutionProgress | None:
        """Return an execution that can only end FAILED although something of it runs; None if there is
        none.
        """
        if not self._has_failures:
            return None
        with self._store.database.read() as tx:
            for execution in self._by_id.values():
                if not execution.is_finished and not execution.is_stopping:
                    loaded = world_store.load_execution(tx, execution.id, self._graphs)
                    if loaded is not None and is_doomed(loaded):
                        return execution
        self._has_failures = False
        return None

    def home_is_idle(self) -> bool:
        """Tell whether no execution without an owner has anything to run, and no event may start one."""
        with self._store.database.read() as tx:
            is_decided = world_store.read_cursor(tx) == self._store.log.head(tx)
            return is_decided and not unowned_is_busy(tx)

    def look_at_triggers(self) -> list[TriggerFailure]:
        """Return what triggers could not process since the last look, where executions of nobody are run."""
        if not self._takes_unowned:
            return []
        with self._store.database.read() as tx:
            found = read_trigger_failures(tx, after_id=self._last_failure)
        self._last_failure = found[-1].id if found else self._last_failure
        return found

    def _refresh(self, tx: ReadTransaction, execution: ExecutionProgress) -> None:
        standing = read_standing(tx, execution.id)
        execution.status = standing.status
        execution.reason = standing.reason
        execution.waits_for = standing.waits_for
        execution.is_stopping = standing.is_stopping
        execution.begin_at_ms = standing.begin_at_ms
        execution.end_at_ms = standing.end_at_ms
        failures = execution.rule_failures
        if len(failures) < _KEPT_FAILURES:
            failures += read_rule_failures(tx, execution.id, after_id=failures[-1].id if failures else 0)
        if execution.is_finished:
            execution.never_started = read_never_started(tx, execution.id)

    def _other(self, tx: ReadTransaction, execution_id: int) -> ExecutionProgress | None:
        if not self._takes_unowned:
            return None
        if execution_id not in self._others:
            loaded = world_store.load_execution(tx, execution_id, self._graphs)
            is_taken = loaded is not None and loaded.owner is None
            self._others[execution_id] = (
                describe_execution(self._home, loaded.graph, execution_id) if loaded and is_taken else None
            )
        return self._others[execution_id]

    def _change(self, tx: ReadTransaction, context: Mapping[str, Any], at_ms: int) -> Iterator[TaskChange]:
        execution_id = context["workflow_execution_id"]
        execution = self._by_id.get(execution_id) or self._other(tx, execution_id)
        if execution is None:
            return
        status, number, try_number = (
            TaskStatus(context["task_status"]),
            context["sequence_number"],
            context["try_number"],
        )
        self._has_failures = self._has_failures or status is TaskStatus.FAILED
        task = execution.tasks[context["task_name"]]
        yield TaskChange(
            execution_id=execution.id,
            workflow=execution.workflow,
            task=task.name,
            sequence_number=number,
            try_number=try_number,
            tries=task.retries + 1,
            status=status,
            reason=context.get("reason"),
            at_ms=at_ms,
            log_path=self._home.log_of(execution.workflow, execution.id, task.name, number, try_number),
            next_try_in_s=task.retry_delay_after(try_number) if status is TaskStatus.RETRYING else None,
        )
