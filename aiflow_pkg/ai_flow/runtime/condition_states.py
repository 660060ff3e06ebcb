# SPDX-License-Identifier: Apache-2.0
"""The states that a user's condition reads and changes while it is evaluated.

They come with the request, as of the event that is evaluated, and nothing reaches the store from here: what
changed is collected and travels back with the verdict. A value is encoded at the moment of ``update`` and
decoded anew at every ``value()``, so changing a list that was read or written changes nothing until it is
given to ``update`` again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_flow.model.state import ValueState
from ai_flow.runtime.state_codec import Encoded, decode, encode


class HostedStates:
    """The states of one scope, in the form that ``ai_flow.model.internal.contexts`` asks for."""

    def __init__(self, known: Mapping[str, Encoded]) -> None:
        self._known = known
        self._now: dict[str, Encoded | None] = dict(known)

    def value_state(self, name: str) -> ValueState:
        """Return the state called ``name``, new if it was never set."""
        return _HostedValue(self._now, name)

    def changes(self) -> dict[str, Encoded | None]:
        """Return the states that differ from the request; None means cleared."""
        return {name: value for name, value in self._now.items() if value != self._known.get(name)}


class _HostedValue(ValueState):
    def __init__(self, now: dict[str, Encoded | None], name: str) -> None:
        self._now = now
        self._name = name

    def value(self) -> Any:
        encoded = self._now.get(self._name)
        return None if encoded is None else decode(encoded)

    def update(self, state: object) -> None:
        self._now[self._name] = encode(state)

    def clear(self) -> None:
        self._now[self._name] = None
