# SPDX-License-Identifier: Apache-2.0
"""The logical test of a rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ai_flow.model.errors import InvalidConditionError

if TYPE_CHECKING:
    from ai_flow.model.context import Context
    from notification_service.model.event import Event


class Condition(ABC):
    """Decides, when one of the expected events comes, whether a rule takes its action.

    Write a subclass with your own ``is_met``. It is called in a child process of your Python, once per event
    whose key is expected; what it has to remember belongs into a state, not into an attribute.

    >>> from ai_flow.model.internal.contexts import StatesInMemory, WorkflowExecutionContext
    >>> from ai_flow.model.state import ValueStateDescriptor
    >>> from notification_service.model.event import Event
    >>> class NumCondition(Condition):
    ...     def is_met(self, event, context):
    ...         state = context.get_state(ValueStateDescriptor(name="num_state"))
    ...         total = (state.value() or 0) + int(event.value)
    ...         state.update(total)
    ...         return total >= 100
    >>> condition = NumCondition(expect_event_keys=["num_event"])
    >>> context = WorkflowExecutionContext(states=StatesInMemory())
    >>> [condition.is_met(Event("num_event", number), context) for number in ("60", "50")]
    [False, True]
    """

    def __init__(self, expect_event_keys: Iterable[str]) -> None:
        if isinstance(expect_event_keys, str):
            raise InvalidConditionError(
                type(self).__name__,
                f"expect_event_keys is the text {expect_event_keys!r}: write [{expect_event_keys!r}]",
            )
        self.expect_event_keys: list[str] = list(expect_event_keys)

    @abstractmethod
    def is_met(self, event: Event, context: Context) -> bool:
        """Tell whether the condition is met now that ``event`` has come.

        It must return ``True`` or ``False``. If it raises, takes longer than the time limit or returns
        anything else, the rule is recorded as failed for this event; other rules still see the event.
        """
