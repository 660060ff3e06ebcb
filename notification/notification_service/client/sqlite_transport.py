# SPDX-License-Identifier: Apache-2.0
"""A client's way to a log in a SQLite file on this machine.

All clients of a process that name the same file share one open database (``shared_store``), so that their
sends share commits, and one thread that reads for all of their listeners.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from notification_service.client.listener import Listener
from notification_service.client.shared_store import SharedStore
from notification_service.client.transport import ClientIdentity
from notification_service.clients import ClientRegistry, producer_of
from notification_service.database.errors import MisuseError
from notification_service.errors import OffsetOutOfRange
from notification_service.event_log import EventLog
from notification_service.event_rules import Origin, check_events
from notification_service.model.event import Event, SenderEventCount
from notification_service.model.event_filter import EventFilter


class SqliteTransport:
    """Sends, asks and listens on the log in one file."""

    def __init__(self, path: str) -> None:
        self._store = SharedStore.open(path)
        self._closed = False

    def identify(
        self, namespace: str | None, sender: str | None, client_id: int | None, initial_sequence: int | None
    ) -> ClientIdentity:
        registry = ClientRegistry(self._log.database)
        if client_id is None:
            client_id = registry.register(namespace, sender)
            next_sequence = 0
        else:
            next_sequence = registry.resume(client_id)
        if initial_sequence is not None:
            next_sequence = initial_sequence
        return ClientIdentity(
            client_id=client_id, producer=producer_of(client_id), next_sequence=next_sequence
        )

    def forget(self, identity: ClientIdentity) -> None:
        if identity.client_id is not None:
            ClientRegistry(self._log.database).delete(identity.client_id)

    def send(
        self,
        events: Sequence[Event],
        *,
        namespace: str | None,
        sender: str | None,
        producer: str,
        sequence: int,
    ) -> Sequence[Event]:
        drafts = check_events(events, Origin(namespace=namespace, sender=sender))
        return self._log.append_drafts(drafts, producer=producer, sequence=sequence)

    def list_events(self, wanted: EventFilter) -> list[Event]:
        return self._log.list_events(wanted)

    def count_events(self, wanted: EventFilter) -> tuple[int, list[SenderEventCount]]:
        return self._log.count_events(wanted)

    def time_to_offset(self, time_ms: int) -> int:
        return self._log.time_to_offset(time_ms)

    def listen(self, listener: Listener) -> None:
        with self._log.database.read() as tx:
            removed_through = self._log.removed_through(tx)
        if 0 < listener.position < removed_through:
            raise OffsetOutOfRange(listener.position, removed_through)
        self._store.tail().add(listener)

    def unlisten(self, listener: Listener) -> None:
        self._store.tail().remove(listener)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._store.release()

    @property
    def _log(self) -> EventLog:
        if self._store.pid != os.getpid():
            raise MisuseError("This client was made before a fork; make a new one in this process.")
        return self._store.log
