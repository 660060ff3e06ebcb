# SPDX-License-Identifier: Apache-2.0
"""How a client reaches the log: the port, and the choice by server uri.

- ``sqlite:///path`` opens the log in that file (never inside a task, see below);
- inside a task the home's own notification address, and the home's own store, mean the supervisor's socket,
  so that the user's Python needs no database and sends join the supervisor's commits;
- anything else is not reachable: ``ServerUnreachableError`` says what is.

Implementations are imported when they are chosen: the one for SQLite needs apsw, which the user's Python
may not have.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from notification_service.client.listener import Listener
from notification_service.errors import ServerUnreachableError
from notification_service.model.event import Event, SenderEventCount
from notification_service.model.event_filter import EventFilter

#: Where a notification server listens if nobody says otherwise.
DEFAULT_NOTIFICATION_URI = "127.0.0.1:50052"

_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientIdentity:
    """Under which name a client's sends are numbered, and from where."""

    client_id: int | None  # None: the task attempt is the identity, and nothing was registered
    producer: str
    next_sequence: int


class Transport(Protocol):
    """A way to the log. All methods may be called from any thread."""

    def identify(
        self, namespace: str | None, sender: str | None, client_id: int | None, initial_sequence: int | None
    ) -> ClientIdentity:
        """Register a new client, or find one again by its id."""
        ...

    def forget(self, identity: ClientIdentity) -> None:
        """Remove the registration of a client."""
        ...

    def send(
        self,
        events: Sequence[Event],
        *,
        namespace: str | None,
        sender: str | None,
        producer: str,
        sequence: int,
    ) -> Sequence[Event]:
        """Append events under a namespace and sender; return them as stored, after they are on disk."""
        ...

    def list_events(self, wanted: EventFilter) -> list[Event]:
        """Return the matching events in order."""
        ...

    def count_events(self, wanted: EventFilter) -> tuple[int, list[SenderEventCount]]:
        """Return how many events match, in all and by sender."""
        ...

    def time_to_offset(self, time_ms: int) -> int:
        """Return the largest offset with a create_time at or before a time."""
        ...

    def listen(self, listener: Listener) -> None:
        """Begin to deliver events above the listener's position."""
        ...

    def unlisten(self, listener: Listener) -> None:
        """Deliver nothing more to a listener."""
        ...

    def close(self) -> None:
        """Release the connection; harmless when called again."""
        ...


def open_transport(server_uri: str, environ: Mapping[str, str] | None = None) -> Transport:
    """Return the way to the log that a server uri names, as seen from this process."""
    environ = os.environ if environ is None else environ
    in_task = bool(environ.get("AIFLOW_SOCKET"))
    if in_task and names_own_log(server_uri, environ):
        from notification_service.client.socket_transport import SocketTransport

        return SocketTransport.of_task(environ)
    path = sqlite_path(server_uri)
    if path is not None:
        return _open_sqlite(server_uri, path)
    if in_task:
        own = environ.get("AIFLOW_NOTIFICATION_URI") or DEFAULT_NOTIFICATION_URI
        hint = f"Inside this task use {own}, the address of its own home."
    else:
        hint = (
            "Without a server use sqlite:///PATH, where PATH is the store, by default $AIFLOW_HOME/aiflow.db."
        )
    raise ServerUnreachableError(server_uri, "nothing answers at this address", hint=hint)


def names_own_log(server_uri: str, environ: Mapping[str, str]) -> bool:
    """Tell whether a uri means the log of the home that this task belongs to."""
    path = sqlite_path(server_uri)
    if path is not None:
        home = environ.get("AIFLOW_HOME")
        return bool(home) and os.path.realpath(path) == os.path.realpath(
            os.path.join(home or "", "aiflow.db")
        )
    own = environ.get("AIFLOW_NOTIFICATION_URI") or DEFAULT_NOTIFICATION_URI
    return any(_normalise(address) == _normalise(own) for address in server_uri.split(","))


def sqlite_path(server_uri: str) -> str | None:
    """Return the path of a ``sqlite:///`` uri, None for any other; ``sqlite:////x`` is absolute."""
    if not server_uri.startswith(_SQLITE) or server_uri == _SQLITE:
        return None
    return os.path.abspath(os.path.expandvars(os.path.expanduser(server_uri[len(_SQLITE) :])))


def _open_sqlite(server_uri: str, path: str) -> Transport:
    try:
        from notification_service.client.sqlite_transport import SqliteTransport
    except ImportError as error:
        raise ServerUnreachableError(
            server_uri,
            f"this Python cannot open the store, because it has no package {error.name}",
            hint="Install aiflow in it, or use the address of a notification server.",
        ) from error
    return SqliteTransport(path)


def _normalise(address: str) -> tuple[str, str]:
    host, _, port = address.strip().removeprefix("http://").rstrip("/").rpartition(":")
    host = host.strip("[]").lower()
    return ("127.0.0.1" if host in ("localhost", "::1", "") else host), port
