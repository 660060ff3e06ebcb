# SPDX-License-Identifier: Apache-2.0
"""The clients that are registered with a log.

A client id names a producer, ``client_<id>``; its sequence numbers make its sends idempotent. A program that
starts again with its old client id goes on after the last sequence that it used, so nothing it sends is taken
for a repetition, unless it asks for one by giving the sequence number to begin with.
"""

from __future__ import annotations

from notification_service.clock import Clock, SystemClock
from notification_service.database.port import Database, WriteTransaction
from notification_service.errors import UnknownClientError
from notification_service.producers import SQL, next_sequence


def producer_of(client_id: int) -> str:
    """Return the name under which the events of a client are appended."""
    return f"client_{client_id}"


class ClientRegistry:
    """Register, find and remove the clients of one database."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    def register(self, namespace: str | None, sender: str | None) -> int:
        """Register a client and return its id."""
        now_ms = self._clock.now_ms()

        def work(tx: WriteTransaction) -> int:
            return tx.insert(SQL.register_client, namespace=namespace, sender=sender, registered_at=now_ms)

        return self._database.commit_together(work)

    def exists(self, client_id: int) -> bool:
        """Tell whether a client is registered."""
        with self._database.read() as tx:
            return tx.row(SQL.find_client, id=client_id) is not None

    def resume(self, client_id: int) -> int:
        """Return the sequence number with which a registered client goes on."""
        with self._database.read() as tx:
            if tx.row(SQL.find_client, id=client_id) is None:
                raise UnknownClientError(client_id)
            return next_sequence(tx, producer_of(client_id))

    def delete(self, client_id: int) -> bool:
        """Remove a client and tell whether there was one; what it sent stays."""
        now_ms = self._clock.now_ms()

        def work(tx: WriteTransaction) -> int:
            return tx.execute(SQL.delete_client, id=client_id, deleted_at=now_ms)

        return self._database.commit_together(work) > 0
