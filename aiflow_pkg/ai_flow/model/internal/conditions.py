# SPDX-License-Identifier: Apache-2.0
"""The conditions that come with aiflow.

``SingleEventCondition`` is the documented one (workflow triggers, manual 4.9); the others are built by the
``action_on_...`` methods of operators or combine conditions of users. Where no user's class takes part, the
scheduler evaluates them from their description and never calls ``is_met``; what is here must give the same
verdicts, because a combination with a user's class is evaluated by it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from ai_flow.model.checks import checked_condition, checked_event_key, checked_name, checked_status
from ai_flow.model.condition import Condition
from ai_flow.model.errors import InvalidConditionError
from ai_flow.model.internal.event_names import EventContextConstant, task_status_change_key
from ai_flow.model.state import ValueStateDescriptor
from ai_flow.model.status import TaskStatus

if TYPE_CHECKING:
    from ai_flow.model.context import Context
    from notification_service.model.event import Event


def match_events(event_keys: Iterable[str], event: Event) -> bool:
    """Tell whether ``event`` has one of the keys; keys are compared exactly."""
    return event.key in set(event_keys)


class SingleEventCondition(Condition):
    """Met by every event with the key."""

    def __init__(self, expect_event_key: str) -> None:
        super().__init__([checked_event_key(expect_event_key)])

    def is_met(self, event: Event, context: Context) -> bool:
        return match_events(self.expect_event_keys, event)


class MeetAnyCondition(Condition):
    """Met when one of the conditions that expect the event is met.

    Every condition that expects the event is evaluated, so that each can count what it has to count.
    """

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self.conditions = _checked_parts(type(self).__name__, conditions)
        super().__init__(_keys_of(self.conditions))

    def is_met(self, event: Event, context: Context) -> bool:
        verdicts = [
            _verdict_of(part, event, context)
            for part in self.conditions
            if match_events(part.expect_event_keys, event)
        ]
        return any(verdicts)


class MeetAllCondition(Condition):
    """Met when the latest verdict of every condition is yes; then it begins anew.

    The verdicts are kept in a state called ``name``, so two such conditions of one workflow need two names.

    >>> from ai_flow.model.internal.contexts import StatesInMemory, WorkflowExecutionContext
    >>> from notification_service.model.event import Event
    >>> both = MeetAllCondition("both", [SingleEventCondition("a"), SingleEventCondition("b")])
    >>> context = WorkflowExecutionContext(states=StatesInMemory())
    >>> [both.is_met(Event(key, None), context) for key in ("a", "b", "b", "a")]
    [False, True, False, True]
    """

    def __init__(self, name: str, conditions: Iterable[Condition]) -> None:
        self.name = checked_name("condition", name)
        self.conditions = _checked_parts(type(self).__name__, conditions)
        super().__init__(_keys_of(self.conditions))

    def is_met(self, event: Event, context: Context) -> bool:
        state = context.get_state(ValueStateDescriptor(self.name))
        verdicts = self._remembered(state.value())
        for index, part in enumerate(self.conditions):
            if match_events(part.expect_event_keys, event):
                verdicts[index] = _verdict_of(part, event, context)
        if all(verdicts):
            state.clear()
            return True
        state.update(verdicts)
        return False

    def _remembered(self, value: object) -> list[bool]:
        # A new version of the file may have another number of conditions: what it remembers then means
        # nothing.
        if isinstance(value, list) and len(cast("list[bool]", value)) == len(self.conditions):
            return list(cast("list[bool]", value))
        return [False] * len(self.conditions)


class TaskStatusCondition(Condition):
    """Met by an event that announces the expected status of a task."""

    def __init__(self, workflow_name: str, task_name: str, namespace: str, expect_status: TaskStatus) -> None:
        super().__init__([task_status_change_key(namespace, workflow_name, task_name)])
        self.workflow_name = workflow_name
        self.task_name = task_name
        self.namespace = namespace
        self.expect_status = checked_status(expect_status)

    def is_met(self, event: Event, context: Context) -> bool:
        return match_events(self.expect_event_keys, event) and _announced_status(event) == self.expect_status


class TaskStatusAllMetCondition(Condition):
    """Met when a task becomes its expected status while all the others have theirs.

    It remembers nothing: what counts is the event and the status of the latest execution of every task.
    """

    def __init__(self, condition_list: Iterable[TaskStatusCondition]) -> None:
        self.conditions = cast(
            "list[TaskStatusCondition]", _checked_parts(type(self).__name__, condition_list)
        )
        for part in self.conditions:
            if not isinstance(part, TaskStatusCondition):
                raise InvalidConditionError(type(self).__name__, f"{part!r} is not a TaskStatusCondition")
        super().__init__(_keys_of(self.conditions))

    def is_met(self, event: Event, context: Context) -> bool:
        if not any(part.is_met(event, context) for part in self.conditions):
            return False
        return all(
            part.is_met(event, context) or context.get_task_status(part.task_name) == part.expect_status
            for part in self.conditions
        )


def _checked_parts(owner: str, conditions: Iterable[Condition]) -> list[Condition]:
    if isinstance(conditions, Condition):
        raise InvalidConditionError(owner, "its conditions must be a list, found a single condition")
    try:
        parts = list(conditions)
    except TypeError:
        raise InvalidConditionError(owner, f"its conditions must be a list, found {conditions!r}") from None
    if not parts:
        raise InvalidConditionError(owner, "it has no conditions")
    return [checked_condition(part) for part in parts]


def _verdict_of(part: Condition, event: Event, context: Context) -> bool:
    verdict: object = part.is_met(event, context)
    if not isinstance(verdict, bool):
        raise InvalidConditionError(type(part).__name__, f"is_met returned {verdict!r}, not True or False")
    return verdict


def _keys_of(conditions: Iterable[Condition]) -> list[str]:
    return list(dict.fromkeys(key for condition in conditions for key in condition.expect_event_keys))


def _announced_status(event: Event) -> str | None:
    try:
        context = cast("object", json.loads(event.context or ""))
    except ValueError:
        return None
    if not isinstance(context, dict):
        return None
    return cast("dict[str, str]", context).get(EventContextConstant.TASK_STATUS)
