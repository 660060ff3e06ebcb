# SPDX-License-Identifier: Apache-2.0
"""Puts the conditions that the engine cannot evaluate to condition hosts.

The engine names, per inbox, the one rule whose verdict its head waits for. Each is asked once; the answer
is given to the next step. What is not wanted any more (its execution ended, this process no longer decides)
is cancelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ai_flow.common.home import Home
from ai_flow.engine.decide import Engine
from ai_flow.engine.rules import states_seen_by_host
from ai_flow.engine.world import Parked, RuleId, Scope, ScopeId, ScopeKind, Verdict
from ai_flow.executor.condition_hosts import ConditionHosts
from ai_flow.executor.condition_requests import EvaluationRequest, ExecutionFields
from ai_flow.server.facts import Facts
from ai_flow.store import launching
from ai_flow.store.open_store import Store
from notification_service.errors import NotificationError
from notification_service.model.event import Event

#: Called with the scope, the rule and what the host said.
OnVerdict = Callable[[ScopeId, RuleId, Verdict], None]

_Question = tuple[ScopeId, int, RuleId]


class ConditionAsker:
    """Keeps one question per waiting inbox with the condition hosts."""

    def __init__(
        self, *, home: Home, store: Store, facts: Facts, hosts: ConditionHosts, on_verdict: OnVerdict
    ) -> None:
        self._home = home
        self._store = store
        self._facts = facts
        self._hosts = hosts
        self._on_verdict = on_verdict
        self._asked: dict[ScopeId, _Question] = {}

    def ask(self, engine: Engine | None) -> None:
        """Ask what the engine waits for now, and take back what it does not."""
        waiting = engine.waiting if engine is not None else {}
        for scope_id, question in list(self._asked.items()):
            scope = waiting.get(scope_id)
            if scope is None or _question(scope) != question:
                self._hosts.cancel(question)
                del self._asked[scope_id]
        for scope_id, scope in waiting.items():
            if scope_id not in self._asked:
                self._ask(scope)

    def _ask(self, scope: Scope) -> None:
        question = _question(scope)
        self._asked[scope.id] = question
        try:
            request = self._request(scope, question)
        except (LookupError, NotificationError) as error:
            self._answered(question, Verdict(error=f"the condition cannot be evaluated: {error}"))
            return
        self._hosts.evaluate(request, partial(self._answered, question))

    def _answered(self, question: _Question, verdict: Verdict) -> None:
        scope_id, offset, rule = question
        if self._asked.get(scope_id) == question:
            self._on_verdict(scope_id, rule, replace(verdict, offset=offset))

    def _request(self, scope: Scope, question: _Question) -> EvaluationRequest:
        parked, rule = scope.inbox[0], question[2]
        is_execution = scope.id.kind is ScopeKind.EXECUTION
        execution = self._facts.execution(scope.id.id) if is_execution else None
        trigger = None
        if execution is not None:
            snapshot = self._facts.snapshot(execution.snapshot_id)
        else:
            with self._store.database.read() as tx:
                trigger = launching.read_trigger(tx, rule.index)
            snapshot = self._facts.snapshot(trigger.snapshot_id)
        fields = None
        if execution is not None:
            fields = ExecutionFields(
                id=scope.id.id,
                workflow_id=execution.workflow_id,
                execution_type=execution.run_type,
                status="RUNNING",
                begin_at_ms=execution.begin_at_ms,
            )
        return EvaluationRequest(
            key=question,
            workflow=snapshot.workflow,
            namespace=snapshot.namespace,
            task=rule.task,
            rule_index=rule.index if trigger is None else None,
            trigger=trigger.rule if trigger is not None else None,
            event=self._event(parked),
            statuses={task: status.value for task, status in parked.statuses.items()},
            states=states_seen_by_host(scope.states, parked.verdicts.values()),
            workflow_execution=fields,
            snapshot=snapshot.bundle,
            bundle_dir=self._home.snapshots / snapshot.bundle,
            entry=snapshot.entry,
            imports=tuple(snapshot.imports),
        )

    def _event(self, parked: Parked) -> Event:
        with self._store.database.read() as tx:
            found = self._store.log.read_after(tx, parked.offset - 1, limit=1)
        if not found or found[0].offset != parked.offset:
            raise LookupError(f"event {parked.offset} is not in the log any more")
        return found[0]


def _question(scope: Scope) -> _Question:
    assert scope.waits_for is not None
    return scope.id, scope.inbox[0].offset, scope.waits_for
