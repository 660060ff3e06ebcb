# SPDX-License-Identifier: Apache-2.0
"""What travels on the task socket between a task and its supervisor.

A frame is a length of four bytes, big-endian, and so many bytes of JSON in UTF-8: one object. A request is
``{"id": 1, "op": "send", ...}``, its reply ``{"id": 1, "ok": ...}`` or ``{"id": 1, "error": {"code": ...,
"message": ..., "hint": ...}}``; a push to a listener has no id. Which operations there are is told by
``gateway`` (the side of the supervisor) and ``client.socket_transport`` (the side of the task).

Standard library only: the task's side runs in the user's Python.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from notification_service.errors import ProtocolError
from notification_service.model.event import Event

Message = dict[str, Any]

#: An event of 16 MiB of text can take six times as much in JSON.
FRAME_LIMIT = 112 * 1024 * 1024

#: Before it has said who it is, a peer may send no more than this.
FIRST_FRAME_LIMIT = 4096

#: The kernel's limit for the path in a Unix socket's address, less the final NUL.
_ADDRESS_LIMIT = 107

_LENGTH = struct.Struct(">I")


def encode_frame(message: Message) -> bytes:
    """Return the bytes of one message."""
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    if len(body) > FRAME_LIMIT:
        raise ProtocolError(
            f"A message of {len(body):,} bytes is too large: the task socket takes {FRAME_LIMIT:,}.",
            hint="Send fewer events at once.",
        )
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Put the bytes of a stream together to messages."""

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self.limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take in bytes and yield each message that is complete."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > self.limit:
                raise ProtocolError(f"A frame of {length:,} bytes came; the limit is {self.limit:,}.")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield _decode(body)


def _decode(body: bytes) -> Message:
    try:
        message: object = json.loads(body)
    except ValueError as error:
        raise ProtocolError(f"A frame came that is not JSON: {error}.") from error
    if not isinstance(message, dict):
        raise ProtocolError("A frame came that is not a JSON object.")
    return cast(Message, message)


def event_to_wire(event: Event) -> Message:
    """Return an event as a JSON object."""
    return {
        "key": event.key,
        "value": event.value,
        "namespace": event.namespace,
        "sender": event.sender,
        "context": event.context,
        "create_time": event.create_time,
        "offset": event.offset,
    }


def event_from_wire(fields: Message) -> Event:
    """Build the event of a JSON object; who stores it checks the fields."""
    return Event(
        fields.get("key", ""),
        fields.get("value"),
        fields.get("namespace"),
        fields.get("sender"),
        fields.get("context"),
        fields.get("create_time"),
        fields.get("offset"),
    )


class SocketAddress:
    """The address of a Unix socket, also where the path is longer than the kernel takes.

    Use it as a context manager around ``bind`` or ``connect``: a long path is reached through a descriptor
    of its directory, which is open for that time.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._directory: int | None = None

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) <= _ADDRESS_LIMIT:
            return str(self._path)
        self._directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._directory}/{self._path.name}"

    def __exit__(self, *_exception: object) -> None:
        if self._directory is not None:
            os.close(self._directory)


def unix_socket() -> socket.socket:
    """Return a new Unix stream socket."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
