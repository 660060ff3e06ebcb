# SPDX-License-Identifier: Apache-2.0
"""What a condition remembers from one event to the next.

A state is found by its name in a scope: the rules of one workflow execution share a scope, and so do all the
triggers of one workflow. Changes are kept exactly once, together with the event that caused them. The
classes are interfaces; whoever evaluates conditions implements them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod


class StateType:
    """The kinds of state that exist."""

    VALUE = "value"


class StateDescriptor:
    """Names a state. Use a subclass that says the kind."""

    def __init__(self, name: str) -> None:
        self.name = name


class ValueStateDescriptor(StateDescriptor):
    """Names a state that holds a single value.

    >>> ValueStateDescriptor(name="num_state").name
    'num_state'
    """


class State(ABC):
    """Something remembered under a name."""

    @abstractmethod
    def clear(self) -> None:
        """Forget it, as if it had never been set."""


class ValueState(State):
    """A single value remembered under a name.

    A value may be anything that can be pickled. Change it with ``update``: changing a list in place without
    calling ``update`` is not noticed.

    >>> from ai_flow.model.internal.contexts import StatesInMemory
    >>> state = StatesInMemory().value_state("num_state")
    >>> state.value() is None
    True
    >>> state.update(42)
    >>> state.value()
    42
    >>> state.clear()
    >>> state.value() is None
    True
    """

    @abstractmethod
    def value(self) -> object:
        """Return the value, None if it was never set or has been cleared."""

    @abstractmethod
    def update(self, state: object) -> None:
        """Replace the value by ``state``."""
