# SPDX-License-Identifier: Apache-2.0
"""One connection of a task to the gateway: frames in, frames out, never blocking.

It knows nothing of what the frames mean. Whatever is wrong with the peer (it went away, sends nonsense, reads
nothing) ends this connection and no other.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from notification_service.errors import ProtocolError
from notification_service.reactor import READABLE, WRITABLE, Reactor
from notification_service.wire import FIRST_FRAME_LIMIT, FRAME_LIMIT, FrameReader, Message, encode_frame

_READ_BYTES = 256 * 1024


class Connection:
    """A non-blocking socket that speaks in messages."""

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket,
        on_message: Callable[[Connection, Message], None],
        on_closed: Callable[[Connection], None],
        on_drained: Callable[[], None],
    ) -> None:
        #: Which attempt this is, once it has said so.
        self.attempt: str | None = None
        self._reactor = reactor
        self._socket = sock
        self._on_message = on_message
        self._on_closed = on_closed
        self._on_drained = on_drained
        self._frames = FrameReader(FIRST_FRAME_LIMIT)
        self._unsent = bytearray()
        self._closing = False
        self.is_open = True
        sock.setblocking(False)
        self._watch()

    @property
    def backlog(self) -> int:
        """How many bytes the peer has yet to read."""
        return len(self._unsent)

    def admit(self, attempt: str) -> None:
        """Note who the peer is, and let it send frames of full size."""
        self.attempt = attempt
        self._frames.limit = FRAME_LIMIT

    def send(self, message: Message) -> None:
        """Send a message as soon as the peer takes it; to one that is gone, never."""
        if self.is_open and not self._closing:
            self._unsent += encode_frame(message)
            self._flush()

    def close_when_sent(self) -> None:
        """Take in nothing more, and close when the peer has got all that was sent."""
        self._closing = True
        if self.is_open:
            self._flush()

    def close(self) -> None:
        """Close at once; harmless when called again."""
        if self.is_open:
            self.is_open = False
            self._reactor.unwatch(self._socket)
            self._socket.close()
            self._on_closed(self)

    def _watch(self) -> None:
        events = (0 if self._closing else READABLE) | (WRITABLE if self._unsent else 0)
        self._reactor.watch(self._socket, events, self._on_ready)

    def _on_ready(self, events: int) -> None:
        if events & WRITABLE:
            self._flush()
            if not self._unsent:
                self._on_drained()
        if events & READABLE and self.is_open:
            self._receive()

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        if self._closing and not self._unsent:
            self.close()
        else:
            self._watch()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        try:
            for message in self._frames.feed(data):
                if self._closing or not self.is_open:
                    break
                self._on_message(self, message)
        except ProtocolError as error:
            self.send({"error": {"code": error.code, "message": error.message, "hint": error.hint}})
            self.close_when_sent()
