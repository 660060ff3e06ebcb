# SPDX-License-Identifier: Apache-2.0
"""What every notification client offers, and what a user gives to one.

A user's listener is a ``ListenerProcessor``; registering it returns a ``ListenerRegistrationId`` with which
it is unregistered. Standard library only: it runs in the user's Python.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime

from notification_service.model.event import Event


class ListenerProcessor(ABC):
    """What a user wants done with events."""

    @abstractmethod
    def process(self, events: list[Event]) -> None:
        """Handle some events, in the order of their offsets.

        It is called from the listener's own thread, one call at a time. If it raises, the error is logged
        and the listener goes on with the next events.
        """


class ListenerRegistrationId:
    """Names a registered listener."""

    def __init__(self, id: str) -> None:
        self.id = id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ListenerRegistrationId) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"ListenerRegistrationId({self.id!r})"


class NotificationClient(ABC):
    """Sends events under one namespace and sender, and listens to events."""

    def __init__(self, namespace: str | None = None, sender: str | None = None) -> None:
        self.namespace = namespace
        self.sender = sender

    @abstractmethod
    def send_event(self, event: Event) -> Event:
        """Send an event and return it with its offset and create_time, after it is on disk."""

    @abstractmethod
    def register_listener(
        self,
        listener_processor: ListenerProcessor,
        event_keys: list[str] | None = None,
        offset: int | None = None,
    ) -> ListenerRegistrationId:
        """Pass the events above ``offset`` to a processor as they come; None or 0: from the beginning."""

    @abstractmethod
    def unregister_listener(self, registration_id: ListenerRegistrationId) -> None:
        """Stop a listener."""

    @abstractmethod
    def list_events(
        self,
        key: str | None = None,
        namespace: str | None = None,
        sender: str | None = None,
        begin_offset: int | None = None,
        end_offset: int | None = None,
    ) -> list[Event]:
        """Return the events that match; ``begin_offset`` is exclusive, ``end_offset`` inclusive."""

    @abstractmethod
    def time_to_offset(self, time_to_offset: datetime) -> int:
        """Return the largest offset whose create_time is at or before a time, else 0."""
