# SPDX-License-Identifier: Apache-2.0
"""One condition host, seen from the pool: its socket, its two time limits, its end.

A link goes STARTING -> IDLE <-> BUSY -> ENDING -> GONE, and tells its owner three things: it is ready, a
verdict is there, it is gone. Exactly one verdict follows each ``begin``, whatever happens to the process.
The link blocks nowhere, and once GONE it holds no file, timer or process. Who evaluates what, and when to
start hosts, is the pool's affair.
"""

from __future__ import annotations

import signal
import socket
from enum import Enum
from typing import Protocol

from ai_flow.engine.world import Verdict
from ai_flow.executor.condition_requests import (
    EvaluationRequest,
    HostExit,
    HostProcess,
    HostRequest,
    SpawnHost,
    verdict_from,
)
from ai_flow.executor.deadline import Deadline
from ai_flow.runtime.condition_frames import FrameReader, Message, encode_frame
from notification_service.clock import Clock
from notification_service.reactor import READABLE, WRITABLE, Reactor

#: A closed socket and the exit status come by different ways; so long does one wait for the other.
_EXIT_STATUS_WAIT_S = 2.0
#: A host that was told to end by closing its socket is killed after this.
_END_WAIT_S = 5.0
_READ_BYTES = 256 * 1024


class LinkState(str, Enum):
    """How far a host is."""

    STARTING = "starting"  #: executes the workflow file
    IDLE = "idle"  #: waits for a request
    BUSY = "busy"  #: evaluates
    ENDING = "ending"  #: was told to end, was killed or closed its socket; gets no request any more
    GONE = "gone"  #: its process has ended


class LinkOwner(Protocol):
    """Whom a link tells what happens; every call comes from the loop."""

    def host_ready(self, link: HostLink) -> None:
        """The host can evaluate."""
        ...

    def host_failed_to_load(self, link: HostLink, error: str) -> None:
        """The host will never be ready, for this reason; ``host_gone`` follows."""
        ...

    def host_answered(self, link: HostLink, verdict: Verdict) -> None:
        """The verdict on the request under way; the host is IDLE, or ENDING if it was lost over it."""
        ...

    def host_gone(self, link: HostLink) -> None:
        """The process has ended; last call."""
        ...


class HostLink:
    """A running host and the request that it works on."""

    def __init__(
        self,
        owner: LinkOwner,
        reactor: Reactor,
        clock: Clock,
        request: HostRequest,
        *,
        load_limit_s: float,
        idle_limit_s: float,
    ) -> None:
        self.state = LinkState.STARTING
        self.idle_since_s = 0.0
        self._clock = clock
        self._owner = owner
        self._reactor = reactor
        self._request = request
        self._idle_limit_s = idle_limit_s
        self._limit_s = load_limit_s
        self._limit = Deadline(reactor, clock, self._take_too_long)
        self._idle = Deadline(reactor, clock, self.end)
        self._ending = Deadline(reactor, clock, self._stop_waiting)
        self._channel: socket.socket | None = None
        self._process: HostProcess | None = None
        self._reader = FrameReader()
        self._unsent = bytearray()
        self._is_writing = False
        self._has_closed = False
        self._requests = 0

    def start(self, spawn_host: SpawnHost) -> None:
        """Start the process; raises ``OSError`` when that is impossible."""
        channel, of_host = socket.socketpair()
        try:
            channel.setblocking(False)
            self._process = spawn_host(self._request, of_host, self._exited)
        except OSError:
            channel.close()
            of_host.close()
            raise
        self._channel = channel
        self._reactor.watch(channel, READABLE, self._channel_ready)
        self._limit.set(self._limit_s)

    def begin(self, request: EvaluationRequest, limit_s: float) -> None:
        """Have the request evaluated; the time limit counts from now. Only for an IDLE host."""
        self.state = LinkState.BUSY
        self._requests += 1
        self._limit_s = limit_s
        self._idle.clear()
        self._limit.set(limit_s)
        self._unsent += encode_frame(request.message(self._requests, limit_s))
        self._write()

    def end(self) -> None:
        """Let an IDLE host end by itself: closing its socket tells it."""
        self.state = LinkState.ENDING
        self._close_channel()
        self._ending.set(_END_WAIT_S)

    def kill(self) -> None:
        """End the process at once, without a word to the owner about the request under way."""
        if self.state is LinkState.GONE:
            return
        self.state = LinkState.ENDING
        self._close_channel()
        self._drop_deadlines()
        if self._process is not None:
            self._process.kill()

    def _channel_ready(self, events: int) -> None:
        if events & WRITABLE:
            self._write()
        if events & READABLE:
            self._read()

    def _write(self) -> None:
        if self._channel is None:
            return
        try:
            while self._unsent:
                del self._unsent[: self._channel.send(self._unsent[:_READ_BYTES])]
        except BlockingIOError:
            pass
        except OSError:
            # The host has closed its end; reading finds that out, after what it still said.
            self._unsent.clear()
        if bool(self._unsent) is not self._is_writing:
            self._is_writing = bool(self._unsent)
            events = READABLE | WRITABLE if self._is_writing else READABLE
            self._reactor.watch(self._channel, events, self._channel_ready)

    def _read(self) -> None:
        """Take in all that is there; a closed socket is the end of the host."""
        # Whether it has closed is known before any message is acted on: an answer that was the host's
        # last word must not make it look idle.
        messages = self._reader.feed(self._receive())
        for message in messages:
            self._take(message)
        if self._has_closed and self._channel is not None:
            self._lost_channel()

    def _receive(self) -> bytes:
        received = bytearray()
        while self._channel is not None and not self._has_closed:
            try:
                data = self._channel.recv(_READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            received += data
            self._has_closed = not data
        return bytes(received)

    def _take(self, message: Message) -> None:
        if self.state is LinkState.STARTING:
            self._limit.clear()
            if message["ready"]:
                self._be_idle()
                self._owner.host_ready(self)
            else:
                self._fail(str(message["error"]))
                self.end()
        elif self.state is LinkState.BUSY and message.get("id") == self._requests:
            self._limit.clear()
            self._be_idle()
            self._owner.host_answered(self, verdict_from(message))

    def _be_idle(self) -> None:
        self.state = LinkState.ENDING if self._has_closed else LinkState.IDLE
        if self.state is LinkState.IDLE:
            self.idle_since_s = self._clock.monotonic_s()
            self._idle.set(self._idle_limit_s)

    def _take_too_long(self) -> None:
        # The loop itself may have been held up: an answer that lies there already came in time.
        before = (self.state, self._requests)
        self._read()
        if (self.state, self._requests) != before:
            return
        what = "loading the workflow file" if self.state is LinkState.STARTING else "the condition"
        self._fail(f"{what} took longer than {self._limit_s:g} s")
        self.kill()

    def _lost_channel(self) -> None:
        """Give the exit status a moment to arrive; it says more than a closed socket."""
        if self.state is LinkState.IDLE:
            self.state = LinkState.ENDING
        self._idle.clear()
        self._close_channel()
        self._ending.set(_EXIT_STATUS_WAIT_S)

    def _stop_waiting(self) -> None:
        self._fail(f"{self._what()} closed its channel")
        self.kill()

    def _exited(self, how: HostExit) -> None:
        self._read_last_words()
        self._fail(self._sentence(how))
        self.state = LinkState.GONE
        self._close_channel()
        self._drop_deadlines()
        self._owner.host_gone(self)

    def _read_last_words(self) -> None:
        # A process that the condition left behind may hold the socket open: it is no host any more.
        received = self._receive()
        self._has_closed = True
        for message in self._reader.feed(received):
            self._take(message)

    def _fail(self, error: str) -> None:
        """Tell the owner why what the host was at came to nothing; nothing to tell when it was idle."""
        before, self.state = self.state, LinkState.ENDING
        self._limit.clear()
        self._idle.clear()
        if before is LinkState.STARTING:
            self._owner.host_failed_to_load(self, error)
        elif before is LinkState.BUSY:
            self._owner.host_answered(self, Verdict(error=error))

    def _what(self) -> str:
        return (
            "the process loading the workflow file"
            if self.state is LinkState.STARTING
            else "the condition's process"
        )

    def _sentence(self, how: HostExit) -> str:
        if how.error is not None:
            return f"{self._what()} could not be started: {how.error}"
        if how.signal is not None:
            return f"{self._what()} was killed by signal {how.signal} ({_signal_name(how.signal)})"
        if how.exit_code is not None:
            return f"{self._what()} exited (exit code {how.exit_code})"
        return f"{self._what()} ended, nobody knows how"

    def _drop_deadlines(self) -> None:
        for deadline in (self._limit, self._idle, self._ending):
            deadline.close()

    def _close_channel(self) -> None:
        if self._channel is not None:
            self._reactor.unwatch(self._channel)
            self._channel.close()
            self._channel = None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
