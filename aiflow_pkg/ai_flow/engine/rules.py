# SPDX-License-Identifier: Apache-2.0
"""Whether rules are met by an event: evaluation without effects.

For one event, the rules of a target (a task, or the triggers of a workflow) are tried in definition order;
the first that is met wins and the rest of that target are not evaluated, so their states do not change
(behaviour 3.1). A rule of a task that fails ends its target for this event, other targets go on; after a
trigger that fails the others are tried, for all of them ask for the same. A condition of the user's own
class needs the verdict of a condition host: if it is not there yet, ``consider`` says which one is wanted
and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ai_flow.engine.changes import RuleVerdict
from ai_flow.engine.graph import AllOf, AnyOf, Condition, OfUser, OnEvent, OnStatuses, OnTaskStatus
from ai_flow.engine.world import RuleId, StateValue, Verdict
from ai_flow.model.status import TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What a condition may look at: the event, and the statuses as of its time."""

    key: str
    statuses: Mapping[str, TaskStatus]
    #: For an event of the own workflow: which task became what.
    status_change: tuple[str, TaskStatus] | None = None
    #: The status that the event's context names, whatever workflow it is of.
    reported_status: str | None = None


@dataclass(frozen=True, slots=True)
class Considered:
    """One rule and what it said."""

    rule: RuleId
    verdict: RuleVerdict
    error: str | None = None


@dataclass(slots=True)
class Consideration:
    """The verdicts on one event and the states that they changed."""

    considered: list[Considered] = field(default_factory=list[Considered])
    states: dict[str, StateValue | None] = field(default_factory=dict[str, "StateValue | None"])


def consider(
    targets: Iterable[Iterable[tuple[RuleId, Condition]]],
    happening: Happening,
    states: Mapping[str, StateValue],
    verdicts: Mapping[RuleId, Verdict],
) -> Consideration | RuleId:
    """Evaluate the rules of every target; return the rule whose host verdict is missing, if one is."""
    result = Consideration()
    for rules in targets:
        for rule, condition in rules:
            if isinstance(condition, OfUser):
                verdict = verdicts.get(rule)
                if verdict is None:
                    return rule
                result.states.update(verdict.states)
                said = Considered(rule, _kind_of(verdict), verdict.error)
            else:
                met = _is_met(condition, happening, states, result.states)
                said = Considered(rule, RuleVerdict.YES if met else RuleVerdict.NO)
            result.considered.append(said)
            if said.verdict is RuleVerdict.YES or (
                said.verdict is RuleVerdict.ERROR and rule.task is not None
            ):
                break
    return result


def states_seen_by_host(
    states: Mapping[str, StateValue], verdicts: Iterable[Verdict]
) -> dict[str, StateValue]:
    """Return the states as the next condition of the same event sees them: after the earlier verdicts."""
    seen: dict[str, StateValue | None] = dict(states)
    for verdict in verdicts:
        seen.update(verdict.states)
    return {name: value for name, value in seen.items() if value is not None}


def _kind_of(verdict: Verdict) -> RuleVerdict:
    if verdict.error is not None:
        return RuleVerdict.ERROR
    return RuleVerdict.YES if verdict.met else RuleVerdict.NO


def _is_met(
    condition: Condition,
    happening: Happening,
    states: Mapping[str, StateValue],
    changed: dict[str, StateValue | None],
) -> bool:
    match condition:
        case OnEvent():
            return True
        case OnTaskStatus():
            return happening.reported_status == condition.status.value
        case OnStatuses():
            return _statuses_are_met(condition.expect, happening)
        case AnyOf():
            # Every listening part is evaluated: a nested AllOf must not miss the event.
            listening = [part for part in condition.parts if happening.key in part.keys]
            verdicts = [_is_met(part, happening, states, changed) for part in listening]
            return any(verdicts)
        case AllOf():
            return _all_parts_are_met(condition, happening, states, changed)
        case OfUser():
            raise AssertionError("a user's condition is never part of one that is evaluated here")


def _statuses_are_met(expect: Mapping[str, TaskStatus], happening: Happening) -> bool:
    """Tell whether the changed task became its expected status while all the others have theirs."""
    if happening.status_change is None:
        return False
    changed_task, became = happening.status_change
    if expect.get(changed_task) is not became:
        return False
    return all(
        happening.statuses.get(task) is status for task, status in expect.items() if task != changed_task
    )


def _all_parts_are_met(
    condition: AllOf,
    happening: Happening,
    states: Mapping[str, StateValue],
    changed: dict[str, StateValue | None],
) -> bool:
    met = remembered_parts(condition, changed if condition.name in changed else states)
    for position, part in enumerate(condition.parts):
        if happening.key in part.keys:
            met[position] = _is_met(part, happening, states, changed)
    if all(met):
        # It starts again from nothing: the reference kept the old parts and fired on every further event.
        changed[condition.name] = None
        return True
    changed[condition.name] = StateValue("json", json.dumps(met))
    return False


def remembered_parts(condition: AllOf, states: Mapping[str, StateValue | None]) -> list[bool]:
    """Return which parts have been met since ``condition`` last fired."""
    value = states.get(condition.name)
    nothing = [False] * len(condition.parts)
    if value is None or value.encoding != "json":
        return nothing
    try:
        remembered = json.loads(value.data)
    except ValueError:
        return nothing
    is_ours = isinstance(remembered, list) and len(remembered) == len(nothing)  # pyright: ignore[reportUnknownArgumentType]
    return [bool(item) for item in remembered] if is_ours else nothing  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
