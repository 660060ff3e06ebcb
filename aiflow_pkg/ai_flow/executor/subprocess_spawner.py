# SPDX-License-Identifier: Apache-2.0
"""Start condition hosts with a plain start of the user's Python, where no fork server can do it.

The host leads its own session, so that killing its group reaches whatever the condition started. A host is
reaped only after its group was killed: until then its id cannot belong to anybody else. The end of a
process is noticed through its pidfd on the loop; where the system has none, a timer looks.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable

from ai_flow.executor.condition_requests import HostExit, HostRequest
from ai_flow.executor.launch import child_command, child_environment
from notification_service.reactor import READABLE, Reactor, Timer

#: How often to look for the end of a process without pidfd.
_LOOK_EVERY_S = 0.1
#: Killed processes are gone within moments; one stuck in the kernel is left to init.
_CLOSE_WAIT_S = 2.0


class SubprocessSpawner:
    """A ``SpawnHost`` on ``subprocess``; one for all snapshots that share an interpreter."""

    def __init__(self, reactor: Reactor, *, python: str) -> None:
        self._reactor = reactor
        self._python = python
        self._children: set[_Child] = set()

    def __call__(
        self, request: HostRequest, channel: socket.socket, on_exit: Callable[[HostExit], None]
    ) -> _Child:
        command = child_command(self._python, "ai_flow.runtime.condition_host:boot", request.fields())
        with open(request.log_path, "ab", opener=_private) as log:
            process = subprocess.Popen(
                [*command, str(channel.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(channel.fileno(),),
                start_new_session=True,
                env=child_environment(),
            )
        channel.close()
        child = _Child(process, self._reactor, on_exit, self._children.discard)
        self._children.add(child)
        return child

    def close(self) -> None:
        """Kill and reap every host that is left; their ``on_exit`` is not called any more."""
        for child in self._children:
            child.kill()
        until_s = time.monotonic() + _CLOSE_WAIT_S
        for child in list(self._children):
            child.reap_before(until_s)
        self._children.clear()


class _Child:
    """A started host until it is reaped."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reactor: Reactor,
        on_exit: Callable[[HostExit], None],
        forget: Callable[[_Child], None],
    ) -> None:
        self._process = process
        self._reactor = reactor
        self._on_exit = on_exit
        self._forget = forget
        self._timer: Timer | None = None
        self._pidfd: int | None = None
        try:
            self._pidfd = os.pidfd_open(process.pid)
        except (AttributeError, OSError):
            self._look_later()
        else:
            reactor.watch(self._pidfd, READABLE, lambda _events: self._ended())

    def kill(self) -> None:
        """Kill the whole group; nothing happens once the host is reaped."""
        if self._process.returncode is None:
            # The group exists as long as its leader is not reaped, a zombie included.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def reap_before(self, until_s: float) -> None:
        """Wait for a killed host, but not beyond ``until_s``, and release what belongs to it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, until_s - time.monotonic()))
        self._release()

    def _ended(self) -> None:
        self.kill()
        code = self._process.wait()
        self._release()
        self._forget(self)
        self._on_exit(HostExit(exit_code=code) if code >= 0 else HostExit(signal=-code))

    def _look_later(self) -> None:
        self._timer = self._reactor.call_later(_LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        # Not ``poll``: that would reap the leader before its group is killed.
        found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            self._look_later()
        else:
            self._ended()

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._pidfd is not None:
            self._reactor.unwatch(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
