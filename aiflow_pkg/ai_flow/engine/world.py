# SPDX-License-Identifier: Apache-2.0
"""What the engine knows: live executions, their tasks, triggers, and what waits for a verdict.

The scheduler loads this from the store when it takes the lease and keeps it in step with every commit. It is
mutable on purpose: a batch of events is applied in place, and if its commit fails the whole world is thrown
away and loaded again. Objects carry ``stored_*`` fields: what the store holds, for the guards of its writes.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from ai_flow.engine.graph import Condition, OfUser, WorkflowGraph
from ai_flow.engine.states import ALIVE_TASK, FINISHED_EXECUTION
from ai_flow.model.status import TaskStatus, WorkflowStatus


class StopOrigin(str, Enum):
    """Who wanted something to stop: the end of an execution depends on it (design, section 5)."""

    PERSON = "person"
    RULE = "rule"


class ScopeKind(str, Enum):
    """What conditions share their state within (behaviour 1.3)."""

    EXECUTION = "execution"
    WORKFLOW = "workflow"


@dataclass(frozen=True, slots=True)
class StateValue:
    """The value of one named state: JSON text, or a pickle that only a condition host opens."""

    encoding: str
    data: str | bytes


@dataclass(frozen=True, slots=True)
class ScopeId:
    """Names the inbox and the states of an execution or of a workflow's triggers."""

    kind: ScopeKind
    id: int


@dataclass(frozen=True, slots=True)
class RuleId:
    """Names a rule: of a task (task, index) or a trigger (None, trigger id)."""

    task: str | None
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a condition host said: ``met``, or ``error``; ``states`` are the changed ones (None: cleared)."""

    met: bool = False
    error: str | None = None
    #: The event that was judged; an answer on another than the present head comes too late and is dropped.
    offset: int | None = None
    states: Mapping[str, StateValue | None] = field(default_factory=dict[str, "StateValue | None"])


@dataclass(slots=True, kw_only=True)
class Parked:
    """An event that waits in an inbox, with the statuses as of its own time (None: as they are now)."""

    offset: int
    key: str
    statuses: Mapping[str, TaskStatus]
    status_change: tuple[str, TaskStatus] | None = None
    reported_status: str | None = None
    row_id: int | None = None
    verdicts: dict[RuleId, Verdict] = field(default_factory=dict[RuleId, Verdict])


@dataclass(slots=True, eq=False)
class Scope:
    """States, inbox and the memory of folded "no" verdicts; the part that executions and triggers share."""

    id: ScopeId
    states: dict[str, StateValue] = field(default_factory=dict[str, StateValue])
    inbox: collections.deque[Parked] = field(default_factory=collections.deque[Parked])
    #: The rule whose verdict the head of the inbox waits for.
    waits_for: RuleId | None = None
    #: Per rule, the row of its last evaluation when that said "no": the next "no" is counted there.
    last_no: dict[RuleId, int] = field(default_factory=dict[RuleId, int])


@dataclass(slots=True, eq=False, kw_only=True)
class Attempt:
    """One try of a task run; its row belongs to the executor once ``claimed``."""

    id: str
    try_number: int
    claimed: bool = False
    stop_requested: bool = False
    #: Closed before anybody claimed it.
    revoked: bool = False
    claimed_at_ms: int | None = None
    is_stored: bool = False
    is_claim_stored: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class TaskRun:
    """The latest task execution of one task in one execution."""

    task: str
    sequence_number: int
    begin_at_ms: int
    status: TaskStatus = TaskStatus.INIT
    try_number: int = 1
    end_at_ms: int | None = None
    reason: str | None = None
    retry_at_ms: int | None = None
    stop_origin: StopOrigin | None = None
    #: A START or RESTART came while it was alive or ending: start anew once it is gone.
    then_start: bool = False
    attempt: Attempt | None = None
    stored_status: TaskStatus | None = None

    @property
    def is_alive(self) -> bool:
        return self.status in ALIVE_TASK


class Execution:
    """A live workflow execution, pinned to its snapshot."""

    def __init__(
        self,
        *,
        id: int,
        workflow_id: int,
        snapshot_id: int,
        graph: WorkflowGraph,
        created_offset: int,
        owner: str | None,
        status: WorkflowStatus = WorkflowStatus.INIT,
    ) -> None:
        self.id = id
        self.workflow_id = workflow_id
        self.snapshot_id = snapshot_id
        self.graph = graph
        #: Events up to this offset came before it and are not its own.
        self.created_offset = created_offset
        #: The process that alone runs its tasks; None: any server of the home.
        self.owner = owner
        self.status = status
        self.stored_status = status
        self.end_at_ms: int | None = None
        self.begin_at_ms: int | None = None
        self.reason: str | None = None
        self.stop_origin: StopOrigin | None = None
        self.stop_reason: str | None = None
        #: What it waits for when nothing runs, in words; None while something does.
        self.waits_for: str | None = None
        self.runs: dict[str, TaskRun] = {}
        #: Due time of the next tick of each periodic task.
        self.ticks: dict[str, int] = {}
        self.scope = Scope(ScopeId(ScopeKind.EXECUTION, id))

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED_EXECUTION

    @property
    def is_stopping(self) -> bool:
        return self.stop_origin is not None

    def statuses(self) -> dict[str, TaskStatus]:
        """Return the status of the latest run of every task that ever ran."""
        return {name: run.status for name, run in self.runs.items()}

    def alive(self) -> Iterable[TaskRun]:
        """Yield the runs that have not finished."""
        return (run for run in self.runs.values() if run.is_alive)


@dataclass(slots=True, eq=False, kw_only=True)
class Trigger:
    """A workflow trigger; paused ones stay in the world and are passed over."""

    id: int
    condition: Condition
    created_offset: int
    is_paused: bool = False

    @property
    def needs_host(self) -> bool:
        return isinstance(self.condition, OfUser)


class Workflow:
    """A workflow that has triggers."""

    def __init__(self, *, id: int, namespace: str, name: str, is_enabled: bool) -> None:
        self.id = id
        self.namespace = namespace
        self.name = name
        self.is_enabled = is_enabled
        self.triggers: dict[int, Trigger] = {}
        self.scope = Scope(ScopeId(ScopeKind.WORKFLOW, id))


class World:
    """All live executions and all triggers, indexed by what they listen to."""

    def __init__(self) -> None:
        self.executions: dict[int, Execution] = {}
        self.workflows: dict[int, Workflow] = {}
        #: Whose attempts this process claims; those of others are not queued here.
        self.own_owners: frozenset[str | None] = frozenset()
        #: Runs that wait for a slot, oldest first, by the owner of their execution.
        self.queued: dict[str | None, collections.deque[tuple[int, str]]] = {}
        self._executions_by_key: dict[tuple[str, str], dict[int, None]] = {}
        self._workflows_by_key: dict[tuple[str, str], dict[int, None]] = {}
        self._run_of_attempt: dict[str, tuple[int, str]] = {}

    def add_execution(self, execution: Execution) -> None:
        self.executions[execution.id] = execution
        for key in execution.graph.listened_keys():
            self._executions_by_key.setdefault((execution.graph.namespace, key), {})[execution.id] = None
        for run in execution.runs.values():
            if run.attempt is not None:
                self.index_attempt(execution, run)
            if run.status is TaskStatus.QUEUED:
                self.enqueue(execution, run)

    def remove_execution(self, execution: Execution) -> None:
        del self.executions[execution.id]
        for key in execution.graph.listened_keys():
            index = (execution.graph.namespace, key)
            listeners = self._executions_by_key[index]
            del listeners[execution.id]
            if not listeners:
                del self._executions_by_key[index]
        for run in execution.runs.values():
            if run.attempt is not None:
                self._run_of_attempt.pop(run.attempt.id, None)

    def executions_listening(self, namespace: str, key: str) -> list[Execution]:
        """Return the executions with a rule on ``key``, oldest first."""
        return [self.executions[id] for id in sorted(self._executions_by_key.get((namespace, key), ()))]

    def workflows_listening(self, namespace: str, key: str) -> list[Workflow]:
        """Return the workflows with a trigger on ``key``, oldest first."""
        return [self.workflows[id] for id in sorted(self._workflows_by_key.get((namespace, key), ()))]

    def put_workflow(self, workflow: Workflow) -> None:
        """Add a workflow with its triggers, or replace it by its present form; its scope lives on."""
        known = self.workflows.pop(workflow.id, None)
        if known is not None:
            workflow.scope = known.scope
            self._forget_keys(known)
        self.workflows[workflow.id] = workflow
        for trigger in workflow.triggers.values():
            for key in trigger.condition.keys:
                self._workflows_by_key.setdefault((workflow.namespace, key), {})[workflow.id] = None

    def remove_workflow(self, workflow_id: int) -> None:
        known = self.workflows.pop(workflow_id, None)
        if known is not None:
            self._forget_keys(known)

    def scope(self, scope_id: ScopeId) -> Scope | None:
        """Return the scope of a live execution or of a workflow with triggers; None when it is gone."""
        if scope_id.kind is ScopeKind.EXECUTION:
            execution = self.executions.get(scope_id.id)
            return execution.scope if execution else None
        workflow = self.workflows.get(scope_id.id)
        return workflow.scope if workflow else None

    def index_attempt(self, execution: Execution, run: TaskRun) -> None:
        assert run.attempt is not None
        self._run_of_attempt[run.attempt.id] = (execution.id, run.task)

    def run_of_attempt(self, attempt_id: str) -> tuple[Execution, TaskRun] | None:
        """Return the run whose present attempt has the id; None when it is superseded or finished."""
        where = self._run_of_attempt.get(attempt_id)
        execution = self.executions.get(where[0]) if where else None
        run = execution.runs.get(where[1]) if execution and where else None
        if execution is None or run is None or run.attempt is None or run.attempt.id != attempt_id:
            return None
        return execution, run

    def forget_attempt(self, attempt_id: str) -> None:
        self._run_of_attempt.pop(attempt_id, None)

    def enqueue(self, execution: Execution, run: TaskRun) -> None:
        if execution.owner in self.own_owners:
            self.queued.setdefault(execution.owner, collections.deque()).append((execution.id, run.task))

    def _forget_keys(self, workflow: Workflow) -> None:
        for trigger in workflow.triggers.values():
            for key in trigger.condition.keys:
                index = (workflow.namespace, key)
                listeners = self._workflows_by_key.get(index)
                if listeners is not None:
                    listeners.pop(workflow.id, None)
                    if not listeners:
                        del self._workflows_by_key[index]
