# SPDX-License-Identifier: Apache-2.0
"""Messages between the pool and a condition host: four bytes of length, big-endian, then JSON in UTF-8.

Both ends use this module: the host reads and writes whole messages and waits for them, the pool feeds what
its loop has received. A lone surrogate, which UTF-8 cannot carry, travels as a JSON escape.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, cast

Message = dict[str, Any]

_LENGTH = struct.Struct(">I")


def encode_frame(message: Message) -> bytes:
    """Return ``message`` as it goes over the socket."""
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    return _LENGTH.pack(len(body)) + body


def send_frame(channel: socket.socket, message: Message) -> None:
    """Send one message over a blocking socket."""
    channel.sendall(encode_frame(message))


def receive_frame(channel: socket.socket) -> Message | None:
    """Wait for one message on a blocking socket; None when the other end has closed."""
    head = _receive_exactly(channel, _LENGTH.size)
    if head is None:
        return None
    body = _receive_exactly(channel, _LENGTH.unpack(head)[0])
    return None if body is None else cast("Message", json.loads(body))


class FrameReader:
    """Puts messages together from pieces as they arrive."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Take in ``data`` and return the messages that are complete now."""
        self._received += data
        messages: list[Message] = []
        while len(self._received) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._received)[0]
            if len(self._received) < end:
                break
            messages.append(cast("Message", json.loads(bytes(self._received[_LENGTH.size : end]))))
            del self._received[:end]
        return messages


def _receive_exactly(channel: socket.socket, size: int) -> bytes | None:
    received = bytearray()
    while len(received) < size:
        try:
            data = channel.recv(min(size - len(received), 1 << 20))
        except ConnectionError:
            return None
        if not data:
            return None
        received += data
    return bytes(received)
