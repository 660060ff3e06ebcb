# SPDX-License-Identifier: Apache-2.0
"""The supervisor's end of the socket to a guard or fork server; the other end is
``ai_flow.runtime.server_socket``.

Never blocks. A message may bring a file, which arrives with it; our copy is closed once it is sent. When
the connection is gone the owner is told once, after everything that still arrived.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from ai_flow.runtime.condition_frames import FrameReader, encode_frame
from notification_service.reactor import READABLE, WRITABLE, Reactor

Message = dict[str, Any]

_READ_BYTES = 256 * 1024


class ServerLink:
    """A connection to one server process."""

    def __init__(
        self,
        reactor: Reactor,
        connected: socket.socket,
        on_message: Callable[[Message], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._socket = connected
        self._on_message = on_message
        self._on_lost = on_lost
        self._reader = FrameReader()
        self._unsent: deque[tuple[bytes, socket.socket | None]] = deque()
        self._open = True
        connected.setblocking(False)
        reactor.watch(connected, READABLE, self._ready)

    def send(self, message: Message, file: socket.socket | None = None) -> None:
        """Send ``message``, and ``file`` with it, as soon as the socket takes them."""
        if not self._open:
            if file is not None:
                file.close()
            return
        self._unsent.append((encode_frame(message), file))
        if len(self._unsent) == 1:
            self._write()

    def close(self) -> None:
        """Close without telling the owner."""
        if not self._open:
            return
        self._open = False
        self._reactor.unwatch(self._socket)
        self._socket.close()
        for _, file in self._unsent:
            if file is not None:
                file.close()
        self._unsent.clear()

    def _ready(self, events: int) -> None:
        if events & WRITABLE:
            self._write()
        if events & READABLE:
            self._read()

    def _write(self) -> None:
        try:
            while self._unsent:
                data, file = self._unsent[0]
                if file is None:
                    sent = self._socket.send(data)
                else:
                    sent = socket.send_fds(self._socket, [data], [file.fileno()])
                    file.close()
                if sent < len(data):
                    self._unsent[0] = (data[sent:], None)
                else:
                    self._unsent.popleft()
        except BlockingIOError:
            pass
        except OSError:
            # Reading finds out that the other end is gone, after what it still said.
            for _, file in self._unsent:
                if file is not None:
                    file.close()
            self._unsent.clear()
        self._reactor.watch(self._socket, READABLE | (WRITABLE if self._unsent else 0), self._ready)

    def _read(self) -> None:
        while self._open:
            try:
                data = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.close()
                self._on_lost()
                return
            for message in self._reader.feed(data):
                self._on_message(message)
