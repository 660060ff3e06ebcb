# SPDX-License-Identifier: Apache-2.0
"""The supervisor's side of the task socket: what tasks send, ask and listen to.

A task says first who it is (attempt and token); anything else before that, or a wrong token, ends the
connection. Sends are not committed here: they are checked and queued, the owner of the loop appends them
inside its own transaction and acknowledges them after the commit, so that events of tasks ride the
scheduler's commit. Questions are answered page by page, so that no task holds up the loop.

Everything runs on the thread of the reactor. A slow task costs memory up to a window only: a listener gets
no further batch before it has consumed earlier ones. Operations that are not of the log go to ``extra``;
what that raises is an answer, not a fault of the loop.
"""

from __future__ import annotations

import collections
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

from notification_service.clients import ClientRegistry
from notification_service.errors import InvalidEventError, NotificationError, OffsetOutOfRange, ProtocolError
from notification_service.event_log import EventLog
from notification_service.event_rules import check_events
from notification_service.feed import Feed, Subscription
from notification_service.gateway_connection import Connection
from notification_service.model.event import Event
from notification_service.model.event_filter import EventFilter
from notification_service.reactor import READABLE, Reactor
from notification_service.wire import Message, SocketAddress, event_from_wire, event_to_wire, unix_socket

#: How many offsets one question looks at in a turn of the loop; more would hold it up for milliseconds.
SCAN_OFFSETS = 1000

#: Batches that a listener may have before it has consumed the first of them.
LISTENER_WINDOW = 4

#: A listener gets nothing more while so many bytes wait for its task to read them.
_BACKLOG_LIMIT = 1024 * 1024

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PendingSend:
    """Events that a task sent and that wait for a commit."""

    attempt: str
    drafts: list[Event]
    producer: str
    sequence: int
    connection: Connection
    request_id: object


@dataclass(slots=True, kw_only=True)
class _Listener:
    subscription: Subscription
    unconsumed: int = 0


class Gateway:
    """Serve the task socket of one supervisor."""

    def __init__(
        self,
        reactor: Reactor,
        path: str | os.PathLike[str],
        authenticate: Callable[[str, str], bool],
        log: EventLog,
        on_send: Callable[[], None],
        extra: Callable[[str, Message], object] | None = None,
    ) -> None:
        self.path = Path(path)
        self._reactor = reactor
        self._authenticate = authenticate
        self._log = log
        self._clients = ClientRegistry(log.database)
        self._on_send = on_send
        self._extra = extra
        self._feed = Feed(log)
        self._pump_is_due = False
        self._sends: collections.deque[PendingSend] = collections.deque()
        self._connections: dict[Connection, dict[int, _Listener]] = {}
        self._operations: dict[str, Callable[[Connection, Message], object]] = {
            "list": self._list,
            "count": self._count,
            "time_to_offset": self._time_to_offset,
            "head": self._head,
            "resume_client": self._resume_client,
            "listen": self._listen,
            "unlisten": self._unlisten,
        }
        self._socket = _listening_socket(self.path)
        reactor.watch(self._socket, READABLE, self._accept)

    def take_sends(self) -> list[PendingSend]:
        """Return the sends that wait for a commit, in the order of their arrival, and forget them."""
        taken = list(self._sends)
        self._sends.clear()
        return taken

    def acknowledge(self, pending: PendingSend, events: list[Event]) -> None:
        """Tell the task that its events are on disk; ``events`` are what the append returned."""
        stamps = [[event.offset, event.create_time] for event in events]
        pending.connection.send({"id": pending.request_id, "ok": {"stamps": stamps}})

    def reject(self, pending: PendingSend, error: Exception) -> None:
        """Tell the task why its events were not appended."""
        pending.connection.send({"id": pending.request_id, "error": error_to_wire(error)})

    def after_commit(self) -> None:
        """Push new events to the listeners; call it whenever the log may have grown."""
        if len(self._feed):
            self._pump()

    def close(self) -> None:
        """Close the socket and all connections; what was not acknowledged, the tasks will send again."""
        self._reactor.unwatch(self._socket)
        self._socket.close()
        self.path.unlink(missing_ok=True)
        for connection in list(self._connections):
            connection.close()

    # --- connections

    def _accept(self, _events: int) -> None:
        try:
            accepted, _ = self._socket.accept()
        except OSError:
            return  # the peer gave up, or there are no descriptors left: it will try again
        connection = Connection(
            self._reactor, accepted, self._on_message, self._on_closed, on_drained=self._pump_soon
        )
        self._connections[connection] = {}

    def _on_closed(self, connection: Connection) -> None:
        for listener in self._connections.pop(connection, {}).values():
            self._feed.remove(listener.subscription)

    def _on_message(self, connection: Connection, message: Message) -> None:
        request_id = message.get("id")
        if connection.attempt is None:
            self._greet(connection, message)
            return
        if message.get("op") == "consumed":
            self._consumed(connection, message)
            return
        try:
            if message.get("op") == "send":
                self._queue_send(connection, message)
                return
            answer: Message = {"ok": self._answer(connection, message)}
        except Exception as error:
            if not isinstance(error, NotificationError):
                _logger.warning("gateway.request_failed op=%s error=%r", message.get("op"), error)
            answer = {"error": error_to_wire(error)}
        connection.send({"id": request_id, **answer})

    def _greet(self, connection: Connection, message: Message) -> None:
        attempt, token = message.get("attempt"), message.get("token")
        known = message.get("op") == "hello" and isinstance(attempt, str) and isinstance(token, str)
        if known and self._authenticate(cast(str, attempt), cast(str, token)):
            connection.admit(cast(str, attempt))
            connection.send({"id": message.get("id"), "ok": {}})
            return
        refusal = NotAdmittedError(str(attempt))
        connection.send({"id": message.get("id"), "error": error_to_wire(refusal)})
        connection.close_when_sent()

    def _answer(self, connection: Connection, message: Message) -> object:
        operation = message.get("op")
        if not isinstance(operation, str):
            raise ProtocolError("A request on the task socket has no operation.")
        if operation in self._operations:
            return self._operations[operation](connection, message)
        if self._extra is None:
            raise ProtocolError(f"The task socket has no operation {operation}.")
        return self._extra(operation, {name: message[name] for name in message.keys() - {"id", "op"}})

    # --- sends and questions

    def _queue_send(self, connection: Connection, message: Message) -> None:
        drafts = [event_from_wire(fields) for fields in cast("list[Message]", message["events"])]
        check_events(drafts)
        producer, sequence = message.get("producer"), message.get("sequence")
        if not isinstance(producer, str) or not isinstance(sequence, int) or sequence < 0:
            raise InvalidEventError("A send needs a producer and a sequence that counts from 0.")
        pending = PendingSend(
            attempt=connection.attempt or "",
            drafts=drafts,
            producer=producer,
            sequence=sequence,
            connection=connection,
            request_id=message.get("id"),
        )
        self._sends.append(pending)
        self._on_send()

    def _list(self, _connection: Connection, message: Message) -> object:
        wanted = self._bounded_filter(message)
        events, position = self._log.page(wanted, limit=message.get("limit"), scan=SCAN_OFFSETS)
        rest = replace(wanted, begin_offset=position)
        return {"events": [event_to_wire(event) for event in events], "rest": asdict(rest)}

    def _count(self, _connection: Connection, message: Message) -> object:
        wanted = self._bounded_filter(message)
        counts, position = self._log.count_page(wanted, scan=SCAN_OFFSETS)
        rest = replace(wanted, begin_offset=position)
        return {"counts": counts, "rest": asdict(rest)}

    def _bounded_filter(self, message: Message) -> EventFilter:
        """Read the filter of a question; one that comes back from an earlier answer is bounded already."""
        wanted = EventFilter(**cast(Message, message.get("filter") or {}))
        return wanted if message.get("goes_on") else self._log.bounded(wanted)

    def _time_to_offset(self, _connection: Connection, message: Message) -> object:
        return self._log.time_to_offset(int(message["time_ms"]))

    def _head(self, _connection: Connection, _message: Message) -> object:
        with self._log.database.read() as tx:
            return self._log.head(tx)

    def _resume_client(self, _connection: Connection, message: Message) -> object:
        return self._clients.resume(int(message["client_id"]))

    # --- listeners

    def _listen(self, connection: Connection, message: Message) -> object:
        number = int(message["listener"])
        keys = cast("list[str] | None", message.get("keys"))
        offset = int(message.get("offset") or 0)
        with self._log.database.read() as tx:
            removed_through = self._log.removed_through(tx)
        if 0 < offset < removed_through and not message.get("resumed"):
            raise OffsetOutOfRange(offset, removed_through)
        self._unlisten(connection, message)

        def deliver(events: list[Event], reached: int) -> None:
            listener.unconsumed += 1
            wire_events = [event_to_wire(event) for event in events]
            connection.send({"listener": number, "events": wire_events, "offset": reached})

        def report_gap(gap: OffsetOutOfRange) -> None:
            connection.send({"listener": number, "error": error_to_wire(gap), "offset": gap.removed_through})

        listener = _Listener(
            subscription=Subscription(
                keys=None if keys is None else frozenset(keys),
                namespace=message.get("namespace"),
                position=offset,
                is_ready=lambda: (
                    listener.unconsumed < LISTENER_WINDOW and connection.backlog < _BACKLOG_LIMIT
                ),
                deliver=deliver,
                report_gap=report_gap,
            )
        )
        self._connections[connection][number] = listener
        self._feed.add(listener.subscription)
        self._pump_soon()
        return {}

    def _unlisten(self, connection: Connection, message: Message) -> object:
        listener = self._connections[connection].pop(int(message["listener"]), None)
        if listener is not None:
            self._feed.remove(listener.subscription)
        return {}

    def _consumed(self, connection: Connection, message: Message) -> None:
        listener = self._connections[connection].get(cast(int, message.get("listener")))
        if listener is not None:
            listener.unconsumed = max(0, listener.unconsumed - 1)
            if listener.unconsumed == LISTENER_WINDOW - 1:
                self._pump_soon()

    def _pump_soon(self) -> None:
        if not self._pump_is_due:
            self._pump_is_due = True
            self._reactor.call_later(0, self._pump_now)

    def _pump_now(self) -> None:
        self._pump_is_due = False
        self._pump()

    def _pump(self) -> None:
        if self._feed.pump():
            self._pump_soon()


class NotAdmittedError(NotificationError):
    """A peer on the task socket is no attempt of this supervisor."""

    code = "not_admitted"

    def __init__(self, attempt: str) -> None:
        super().__init__(
            f"The task attempt {attempt[:64]} is not known to this supervisor, or its token is wrong."
        )
        self.attempt = attempt


def error_to_wire(error: Exception) -> Message:
    """Return an error as a JSON object; other parts' errors may carry ``code`` and ``hint``, too."""
    return {
        "code": str(getattr(error, "code", "internal_error")),
        "message": str(getattr(error, "message", "") or error or type(error).__name__),
        "hint": getattr(error, "hint", None),
    }


def _listening_socket(path: Path) -> socket.socket:
    """Open the task socket, readable by its owner only, in the place of one that a dead supervisor left."""
    path.unlink(missing_ok=True)
    listening = unix_socket()
    with SocketAddress(path) as address:
        listening.bind(address)
    os.chmod(path, 0o600)
    listening.setblocking(False)
    listening.listen(128)
    return listening
