# SPDX-License-Identifier: Apache-2.0
"""Drives an engine by hand: no store, no processes, a clock that moves when told to.

A ``Play`` is what the scheduler is to the engine. Every method is one step: it gives the engine one input,
lets it claim what is queued while ``slots`` are free, and keeps what the step emitted and recorded.
Workflows are written with the public model, so the tests read like what a user writes.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping

from ai_flow.engine.changes import EmittedEvent, Evaluation, ExecutionRequest
from ai_flow.engine.decide import Engine, Outcome
from ai_flow.engine.graph import WorkflowGraph, parse_condition, parse_graph
from ai_flow.engine.lifecycle import Occurrence
from ai_flow.engine.world import (
    Execution,
    RuleId,
    Scope,
    StateValue,
    StopOrigin,
    TaskRun,
    Trigger,
    Verdict,
    World,
)
from ai_flow.engine.world import Workflow as TriggeredWorkflow
from ai_flow.model.action import TaskAction
from ai_flow.model.condition import Condition
from ai_flow.model.context import Context
from ai_flow.model.status import TaskStatus
from ai_flow.model.workflow import Workflow
from ai_flow.runtime.describe import describe_condition, describe_workflow
from ai_flow.store import world_store
from notification_service.model.event import Event

BEGIN_MS = 1_700_000_000_000


class Hosted(Condition):
    """A condition of a user's own class: the engine has to ask a host for its verdict."""

    def __init__(self, *keys: str) -> None:
        super().__init__(list(keys))

    def is_met(self, event: Event, context: Context) -> bool:
        raise AssertionError("the engine must never run a user's code")


def graph_of(workflow: Workflow) -> WorkflowGraph:
    """Return the graph that the engine sees, by way of its text form as in the store."""
    return parse_graph(json.loads(json.dumps(describe_workflow(workflow))))


class Play:
    """One engine and everything that its steps said."""

    def __init__(self, *, slots: int = 100) -> None:
        self.world = World()
        self.world.own_owners = frozenset({None})
        numbers = itertools.count(1)
        self.engine = Engine(self.world, lambda: f"attempt-{next(numbers)}")
        self.now_ms = BEGIN_MS
        self.head = 0
        self.slots = slots
        self.emitted: list[EmittedEvent] = []
        self.evaluations: list[Evaluation] = []
        self.requests: list[ExecutionRequest] = []
        self.refusals: list[tuple[int, str]] = []
        self.never_started: dict[str, str] = {}
        self.stops: list[str] = []
        self.launched: list[str] = []
        self.finished: list[Execution] = []
        self._ids = itertools.count(1)

    # Inputs.

    def start(self, workflow: Workflow, *, owner: str | None = None) -> Execution:
        """Start an execution; its creation is the event before its own."""
        self.head += 1
        execution = Execution(
            id=next(self._ids),
            workflow_id=1,
            snapshot_id=1,
            graph=graph_of(workflow),
            created_offset=self.head,
            owner=owner,
        )
        self.step(lambda: self.engine.start_execution(execution))
        return execution

    def event(
        self,
        key: str,
        execution: Execution | int | None = None,
        *,
        namespace: str = "default",
        reported_status: str | None = None,
    ) -> int:
        """Deliver an event of the log; return its offset."""
        self.head += 1
        occurrence = Occurrence(
            offset=self.head,
            namespace=namespace,
            key=key,
            execution_id=execution.id if isinstance(execution, Execution) else execution,
            reported_status=reported_status,
        )
        self.step(lambda: self.engine.event(occurrence))
        return occurrence.offset

    def end(
        self, execution: Execution, task: str, outcome: str = "SUCCESS", reason: str | None = None
    ) -> bool:
        """Report the end of the present attempt of a task; tell whether it counted."""
        attempt = execution.runs[task].attempt
        assert attempt is not None, f"{task} has no attempt that could end"
        return self.end_attempt(attempt.id, outcome, reason)

    def end_attempt(self, attempt_id: str, outcome: str = "SUCCESS", reason: str | None = None) -> bool:
        counted: list[bool] = []
        said = Outcome(attempt_id=attempt_id, outcome=outcome, reason=reason)
        self.step(lambda: counted.append(self.engine.outcome(said)))
        return counted[0]

    def command(
        self, execution: Execution, task: str, action: TaskAction, sequence_number: int | None = None
    ) -> int:
        """Carry out what a person asks for; return the offset of the command."""
        self.head += 1
        self.step(
            lambda: self.engine.command_task(
                execution.id, task, action, offset=self.head, sequence_number=sequence_number
            )
        )
        return self.head

    def stop(self, execution: Execution, origin: StopOrigin = StopOrigin.PERSON) -> None:
        self.head += 1
        self.step(
            lambda: self.engine.stop_execution(execution.id, offset=self.head, origin=origin, reason="enough")
        )

    def fail(self, execution: Execution, reason: str) -> None:
        self.step(lambda: self.engine.fail_execution(execution.id, reason))

    def advance(self, seconds: float) -> None:
        """Let time pass and carry out what became due."""
        self.now_ms += round(seconds * 1000)
        self.step(self.engine.run_due)

    def say(self, scope: Scope, met: bool = False, **fields: object) -> None:
        """Give the verdict that the head of an inbox waits for."""
        assert scope.waits_for is not None, "nobody waits for a verdict"
        rule, verdict = scope.waits_for, Verdict(met=met, **fields)  # pyright: ignore[reportArgumentType]
        self.step(lambda: self.engine.verdict(scope, rule, verdict))

    def add_triggers(
        self, workflow_id: int, conditions: Mapping[int, Condition], *, namespace: str = "default"
    ) -> TriggeredWorkflow:
        """Add a workflow with triggers, by trigger id."""
        workflow = TriggeredWorkflow(
            id=workflow_id, namespace=namespace, name=f"w{workflow_id}", is_enabled=True
        )
        for id, condition in conditions.items():
            parsed = parse_condition(describe_condition(condition), namespace, workflow.name)
            workflow.triggers[id] = Trigger(id=id, condition=parsed, created_offset=self.head)
        self.world.put_workflow(workflow)
        return workflow

    def step(self, apply: Callable[[], None], *, claims: bool = True) -> None:
        """Do one step as the scheduler does it, without a store."""
        self.engine.begin(now_ms=self.now_ms, next_offset=self.head + 1)
        apply()
        if claims:
            free = self.slots - sum(
                run.attempt is not None and run.attempt.claimed
                for execution in self.world.executions.values()
                for run in execution.alive()
            )
            for execution, run in self.engine.claim((None,), free):
                assert run.attempt is not None
                self.launched.append(run.attempt.id)
                assert execution.runs[run.task] is run
        self._take_changes()
        if claims and self.engine.has_postponed:
            self.step(lambda: None)

    def _take_changes(self) -> None:
        changes = self.engine.changes
        assert [event.offset for event in changes.events] == list(
            range(self.head + 1, self.head + 1 + len(changes.events))
        )
        self.head += len(changes.events)
        self.emitted += changes.events
        self.evaluations += [evaluation for _, evaluation in changes.evaluations]
        self.requests += changes.requests
        self.refusals += changes.refusals
        self.never_started |= {task: why for _, task, why in changes.never_started}
        self.stops += changes.stops
        self.finished += changes.finished
        world_store.note_committed(changes, [])

    # What happened.

    def statuses_of(self, task: str) -> list[str]:
        """Return every announced status of a task, in order."""
        return [
            str(event.context["task_status"])
            for event in self.emitted
            if event.context.get("task_name") == task and "task_status" in event.context
        ]

    def outcomes_of(self, task: str) -> list[str | None]:
        """Return what came of the rules of a task that were met."""
        return [e.outcome for e in self.evaluations if e.rule.task == task and e.verdict.value == "yes"]

    def verdicts_of(self, task: str | None, index: int | None = None) -> list[str]:
        """Return what the rules of a task said, in order."""
        return [
            e.verdict.value for e in self.evaluations if e.rule.task == task and index in (None, e.rule.index)
        ]


def run_of(execution: Execution, task: str) -> TaskRun:
    """Return the latest run of a task that ran."""
    return execution.runs[task]


def status_of(execution: Execution, task: str) -> TaskStatus | None:
    """Return the status of the latest run of a task, None if it never ran."""
    run = execution.runs.get(task)
    return run.status if run else None


def as_json(value: object) -> StateValue:
    """Return a state as a host gives it."""
    return StateValue("json", json.dumps(value))


__all__ = [
    "BEGIN_MS",
    "Hosted",
    "Play",
    "RuleId",
    "as_json",
    "graph_of",
    "run_of",
    "status_of",
]
