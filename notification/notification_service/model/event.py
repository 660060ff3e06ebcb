# SPDX-License-Identifier: Apache-2.0
"""The event: what users send, listen to and write rules about.

A user makes ``Event(key, value)``; the client adds namespace and sender, and the log adds the offset (its
place in the log, from 1) and ``create_time`` (milliseconds since the epoch). Events are equal when all
their fields are. Unset text is ``None`` in an event that a user made and ``""`` in one that was stored.

This module needs the standard library only: it runs in the user's Python.
"""

from __future__ import annotations

#: The namespace of events that name none in old programs.
DEFAULT_NAMESPACE = "DEFAULT"

#: As key, namespace or sender of a query: any.
ANY_CONDITION = "*"


class Event:
    """Something that happened.

    >>> print(Event("training_done", "0.93"))
    key:training_done, value:0.93, namespace:None, sender:None, create_time:None, offset:None, context: None
    """

    __slots__ = ("context", "create_time", "key", "namespace", "offset", "sender", "value")

    def __init__(
        self,
        key: str,
        value: str | None,
        namespace: str | None = None,
        sender: str | None = None,
        context: str | None = None,
        create_time: int | None = None,
        offset: int | None = None,
    ) -> None:
        self.key = key
        self.value = value
        self.namespace = namespace
        self.sender = sender
        self.context = context
        self.create_time = create_time
        self.offset = offset

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]  # an event can change, so it has no lasting hash

    def __str__(self) -> str:
        return (
            f"key:{self.key}, value:{self.value}, namespace:{self.namespace}, sender:{self.sender}, "
            f"create_time:{self.create_time}, offset:{self.offset}, context: {self.context}"
        )

    def __repr__(self) -> str:
        return f"<Event {self}>"

    def _fields(self) -> tuple[str | int | None, ...]:
        return (
            self.key,
            self.value,
            self.namespace,
            self.sender,
            self.context,
            self.create_time,
            self.offset,
        )


class SenderEventCount:
    """How many events one sender has in the log."""

    __slots__ = ("event_count", "sender")

    def __init__(self, sender: str, event_count: int) -> None:
        self.sender = sender
        self.event_count = event_count

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SenderEventCount):
            return NotImplemented
        return (self.sender, self.event_count) == (other.sender, other.event_count)

    def __hash__(self) -> int:
        return hash((self.sender, self.event_count))

    def __repr__(self) -> str:
        return f"SenderEventCount(sender={self.sender!r}, event_count={self.event_count})"
