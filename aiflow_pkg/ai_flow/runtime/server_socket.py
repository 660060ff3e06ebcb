# SPDX-License-Identifier: Apache-2.0
"""A fork server's end of the socket to its supervisor: frames in and out, and files that come with them.

Never blocks: a supervisor that was stopped, or is slow, must not keep the server from reaping and from
timeouts. A frame that brings a file (the channel of a condition host) carries it in the same message;
files are taken in the order in which they came.
"""

from __future__ import annotations

import os
import socket
from array import array

from ai_flow.runtime.condition_frames import FrameReader, encode_frame
from notification_service.reactor import READABLE, WRITABLE, Reactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Message = dict[str, Any]

_READ_BYTES = 256 * 1024
_FILES_AT_ONCE = 16
_LAST_WORDS_S = 2.0


def listen(path: str) -> socket.socket:
    """Return a socket that only the owner of the run directory can connect to; replaces a dead one."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(8)
    listener.setblocking(False)
    return listener


def stop_listening(listener: socket.socket) -> None:
    """Close the socket and remove its file."""
    path = listener.getsockname()
    listener.close()
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


class Connection:
    """One supervisor's connection."""

    def __init__(
        self,
        reactor: Reactor,
        connected: socket.socket,
        on_message: Callable[[Connection, Message], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self._reactor = reactor
        self._socket = connected
        self._on_message = on_message
        self._on_lost = on_lost
        self._reader = FrameReader()
        self._files: list[int] = []
        self._unsent = bytearray()
        self._open = True
        connected.setblocking(False)
        reactor.watch(connected, READABLE, self._ready)

    def send(self, message: Message) -> None:
        """Send ``message`` as soon as the socket takes it."""
        if self._open:
            self._unsent += encode_frame(message)
            self._write()

    def take_file(self) -> int:
        """Return the file that came with the message; the caller closes it."""
        return self._files.pop(0)

    def flush_and_close(self) -> None:
        """Give what is unsent a moment, then close."""
        self._reactor.unwatch(self._socket)
        self._socket.settimeout(_LAST_WORDS_S)
        try:
            self._socket.sendall(self._unsent)
        except OSError:
            pass
        self._socket.close()

    def close_in_child(self) -> None:
        """Close a fork's copy; the connection itself stays."""
        self._socket.close()

    def _ready(self, events: int) -> None:
        if events & WRITABLE:
            self._write()
        if events & READABLE:
            self._read()

    def _write(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            # Reading finds out that the other end is gone, after what it still said.
            self._unsent.clear()
        self._reactor.watch(self._socket, READABLE | (WRITABLE if self._unsent else 0), self._ready)

    def _read(self) -> None:
        while self._open:
            try:
                data = self._receive()
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._lose()
                return
            for message in self._reader.feed(data):
                self._on_message(self, message)

    def _receive(self) -> bytes:
        data, ancillary, _flags, _address = self._socket.recvmsg(
            _READ_BYTES, socket.CMSG_SPACE(_FILES_AT_ONCE * array("i").itemsize)
        )
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array("i")
                received.frombytes(content[: len(content) - len(content) % received.itemsize])
                for file in received:
                    os.set_inheritable(file, False)
                    self._files.append(file)
        return data

    def _lose(self) -> None:
        self._open = False
        self._reactor.unwatch(self._socket)
        self._socket.close()
        for file in self._files:
            os.close(file)
        self._on_lost(self)
