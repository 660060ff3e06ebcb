# SPDX-License-Identifier: Apache-2.0
"""A task's way to the log: over the socket of its supervisor.

Sends are numbered under a producer of this process and repeated with the same numbers if the supervisor goes
away, so the log has each once. Listeners are registered again after a break, above what has come already.
Long answers come in pages. ``ask`` carries the operations of other parts (``ai_flow.ops``).

A forked child of the task gets a link and a producer of its own. Standard library only.
"""

from __future__ import annotations

import itertools
import os
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from notification_service.client.listener import Listener
from notification_service.client.socket_link import AWAY_LIMIT_S, SocketLink
from notification_service.client.transport import ClientIdentity
from notification_service.errors import RequestRefusedError
from notification_service.event_rules import check_events
from notification_service.model.event import Event, SenderEventCount
from notification_service.model.event_filter import EventFilter
from notification_service.wire import Message, event_from_wire

#: Events of one request; more are sent in several, so that the supervisor's loop stays quick.
_EVENTS_PER_SEND = 1000
_TEXT_PER_SEND = 4 * 1024 * 1024


class SocketTransport:
    """Sends, asks and listens over a task socket."""

    def __init__(self, path: str, *, attempt: str, token: str, limit_s: float = AWAY_LIMIT_S) -> None:
        self._path = path
        self._attempt = attempt
        self._token = token
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._listeners: dict[int, Listener] = {}
        self._link = self._new_link()

    @classmethod
    def of_task(cls, environ: Mapping[str, str]) -> SocketTransport:
        """Return the way to the log that a task finds in its environment."""
        return cls(
            environ["AIFLOW_SOCKET"],
            attempt=environ.get("AIFLOW_ATTEMPT_ID", ""),
            token=environ.get("AIFLOW_TOKEN", ""),
        )

    def ask(self, operation: str, arguments: Message | None = None, *, repeatable: bool = False) -> Any:
        """Ask the supervisor anything; say ``repeatable`` if asking twice does no harm."""
        return self._current_link().ask(operation, arguments or {}, repeatable=repeatable)

    def identify(
        self, namespace: str | None, sender: str | None, client_id: int | None, initial_sequence: int | None
    ) -> ClientIdentity:
        """Number the sends under this attempt, or go on as a registered client."""
        if client_id is None:
            producer = f"{self._attempt}_{uuid.uuid4().hex[:12]}"
            return ClientIdentity(client_id=None, producer=producer, next_sequence=initial_sequence or 0)
        next_sequence = self.ask("resume_client", {"client_id": client_id}, repeatable=True)
        return ClientIdentity(
            client_id=client_id,
            producer=f"client_{client_id}",
            next_sequence=next_sequence if initial_sequence is None else initial_sequence,
        )

    def forget(self, identity: ClientIdentity) -> None:
        """Nothing was registered for a task; a client that it resumed stays for others."""

    def send(
        self,
        events: Sequence[Event],
        *,
        namespace: str | None,
        sender: str | None,
        producer: str,
        sequence: int,
    ) -> list[Event]:
        """Send events and wait until the supervisor has committed them."""
        check_events(events)
        stored: list[Event] = []
        for part in _parts_of(events):
            fields: list[Message] = [
                {
                    "key": e.key,
                    "value": e.value,
                    "namespace": namespace,
                    "sender": sender,
                    "context": e.context,
                }
                for e in part
            ]
            answer = self._ask_again(
                "send", {"events": fields, "producer": producer, "sequence": sequence + len(stored)}
            )
            for event, (offset, create_time) in zip(part, answer["stamps"], strict=True):
                texts = (event.value or "", namespace or "", sender or "", event.context or "")
                stored.append(Event(event.key, *texts, create_time, offset))
        return stored

    def list_events(self, wanted: EventFilter) -> list[Event]:
        """Return the matching events in order."""
        pages = self._pages("list", wanted)
        return [event_from_wire(fields) for page in pages for fields in page["events"]]

    def count_events(self, wanted: EventFilter) -> tuple[int, list[SenderEventCount]]:
        """Return how many events match, in all and by sender."""
        counts: dict[str, int] = {}
        for page in self._pages("count", wanted):
            for sender, count in page["counts"].items():
                counts[sender] = counts.get(sender, 0) + count
        return sum(counts.values()), [SenderEventCount(sender, counts[sender]) for sender in sorted(counts)]

    def time_to_offset(self, time_ms: int) -> int:
        """Return the largest offset with a create_time at or before a time."""
        return self._ask_again("time_to_offset", {"time_ms": time_ms})

    def listen(self, listener: Listener) -> None:
        """Begin to deliver events above the listener's position."""
        link = self._current_link()
        with self._lock:
            number = next(self._numbers)
            self._listeners[number] = listener
            listener.on_consumed = lambda done: self._consumed(number, done)
        try:
            link.ask("listen", _listen_message(number, listener), repeatable=True)
        except BaseException:
            with self._lock:
                self._listeners.pop(number, None)
            raise
        link.stay_connected(True)

    def unlisten(self, listener: Listener) -> None:
        """Deliver nothing more to a listener."""
        with self._lock:
            numbers = [number for number, known in self._listeners.items() if known is listener]
            for number in numbers:
                del self._listeners[number]
            others = bool(self._listeners)
        self._link.stay_connected(others)
        for number in numbers:
            self._link.tell({"op": "unlisten", "listener": number})

    def close(self) -> None:
        """Close the connection; harmless when called again."""
        if self._link.pid == os.getpid():
            self._link.close()

    def _new_link(self) -> SocketLink:
        return SocketLink(
            self._path,
            attempt=self._attempt,
            token=self._token,
            on_push=self._on_push,
            greetings=self._listen_messages,
            limit_s=self._limit_s,
        )

    def _current_link(self) -> SocketLink:
        if self._link.pid != os.getpid():
            # This is a forked child: the socket, its thread and the locks are the parent's.
            self._lock = threading.Lock()
            self._listeners = {}
            self._link = self._new_link()
        return self._link

    def _ask_again(self, operation: str, arguments: Message) -> Any:
        return self._current_link().ask(operation, arguments, repeatable=True)

    def _pages(self, operation: str, wanted: EventFilter) -> Iterator[Message]:
        page = self._ask_again(operation, {"filter": asdict(wanted)})
        yield page
        while page["rest"]["begin_offset"] != page["rest"]["end_offset"]:
            page = self._ask_again(operation, {"filter": page["rest"], "goes_on": True})
            yield page

    def _listen_messages(self) -> list[Message]:
        with self._lock:
            listeners = list(self._listeners.items())
        return [
            {"op": "listen", "resumed": True, **_listen_message(number, listener)}
            for number, listener in listeners
        ]

    def _on_push(self, message: Message) -> None:
        with self._lock:
            listener = self._listeners.get(message["listener"])
        if listener is None:
            return
        if "error" in message:
            error = message["error"]
            listener.report(RequestRefusedError(error["code"], error["message"], error.get("hint")))
            return
        events = [event_from_wire(fields) for fields in message["events"]]
        # Around a break a listener may be registered twice, and then what came already comes once more.
        fresh = [event for event in events if (event.offset or 0) > listener.position]
        if fresh:
            listener.deliver(fresh, message["offset"])
        else:
            self._consumed(message["listener"], listener)

    def _consumed(self, number: int, listener: Listener) -> None:
        self._link.tell({"op": "consumed", "listener": number, "offset": listener.position})


def _listen_message(number: int, listener: Listener) -> Message:
    return {
        "listener": number,
        "keys": listener.keys,
        "namespace": listener.namespace,
        "offset": listener.position,
    }


def _parts_of(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Cut a bulk into requests of bounded size, each with one event at least."""
    begin = size = 0
    for position, event in enumerate(events):
        size += len(event.value or "")
        if position > begin and (size > _TEXT_PER_SEND or position - begin >= _EVENTS_PER_SEND):
            yield events[begin:position]
            begin, size = position, len(event.value or "")
    if begin < len(events):
        yield events[begin:]
