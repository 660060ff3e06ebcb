# SPDX-License-Identifier: Apache-2.0
"""The guard and the fork servers of one supervisor: started when needed, replaced when dead, ended when idle.

A few snapshot servers live at once: the one that was idle longest gives way, and none stays idle for
long. A server that is not known to be safe to fork yet keeps what is sent to it waiting. What it means
for its attempts that a server died is the executor's affair (``on_lost``); here it is made sure that it
is dead.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ai_flow.executor.errors import ServerStartError
from ai_flow.executor.launch import child_command, child_environment, start_process
from ai_flow.executor.run_directory import RunDirectory
from ai_flow.executor.server_link import ServerLink
from ai_flow.runtime.process_table import read_process, signal_process
from notification_service.clock import Clock
from notification_service.reactor import Reactor

Message = dict[str, Any]

#: A server costs the memory of the user's imports, so only the snapshots in use have one.
MAX_SNAPSHOT_SERVERS = 4
IDLE_LIMIT_S = 600.0
#: An import that takes longer hangs, or downloads the world.
PRELOAD_LIMIT_S = 120.0
_SUPERVISOR_FD = 3
_CONNECT_LIMIT_S = 1.0


class ForkServer:
    """One server process as its supervisor sees it."""

    def __init__(self, name: str, pid: int, *, is_child: bool, snapshot: str | None) -> None:
        self.name = name
        self.pid = pid
        self.is_child = is_child
        self.snapshot = snapshot
        self.link: ServerLink | None = None
        #: Whether it may fork user code; None while that is not known. A guard does not fork user code.
        self.safe: bool | None = None
        self.why_unsafe: str | None = None
        #: Attempts, loaders and hosts that it is asked to run, by id or key.
        self.users: set[str] = set()
        self.last_used_s = 0.0
        self._waiting: list[Callable[[], None]] = []
        process = read_process(pid)
        self.created = process.created if process is not None else 0

    @property
    def is_guard(self) -> bool:
        """Whether it is the guard, which needs nothing of the user's."""
        return self.name.startswith("guard-")

    def send(self, message: Message, file: socket.socket | None = None) -> None:
        """Send a message, with a file if need be."""
        assert self.link is not None
        self.link.send(message, file)

    def when_settled(self, action: Callable[[], None]) -> None:
        """Call ``action`` once it is known whether this server may fork, or that it never will."""
        if self.safe is None:
            self._waiting.append(action)
        else:
            action()

    def settle(self, safe: bool, why: str | None) -> None:
        """Note whether this server may fork, and let everybody go on who waited for that."""
        self.safe, self.why_unsafe = safe, why
        waiting, self._waiting = self._waiting, []
        for action in waiting:
            action()


class ForkServers:
    """All server processes of one supervisor."""

    def __init__(
        self,
        *,
        reactor: Reactor,
        clock: Clock,
        directory: RunDirectory,
        python: str,
        lives_on: bool,
        on_message: Callable[[ForkServer, Message], None],
        on_lost: Callable[[ForkServer, str], None],
    ) -> None:
        self._reactor = reactor
        self._clock = clock
        self._directory = directory
        self._python = python
        self.lives_on = lives_on
        self._on_message = on_message
        self._on_lost = on_lost
        self._servers: dict[str, ForkServer] = {}
        self._guard: ForkServer | None = None
        self._idle_check_planned = False
        #: Snapshots whose modules cannot be imported into a server that may fork, and why.
        self._unforkable: dict[str, str] = {}

    def guard(self) -> ForkServer:
        """Return the guard, started if there is none."""
        if self._guard is None:
            self._guard = self._start("guard", None)
        return self._guard

    def of_snapshot(self, snapshot: str) -> ForkServer | None:
        """Return the server of a snapshot, None when it has none."""
        return next((server for server in self._servers.values() if server.snapshot == snapshot), None)

    def why_unforkable(self, snapshot: str) -> str | None:
        """Return why no server can be had for this snapshot, None when one can."""
        return self._unforkable.get(snapshot)

    def start_for(self, snapshot: str, imports: Sequence[str], file: Path) -> ForkServer:
        """Return the server of a snapshot, started if there is none, that has imported and compiled all."""
        server = self.of_snapshot(snapshot) or self._start("fork", snapshot)
        server.send({"op": "preload", "imports": list(imports), "file": str(file)})
        self._reactor.call_later(PRELOAD_LIMIT_S, lambda: self._give_up_preload(server))
        return server

    def start_loader(self) -> ForkServer:
        """Start a server that belongs to no snapshot yet."""
        return self._start("fork", None)

    def named(self, name: str) -> ForkServer | None:
        """Return the server with this name if it lives."""
        return self._servers.get(name)

    def use(self, server: ForkServer, user: str) -> None:
        """Keep the server alive for ``user``."""
        server.users.add(user)
        server.last_used_s = self._clock.monotonic_s()

    def release(self, server: ForkServer, user: str) -> None:
        """Say that ``user`` is done with the server."""
        server.users.discard(user)
        server.last_used_s = self._clock.monotonic_s()
        if not server.users and not server.is_guard:
            self._retire_beyond(MAX_SNAPSHOT_SERVERS)
            self._plan_idle_check()

    def retire(self, server: ForkServer) -> None:
        """End a server that nobody uses."""
        server.send({"op": "exit", "grace_s": 0})
        server.snapshot = None

    def kill(self, server: ForkServer) -> None:
        """End a server that does not answer; its loss is reported like any other."""
        signal_process(server.pid, server.created, signal.SIGKILL)

    def connect(self, name: str) -> ForkServer | None:
        """Return a server that a predecessor left, None when it is dead."""
        if name in self._servers:
            return self._servers[name]
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.settimeout(_CONNECT_LIMIT_S)
        try:
            connected.connect(str(self._directory.socket_of(name)))
            pid = _peer_pid(connected)
        except OSError:
            connected.close()
            return None
        server = ForkServer(name, pid, is_child=False, snapshot=None)
        self._take_in(server, connected)
        return server

    def use_as_guard(self, server: ForkServer) -> None:
        """Go on with a predecessor's guard."""
        self._guard = self._guard or server

    def close(self, *, wait_s: float) -> None:
        """Let go of all servers; unless they live on, end them with all they run and wait for that."""
        servers = list(self._servers.values())
        self._servers.clear()
        self._guard = None
        for server in servers:
            assert server.link is not None
            if not self.lives_on:
                server.send({"op": "exit", "grace_s": 0})
                server.link.close()
        for server in servers:
            assert server.link is not None
            server.link.close()
            if not self.lives_on:
                _wait_until_gone(server, wait_s)

    def _start(self, kind: str, snapshot: str | None) -> ForkServer:
        if kind == "fork":
            self._retire_beyond(MAX_SNAPSHOT_SERVERS - 1)
        name = f"{kind}-{secrets.token_hex(4)}"
        ours, theirs = socket.socketpair()
        try:
            pid = start_process(
                self._command(name, kind),
                child_environment(attempt_mark=kind == "fork"),
                self._directory.log_of(name),
                {_SUPERVISOR_FD: theirs.fileno()},
            )
        except OSError as error:
            ours.close()
            raise ServerStartError(name, error) from error
        finally:
            theirs.close()
        server = ForkServer(name, pid, is_child=True, snapshot=snapshot)
        self._take_in(server, ours)
        return server

    def _command(self, name: str, kind: str) -> list[str]:
        config = {
            "name": name,
            "role": "guard" if kind == "guard" else "snapshot",
            "lives_on": self.lives_on,
            "run_dir": str(self._directory.root),
            "socket": str(self._directory.socket_of(name)),
            "supervisor_fd": _SUPERVISOR_FD,
        }
        return child_command(self._python, "ai_flow.runtime.fork_server:main", config, bare=kind == "guard")

    def _take_in(self, server: ForkServer, connected: socket.socket) -> None:
        server.last_used_s = self._clock.monotonic_s()
        server.link = ServerLink(
            self._reactor,
            connected,
            lambda message: self._receive(server, message),
            lambda: self._lose(server),
        )
        self._servers[server.name] = server

    def _receive(self, server: ForkServer, message: Message) -> None:
        if message["op"] == "preloaded":
            if not message["safe"] and server.snapshot is not None:
                self._unforkable[server.snapshot] = message["why"]
            server.settle(message["safe"], message["why"])
        else:
            self._on_message(server, message)

    def _lose(self, server: ForkServer) -> None:
        """Make sure that the server is dead, and tell the owner how it died."""
        if self._servers.pop(server.name, None) is None:
            return
        if self._guard is server:
            self._guard = None
        how = _end_for_sure(server)
        self._directory.socket_of(server.name).unlink(missing_ok=True)
        if server.safe is None and server.snapshot is not None:
            # Whatever the imports did to it they would do again.
            self._unforkable[server.snapshot] = f"the process that imports its modules {how}"
        server.settle(False, f"its process {how}")
        self._on_lost(server, how)

    def _give_up_preload(self, server: ForkServer) -> None:
        if server.safe is None and server.name in self._servers:
            self.kill(server)

    def _idle_servers(self) -> list[ForkServer]:
        """Return the snapshot servers that nobody uses, idle longest first."""
        idle = [server for server in self._servers.values() if not server.is_guard and not server.users]
        return sorted(idle, key=lambda server: server.last_used_s)

    def _retire_beyond(self, count: int) -> None:
        excess = sum(not server.is_guard for server in self._servers.values()) - count
        for server in self._idle_servers()[: max(0, excess)]:
            self.retire(server)

    def _plan_idle_check(self) -> None:
        if not self._idle_check_planned:
            self._idle_check_planned = True
            self._reactor.call_later(IDLE_LIMIT_S, self._retire_idle)

    def _retire_idle(self) -> None:
        self._idle_check_planned = False
        now_s = self._clock.monotonic_s()
        for server in self._idle_servers():
            if now_s - server.last_used_s >= IDLE_LIMIT_S:
                self.retire(server)
            else:
                self._plan_idle_check()


def _peer_pid(connected: socket.socket) -> int:
    if sys.platform == "linux":
        credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int.from_bytes(credentials[:4], sys.byteorder)
    return int.from_bytes(connected.getsockopt(0, 2, 4), sys.byteorder)  # SOL_LOCAL, LOCAL_PEERPID


def _end_for_sure(server: ForkServer) -> str:
    """Kill a server that closed its connection, reap it if it is ours, and say how it ended."""
    if not server.is_child:
        signal_process(server.pid, server.created, signal.SIGKILL)
        _reap_adopted(server.pid)
        return "is gone"
    try:
        # A child of ours that is not reaped: the pid is its own.
        os.kill(server.pid, signal.SIGKILL)
        status = os.waitpid(server.pid, 0)[1]
    except (ChildProcessError, ProcessLookupError):
        return "is gone"
    if os.WIFSIGNALED(status):
        return f"was killed by signal {os.WTERMSIG(status)}"
    return f"exited (exit code {os.WEXITSTATUS(status)})"


def _reap_adopted(pid: int) -> None:
    """Collect a predecessor's server that came to us as the init of a container."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def _wait_until_gone(server: ForkServer, wait_s: float) -> None:
    """Wait for a server that was told to exit; kill it when it takes too long."""
    if not server.is_child:
        return
    try:
        handle = os.pidfd_open(server.pid) if hasattr(os, "pidfd_open") else None
    except OSError:
        handle = None
    if handle is not None:
        import select

        poll = select.poll()
        poll.register(handle, select.POLLIN)
        if not poll.poll(wait_s * 1000):
            signal_process(server.pid, server.created, signal.SIGKILL)
        os.close(handle)
    try:
        os.waitpid(server.pid, 0)
    except ChildProcessError:
        pass
