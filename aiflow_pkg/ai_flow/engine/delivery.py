# SPDX-License-Identifier: Apache-2.0
"""Bringing events to the rules that listen to them, and doing what the met ones say.

An event reaches the execution that its context names, or every running one of its namespace, and the
triggers of its namespace. Where a condition of the user's own class listens, the event is parked in the
inbox of that execution (or of that workflow's triggers) until a condition host has given its verdict;
whatever follows for the same inbox queues behind it, so every verdict sees the states and statuses as of
its own event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ai_flow.engine.changes import Evaluation, ExecutionRequest, RuleVerdict
from ai_flow.engine.graph import Condition, OfUser, Rule
from ai_flow.engine.lifecycle import Lifecycle, Occurrence
from ai_flow.engine.rules import Consideration, Happening, consider
from ai_flow.engine.world import (
    Execution,
    Parked,
    RuleId,
    Scope,
    ScopeId,
    ScopeKind,
    StopOrigin,
    Trigger,
    Workflow,
)
from ai_flow.model.action import TaskAction
from ai_flow.model.status import TaskStatus, WorkflowStatus


class Delivery(Lifecycle):
    """Delivers occurrences to rules, in the order in which they come."""

    def resume_all(self) -> None:
        """Go on with every inbox of a world that was just loaded."""
        for owner in [*self.world.executions.values(), *self.world.workflows.values()]:
            self._drain_inbox(owner.scope)
        self._settle()

    def _settle(self) -> None:
        """Deliver everything that was emitted, then see which executions end."""
        while True:
            while self._occurrences:
                self._deliver(self._occurrences.popleft())
            if not self._touched:
                return
            _, execution = self._touched.popitem()
            self._see_whether_it_ends(execution)

    def _deliver(self, occurrence: Occurrence) -> None:
        if occurrence.execution_id is not None:
            execution = self.world.executions.get(occurrence.execution_id)
            if execution is not None:
                self._deliver_to_execution(execution, occurrence)
            elif occurrence.status_change is None:
                self._record_late(
                    ScopeId(ScopeKind.EXECUTION, occurrence.execution_id), occurrence.offset, "not running"
                )
        else:
            for execution in self.world.executions_listening(occurrence.namespace, occurrence.key):
                self._deliver_to_execution(execution, occurrence)
        for workflow in self.world.workflows_listening(occurrence.namespace, occurrence.key):
            self._deliver_to_triggers(workflow, occurrence)

    def _deliver_to_execution(self, execution: Execution, occurrence: Occurrence) -> None:
        rules = execution.graph.rules_for(occurrence.key)
        if not rules or occurrence.offset <= execution.created_offset:
            return
        if execution.status is not WorkflowStatus.RUNNING or execution.is_stopping:
            self._record_late(execution.scope.id, occurrence.offset, "the execution is ending")
            return
        needs_host = any(isinstance(rule.condition, OfUser) for of_task in rules.values() for rule in of_task)
        statuses = execution.statuses() if occurrence.statuses is None else occurrence.statuses
        happening = _happening_of(occurrence, statuses)
        if needs_host or execution.scope.inbox:
            self._park(execution.scope, occurrence, happening.statuses)
            return
        self._act_on(
            execution,
            occurrence.offset,
            _considered(consider(_targets(rules), happening, execution.scope.states, {})),
        )

    def _deliver_to_triggers(self, workflow: Workflow, occurrence: Occurrence) -> None:
        triggers = _listening_triggers(workflow, occurrence.key, occurrence.offset)
        if not triggers:
            return
        if not workflow.is_enabled:
            self._record_late(workflow.scope.id, occurrence.offset, "the workflow is disabled")
            return
        if workflow.scope.inbox or any(trigger.needs_host for trigger in triggers):
            self._park(workflow.scope, occurrence, {})
            return
        considered = consider(
            _trigger_targets(triggers), _happening_of(occurrence, {}), workflow.scope.states, {}
        )
        self._act_on_triggers(workflow, occurrence.offset, _considered(considered))

    def _park(self, scope: Scope, occurrence: Occurrence, statuses: Mapping[str, TaskStatus]) -> None:
        parked = Parked(
            offset=occurrence.offset,
            key=occurrence.key,
            statuses=statuses,
            status_change=occurrence.status_change,
            reported_status=occurrence.reported_status,
        )
        scope.inbox.append(parked)
        self.changes.parked.append((scope, parked))
        if len(scope.inbox) == 1:
            self._drain_inbox(scope)

    def _drain_inbox(self, scope: Scope) -> None:
        while scope.inbox and scope.waits_for is None:
            if not self._try_head(scope):
                return

    def _try_head(self, scope: Scope) -> bool:
        """Process the head of the inbox; False if it waits for a verdict, which ``waits_for`` then names."""
        parked = scope.inbox[0]
        happening = Happening(
            key=parked.key,
            statuses=parked.statuses,
            status_change=parked.status_change,
            reported_status=parked.reported_status,
        )
        execution, workflow = self._owner_of(scope)
        if execution is not None:
            targets = _targets(execution.graph.rules_for(parked.key))
        elif workflow is not None:
            targets = _trigger_targets(_listening_triggers(workflow, parked.key, parked.offset))
        else:
            targets = []
        considered = consider(targets, happening, scope.states, parked.verdicts)
        if isinstance(considered, RuleId):
            scope.waits_for = considered
            self.waiting[scope.id] = scope
            return False
        scope.inbox.popleft()
        self.changes.unparked.append((scope, parked))
        if execution is not None:
            self._touch(execution)
            self._act_on(execution, parked.offset, considered)
        elif workflow is not None:
            self._act_on_triggers(workflow, parked.offset, considered)
        return True

    def _owner_of(self, scope: Scope) -> tuple[Execution | None, Workflow | None]:
        execution = self.world.executions.get(scope.id.id)
        if execution is not None and execution.scope is scope:
            return execution, None
        workflow = self.world.workflows.get(scope.id.id)
        return None, workflow if workflow is not None and workflow.scope is scope else None

    def _drop_inbox(self, scope: Scope, why: str) -> None:
        for parked in scope.inbox:
            self.changes.unparked.append((scope, parked))
            self._record_late(scope.id, parked.offset, why)
        scope.inbox.clear()
        scope.waits_for = None
        self.waiting.pop(scope.id, None)

    def _record_late(self, scope_id: ScopeId, offset: int, why: str) -> None:
        late = Evaluation(
            scope=scope_id,
            rule=RuleId(None, 0),
            offset=offset,
            verdict=RuleVerdict.LATE,
            outcome=f"ignored: {why}",
        )
        self.changes.evaluations.append((None, late))

    def _act_on(self, execution: Execution, offset: int, consideration: Consideration) -> None:
        self._take_states(execution.scope, consideration)
        for said in consideration.considered:
            assert said.rule.task is not None
            action, outcome = execution.graph.tasks[said.rule.task].rules[said.rule.index].action, None
            if said.verdict is RuleVerdict.YES:
                outcome = self._act(execution, said.rule.task, action, StopOrigin.RULE)
            self._record(execution.scope, said.rule, offset, said.verdict, action.value, outcome, said.error)

    def _act_on_triggers(self, workflow: Workflow, offset: int, consideration: Consideration) -> None:
        self._take_states(workflow.scope, consideration)
        for said in consideration.considered:
            outcome = None
            if said.verdict is RuleVerdict.YES:
                self.changes.requests.append(
                    ExecutionRequest(workflow_id=workflow.id, trigger_id=said.rule.index, offset=offset)
                )
                outcome = "started an execution"
            self._record(
                workflow.scope, said.rule, offset, said.verdict, TaskAction.START.value, outcome, said.error
            )

    def _take_states(self, scope: Scope, consideration: Consideration) -> None:
        for name, value in consideration.states.items():
            self.changes.states[scope.id, name] = value
            if value is None:
                scope.states.pop(name, None)
            else:
                scope.states[name] = value

    def _record(
        self,
        scope: Scope,
        rule: RuleId,
        offset: int,
        verdict: RuleVerdict,
        action: str,
        outcome: str | None,
        error: str | None,
    ) -> None:
        evaluation = Evaluation(
            scope=scope.id,
            rule=rule,
            offset=offset,
            verdict=verdict,
            action=action,
            outcome=outcome,
            error=error,
        )
        self.changes.evaluations.append((scope, evaluation))


def _happening_of(occurrence: Occurrence, statuses: Mapping[str, TaskStatus]) -> Happening:
    return Happening(
        key=occurrence.key,
        statuses=statuses if occurrence.statuses is None else occurrence.statuses,
        status_change=occurrence.status_change,
        reported_status=occurrence.reported_status,
    )


def _targets(rules: Mapping[str, Sequence[Rule]]) -> list[list[tuple[RuleId, Condition]]]:
    return [
        [(RuleId(task, rule.index), rule.condition) for rule in of_task] for task, of_task in rules.items()
    ]


def _trigger_targets(triggers: Sequence[Trigger]) -> list[list[tuple[RuleId, Condition]]]:
    return [[(RuleId(None, trigger.id), trigger.condition) for trigger in triggers]]


def _listening_triggers(workflow: Workflow, key: str, offset: int) -> list[Trigger]:
    return [
        trigger
        for _, trigger in sorted(workflow.triggers.items())
        if not trigger.is_paused and trigger.created_offset < offset and key in trigger.condition.keys
    ]


def _considered(consideration: Consideration | RuleId) -> Consideration:
    assert isinstance(consideration, Consideration)
    return consideration
