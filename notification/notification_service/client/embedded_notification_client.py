# SPDX-License-Identifier: Apache-2.0
"""The client that users construct: ``EmbeddedNotificationClient(server_uri, ...)``.

    >>> client = EmbeddedNotificationClient(store_uri, namespace="default", sender="doc")
    >>> client.send_event(Event("greeting", "hello")).offset
    1
    >>> client.close()

It may be shared by threads: each send takes its sequence numbers under a lock, and the log keeps each
(client, sequence) once, so nothing is lost or doubled. A program that restarts may give its old
``client_id``: it goes on after the last sequence that it used, or, to repeat sends whose outcome it does
not know, at ``initial_seq_num``.

How the log is reached is for ``client.transport``. Standard library only, apart from what a transport needs.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from notification_service.client.listener import Listener
from notification_service.client.notification_client import (
    ListenerProcessor,
    ListenerRegistrationId,
    NotificationClient,
)
from notification_service.client.transport import Transport, open_transport
from notification_service.event_rules import check_events
from notification_service.model.event import Event, SenderEventCount
from notification_service.model.event_filter import EventFilter

_listener_numbers = itertools.count(1)


class EmbeddedNotificationClient(NotificationClient):
    """Sends events and listens to them at a server uri."""

    def __init__(
        self,
        server_uri: str,
        namespace: str | None = None,
        sender: str | None = None,
        client_id: int | None = None,
        initial_seq_num: int | None = None,
        *,
        transport: Transport | None = None,
    ) -> None:
        super().__init__(namespace, sender)
        check_events([Event("-", None, namespace, sender)])
        self.server_uri = server_uri
        self._transport = transport or open_transport(server_uri)
        self._lock = threading.Lock()
        self._listeners: dict[str, Listener] = {}
        self._pid = os.getpid()
        self._closed = False
        try:
            self._identity = self._transport.identify(namespace, sender, client_id, initial_seq_num)
        except BaseException:
            self._transport.close()
            raise
        #: The sequence number of the next event.
        self.sequence_number = self._identity.next_sequence

    @property
    def client_id(self) -> int | None:
        """The id to give to a client that goes on for this one; None inside a task, which needs none."""
        return self._identity.client_id

    @property
    def threads(self) -> Mapping[str, threading.Thread]:
        """The threads of the listeners by their registration id."""
        return MappingProxyType(self._listeners)

    def send_event(self, event: Event) -> Event:
        """Send an event and return it with its offset and create_time, after it is on disk.

        Namespace and sender are those of this client, whatever the event says.
        """
        return self.send_events([event])[0]

    def send_events(self, events: Sequence[Event]) -> Sequence[Event]:
        """Send many events at once; much faster than one by one, and durable when this returns.

        They get consecutive sequence numbers, and are in the log in the given order. If this raises, a
        first part of them may be in the log.
        """
        if not events:
            return []
        sequence = self._take_sequences(len(events))
        return self._transport.send(
            events,
            namespace=self.namespace,
            sender=self.sender,
            producer=self._identity.producer,
            sequence=sequence,
        )

    def register_listener(
        self,
        listener_processor: ListenerProcessor,
        event_keys: list[str] | None = None,
        offset: int | None = None,
    ) -> ListenerRegistrationId:
        """Pass the events above ``offset`` to a processor as they come; None or 0: from the beginning.

        Without keys it gets every event of every namespace; with keys, events of these keys in the client's
        namespace, or in any if the client has none.
        """
        name = f"notification-listener-{next(_listener_numbers)}"
        keys = None if event_keys is None else list(event_keys)
        listener = Listener(name, listener_processor, keys=keys, namespace=self.namespace, offset=offset or 0)
        self._transport.listen(listener)
        listener.start()
        with self._lock:
            self._listeners[name] = listener
        return ListenerRegistrationId(name)

    def unregister_listener(self, registration_id: ListenerRegistrationId) -> None:
        """Stop a listener; no call of its processor begins after this. Harmless when called again."""
        with self._lock:
            listener = self._listeners.pop(registration_id.id, None)
        if listener is not None:
            self._transport.unlisten(listener)
            listener.stop()

    def list_events(
        self,
        key: str | None = None,
        namespace: str | None = None,
        sender: str | None = None,
        begin_offset: int | None = None,
        end_offset: int | None = None,
    ) -> list[Event]:
        """Return the events that match; None, "" and "*" match any, in any namespace."""
        return self._transport.list_events(
            EventFilter(
                key=key, namespace=namespace, sender=sender, begin_offset=begin_offset, end_offset=end_offset
            )
        )

    def count_events(
        self,
        key: str | None = None,
        namespace: str | None = None,
        sender: str | None = None,
        begin_offset: int | None = None,
        end_offset: int | None = None,
    ) -> tuple[int, list[SenderEventCount]]:
        """Return how many events match, in all and by sender; arguments as for ``list_events``."""
        return self._transport.count_events(
            EventFilter(
                key=key, namespace=namespace, sender=sender, begin_offset=begin_offset, end_offset=end_offset
            )
        )

    def list_all_events(
        self, start_time: int | None = None, start_offset: int | None = None, end_offset: int | None = None
    ) -> list[Event]:
        """Return the events in (``start_offset``, ``end_offset``], or those from ``start_time`` (ms) on."""
        if start_offset:
            wanted = EventFilter(begin_offset=start_offset, end_offset=end_offset)
        else:
            wanted = EventFilter(begin_time=start_time)
        return self._transport.list_events(wanted)

    def time_to_offset(self, time_to_offset: datetime) -> int:
        """Return the largest offset with a create_time up to a time, else 0; naive times are local."""
        return self._transport.time_to_offset(int(time_to_offset.timestamp() * 1000))

    def close(self) -> None:
        """Stop all listeners, remove the registration and disconnect; harmless when called again."""
        if self._closed or self._pid != os.getpid():
            return
        self._closed = True
        for name in list(self._listeners):
            self.unregister_listener(ListenerRegistrationId(name))
        try:
            self._transport.forget(self._identity)
        finally:
            self._transport.close()

    def _take_sequences(self, count: int) -> int:
        if self._pid != os.getpid():
            self._start_over_in_child()
        with self._lock:
            sequence = self.sequence_number
            self.sequence_number += count
            return sequence

    def _start_over_in_child(self) -> None:
        """Take numbers of its own: the log would take a child's event for a repetition of the parent's."""
        self._lock = threading.Lock()
        self._listeners = {}
        self._identity = self._transport.identify(self.namespace, self.sender, None, None)
        self.sequence_number = self._identity.next_sequence
        self._pid = os.getpid()
