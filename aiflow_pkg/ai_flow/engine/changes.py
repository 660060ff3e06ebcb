# SPDX-License-Identifier: Apache-2.0
"""What a step of the engine wants written; the store writes all of it in one transaction.

Rows of runs, attempts and executions are named by the objects that changed (the store writes their present
form, guarded by the form it holds); everything that is only ever added is a record here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from ai_flow.engine.world import Attempt, Execution, Parked, RuleId, Scope, ScopeId, StateValue, TaskRun


class RuleVerdict(str, Enum):
    """What a rule said about an event."""

    YES = "yes"
    NO = "no"
    ERROR = "error"
    #: The event came when the execution could not act on it any more.
    LATE = "late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One rule met one event: the verdict, and what came of it in words (``started``, ``ignored:
    alive``...).
    """

    scope: ScopeId
    rule: RuleId
    offset: int
    verdict: RuleVerdict
    action: str | None = None
    outcome: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmittedEvent:
    """An event that the scheduler appends; ``offset`` is the one it will get."""

    offset: int
    key: str
    value: str
    namespace: str
    context: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRequest:
    """A trigger was met: a new execution of the workflow is to be created."""

    workflow_id: int
    trigger_id: int
    offset: int


@dataclass(slots=True)
class Changes:
    """Everything that one step changed."""

    executions: dict[int, Execution] = field(default_factory=dict[int, Execution])
    runs: dict[tuple[int, str, int], tuple[Execution, TaskRun]] = field(
        default_factory=dict[tuple[int, str, int], tuple[Execution, TaskRun]]
    )
    attempts: dict[str, tuple[Execution, TaskRun, Attempt]] = field(
        default_factory=dict[str, tuple[Execution, TaskRun, Attempt]]
    )
    states: dict[tuple[ScopeId, str], StateValue | None] = field(
        default_factory=dict[tuple[ScopeId, str], "StateValue | None"]
    )
    parked: list[tuple[Scope, Parked]] = field(default_factory=list[tuple[Scope, Parked]])
    unparked: list[tuple[Scope, Parked]] = field(default_factory=list[tuple[Scope, Parked]])
    ticks: dict[tuple[int, str], int | None] = field(default_factory=dict[tuple[int, str], "int | None"])
    evaluations: list[tuple[Scope | None, Evaluation]] = field(
        default_factory=list[tuple["Scope | None", Evaluation]]
    )
    never_started: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])
    events: list[EmittedEvent] = field(default_factory=list[EmittedEvent])
    requests: list[ExecutionRequest] = field(default_factory=list[ExecutionRequest])
    #: Commands that could not be carried out: (offset of the command, why).
    refusals: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    #: Attempts whose process is to be stopped, and whether at once.
    stops: list[str] = field(default_factory=list[str])
    finished: list[Execution] = field(default_factory=list[Execution])

    def is_empty(self) -> bool:
        """Tell whether there is nothing to write."""
        return not any(getattr(self, name) for name in self.__dataclass_fields__)
