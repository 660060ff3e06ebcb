# SPDX-License-Identifier: Apache-2.0
"""A task's connection to its supervisor that outlives the supervisor's absence.

A thread owns the socket: it connects, says hello, sends what is waiting, reads answers and pushes, and
starts over when the connection breaks. A request that may be repeated stays waiting across that; one that may
not is failed once it has been sent, because nobody can tell whether it was carried out. Whoever asks waits
at most ``limit_s`` and then gets a clear error.

Standard library only. A forked child must not use its parent's link: see ``pid``.
"""

from __future__ import annotations

import itertools
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from notification_service.errors import (
    NotificationError,
    ProtocolError,
    RequestRefusedError,
    ServerUnreachableError,
)
from notification_service.wire import FrameReader, Message, SocketAddress, encode_frame, unix_socket

#: How long a request waits for a supervisor, or for the successor of one that died.
AWAY_LIMIT_S = 60.0

_FIRST_RETRY_S = 0.005
_LAST_RETRY_S = 0.5


class _Request:
    """A request that waits for its answer."""

    __slots__ = ("answer", "answered", "error", "frame", "repeatable", "sent")

    def __init__(self, frame: bytes, repeatable: bool) -> None:
        self.frame = frame
        self.repeatable = repeatable
        self.sent = False
        self.answered = threading.Event()
        self.answer: Any = None
        self.error: NotificationError | None = None

    def finish(self, *, answer: Any = None, error: NotificationError | None = None) -> None:
        self.answer, self.error = answer, error
        self.answered.set()


class SocketLink:
    """Requests to the supervisor and pushes from it."""

    def __init__(
        self,
        path: str,
        *,
        attempt: str,
        token: str,
        on_push: Callable[[Message], None],
        greetings: Callable[[], list[Message]],
        limit_s: float = AWAY_LIMIT_S,
    ) -> None:
        self.pid = os.getpid()
        self._path = path
        self._hello = {"id": 0, "op": "hello", "attempt": attempt, "token": token}
        self._on_push = on_push
        self._greetings = greetings  # what every new connection begins with: the listeners
        self._limit_s = limit_s
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: dict[int, _Request] = {}
        self._socket: socket.socket | None = None
        self._stay_connected = False
        self._closing = False
        self._trouble = "nothing answers on its socket"
        self._thread: threading.Thread | None = None

    def ask(self, operation: str, arguments: Message, *, repeatable: bool = True) -> Any:
        """Send a request and return what it is answered with."""
        number = next(self._ids)
        request = _Request(encode_frame({"id": number, "op": operation, **arguments}), repeatable)
        with self._lock:
            self._waiting[number] = request
            self._start()
            self._send_one(request)
        try:
            answered = request.answered.wait(self._limit_s)
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        if not answered:
            raise ServerUnreachableError(
                self._path,
                f"the supervisor of this task has not answered for {self._limit_s:g} s ({self._trouble})",
                hint="What was acknowledged is safe; whether the last request arrived is not known.",
            )
        if request.error is not None:
            raise request.error
        return request.answer

    def tell(self, message: Message) -> None:
        """Send a message that has no answer, if there is a connection."""
        with self._lock:
            self._send_bytes(encode_frame(message))

    def stay_connected(self, wanted: bool) -> None:
        """Connect again after a break even when no request waits, for the sake of listeners."""
        with self._lock:
            self._stay_connected = wanted
            self._changed.notify_all()

    def close(self) -> None:
        """Close the connection and end the thread; requests that wait are failed."""
        with self._lock:
            self._closing = True
            self._changed.notify_all()
            self._shut_socket()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    # --- with the lock held

    def _start(self) -> None:
        if self._closing:
            raise ServerUnreachableError(self._path, "this client was closed")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="aiflow-socket-link", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _send_one(self, request: _Request) -> None:
        if self._socket is not None:
            request.sent = True
            self._send_bytes(request.frame)

    def _send_bytes(self, data: bytes) -> None:
        if self._socket is not None:
            try:
                self._socket.sendall(data)
            except OSError:
                self._shut_socket()  # the reading thread sees the end and starts over

    def _shut_socket(self) -> None:
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    # --- on the link's thread

    def _run(self) -> None:
        failures = 0
        while self._wait_until_wanted():
            try:
                connected = self._connect()
                failures = 0
                self._read(*connected)
            except OSError as error:
                self._trouble = error.strerror or str(error)
            except ProtocolError as error:
                self._trouble = str(error)
            self._disconnect()
            failures += 1
            self._rest(min(_LAST_RETRY_S, _FIRST_RETRY_S * 2**failures) * random.uniform(0.5, 1.0))
        self._fail_all(ServerUnreachableError(self._path, "this client was closed"))

    def _wait_until_wanted(self) -> bool:
        with self._lock:
            while not (self._waiting or self._stay_connected or self._closing):
                self._changed.wait()
            return not self._closing

    def _connect(self) -> tuple[socket.socket, FrameReader]:
        connected = unix_socket()
        try:
            with SocketAddress(self._path) as address:
                connected.settimeout(5.0)
                connected.connect(address)
            connected.sendall(encode_frame(self._hello))
            frames = FrameReader()
            reply = self._first_message(connected, frames)
            connected.settimeout(None)
            seconds = struct.pack("ll", max(1, int(self._limit_s)), 0)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)
        except BaseException:
            connected.close()
            raise
        if "error" in reply:
            connected.close()
            self._fail_all(_error_of(reply["error"]))
            raise ProtocolError("the supervisor does not know this attempt")
        self._resume(connected)
        return connected, frames

    def _first_message(self, connected: socket.socket, frames: FrameReader) -> Message:
        while True:
            data = connected.recv(65536)
            if not data:
                raise ConnectionResetError(None, "the supervisor closed the connection")
            for message in frames.feed(data):
                return message

    def _resume(self, connected: socket.socket) -> None:
        """Register the listeners anew and send again what waits, in the order in which it was asked."""
        with self._lock:
            self._socket = connected
            for message in self._greetings():
                self._send_bytes(encode_frame({"id": 0, **message}))
            for request in list(self._waiting.values()):
                self._send_one(request)

    def _read(self, connected: socket.socket, frames: FrameReader) -> None:
        while data := connected.recv(256 * 1024):
            for message in frames.feed(data):
                self._take(message)
        self._trouble = "the supervisor closed the connection"

    def _take(self, message: Message) -> None:
        if "listener" in message:
            self._on_push(message)
            return
        with self._lock:
            request = self._waiting.get(message.get("id", 0))
        if request is None:
            return  # the answer came too late, or it is to a greeting
        if "error" in message:
            request.finish(error=_error_of(message["error"]))
        else:
            request.finish(answer=message.get("ok"))

    def _disconnect(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None
            for request in self._waiting.values():
                if request.sent and not request.repeatable:
                    request.finish(error=_lost_answer(self._path))

    def _fail_all(self, error: NotificationError) -> None:
        with self._lock:
            for request in self._waiting.values():
                request.finish(error=error)
            self._waiting.clear()

    def _rest(self, seconds: float) -> None:
        ends_s = time.monotonic() + seconds
        with self._lock:
            while not self._closing and (left := ends_s - time.monotonic()) > 0:
                self._changed.wait(left)


def _error_of(fields: Message) -> RequestRefusedError:
    return RequestRefusedError(str(fields.get("code")), str(fields.get("message")), fields.get("hint"))


def _lost_answer(path: str) -> ServerUnreachableError:
    return ServerUnreachableError(
        path,
        "the supervisor went away before it answered",
        hint="Look whether the request was carried out before you repeat it.",
    )
