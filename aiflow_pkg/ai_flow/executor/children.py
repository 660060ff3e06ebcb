# SPDX-License-Identifier: Apache-2.0
"""Requests that run the user's code without being attempts: load a workflow file, start a condition host.

Both go to a fork server where one can be had, and through the guard to a fresh interpreter where not; the
caller sees no difference. Each has a key, and its end is reported once, whichever process was its parent.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai_flow.executor.condition_requests import HostExit, HostRequest
from ai_flow.executor.errors import ExecutorError
from ai_flow.executor.fork_servers import ForkServer, ForkServers
from ai_flow.executor.launch import child_command, resolve_interpreter
from ai_flow.executor.run_directory import RunDirectory
from ai_flow.runtime.attempt_files import read_record
from notification_service.reactor import Reactor, Timer

Message = dict[str, Any]
LoadResult = dict[str, Any]

#: A workflow file defines tasks; one that takes this long does their work.
LOAD_LIMIT_S = 60.0
#: How long a fork server gets to kill its hanging loader before it is taken for the one that hangs.
_KILL_WAIT_S = 1.0
_SHOWN_OUTPUT_BYTES = 64 * 1024


@dataclass(slots=True, kw_only=True)
class _Load:
    """A workflow file that is being loaded."""

    key: str
    message: Message
    python: str
    callback: Callable[[LoadResult], None]
    limit_s: float
    server: ForkServer | None = None
    timers: list[Timer] = field(default_factory=list[Timer])
    timed_out: bool = False


class HostHandle:
    """A condition host, started or about to be; a ``HostProcess``."""

    def __init__(self, key: str, channel: socket.socket, on_exit: Callable[[HostExit], None]) -> None:
        self.key = key
        self.channel: socket.socket | None = channel
        self.on_exit = on_exit
        self.server: ForkServer | None = None
        self.is_killed = False

    def kill(self) -> None:
        """End the host and its process group; harmless when it is gone."""
        self.is_killed = True
        if self.server is not None and self.channel is None:
            self.server.send({"op": "kill", "key": self.key})


class ChildRequests:
    """The loaders and hosts of one supervisor."""

    def __init__(
        self, reactor: Reactor, servers: ForkServers, directory: RunDirectory, python: str, *, forks: bool
    ) -> None:
        self._reactor = reactor
        self._servers = servers
        self._directory = directory
        self._python = python
        self._forks = forks
        self._numbers = itertools.count(1)
        self._loads: dict[str, _Load] = {}
        self._hosts: dict[str, HostHandle] = {}

    def load_workflow_file(
        self,
        path: Path,
        files: Sequence[Path],
        python: str | None,
        callback: Callable[[LoadResult], None],
        *,
        limit_s: float = LOAD_LIMIT_S,
    ) -> None:
        """Execute a workflow file in a child of the user's Python and give what it defines to ``callback``.

        ``python`` is another interpreter than that of the executor, if need be.
        The result is ``{"workflows", "imports", "helpers", "python", "output", "server"}``, with ``server``
        for ``prepare``; or, for a file that cannot be used, ``{"error": {"type", "message", "file", "line",
        "text"}}``.
        """
        key = f"load-{next(self._numbers)}"
        message = {
            "op": "load",
            "key": key,
            "path": os.path.abspath(path),
            "files": [os.path.abspath(file) for file in files],
            "result": str(self._directory.root / f"{key}.result"),
            "log_path": str(self._directory.root / f"{key}.output"),
        }
        load = _Load(
            key=key, message=message, python=python or self._python, callback=callback, limit_s=limit_s
        )
        self._loads[key] = load
        load.timers.append(self._reactor.call_later(limit_s, lambda: self._take_too_long(load)))
        self._guarded(load, self._start_load)

    def spawn_host(
        self, request: HostRequest, channel: socket.socket, on_exit: Callable[[HostExit], None]
    ) -> HostHandle:
        """Start a condition host at the other end of ``channel``; a ``SpawnHost``."""
        handle = HostHandle(f"host-{next(self._numbers)}", channel, on_exit)
        self._hosts[handle.key] = handle
        try:
            server = self._server_for(request)
            handle.server = server
            self._servers.use(server, handle.key)
            if server.is_guard:
                self._send_host(handle, server, request)
            else:
                server.when_settled(lambda: self._send_host(handle, server, request))
        except ExecutorError as error:
            self._end_host_soon(handle, HostExit(error=str(error)))
        return handle

    def ended(self, server: ForkServer, message: Message) -> None:
        """Take note that a child of ``server`` has ended."""
        key = message["key"]
        self._servers.release(server, key)
        load = self._loads.get(key)
        if load is not None:
            self._load_ended(load, message)
        elif key in self._hosts:
            self._end_host(self._hosts[key], _host_exit(message))

    def lost_server(self, server: ForkServer, how: str) -> None:
        """Give up the children of a dead server."""
        for load in [load for load in self._loads.values() if load.server is server]:
            self._finish_load(load, _error(load, "LoadError", f"the process that loads it {how}"))
        for handle in [handle for handle in self._hosts.values() if handle.server is server]:
            if handle.channel is None:
                self._end_host_soon(handle, HostExit(error=f"the fork server {how}"))

    def close(self) -> None:
        """Forget everything without a word; the processes end with their servers."""
        for load in self._loads.values():
            for timer in load.timers:
                timer.cancel()
        for handle in self._hosts.values():
            handle.kill()
            if handle.channel is not None:
                handle.channel.close()
        self._loads.clear()
        self._hosts.clear()

    # Loading.

    def _guarded(self, load: _Load, start: Callable[[_Load], None]) -> None:
        try:
            start(load)
        except ExecutorError as error:
            result = _error(load, "LoadError", str(error))
            self._reactor.call_soon_threadsafe(lambda: self._finish_load(load, result))

    def _start_load(self, load: _Load) -> None:
        if self._forks and resolve_interpreter(load.python) == self._python:
            self._send_load(load, self._servers.start_loader())
        else:
            self._load_spawned(load)

    def _load_spawned(self, load: _Load) -> None:
        python = resolve_interpreter(load.python)
        argv = child_command(python, "ai_flow.runtime.loader:load_and_exit", load.message)
        load.message = {**load.message, "argv": argv}
        self._send_load(load, self._servers.guard())

    def _send_load(self, load: _Load, server: ForkServer) -> None:
        load.server = server
        self._servers.use(server, load.key)
        server.send(load.message)

    def _load_ended(self, load: _Load, message: Message) -> None:
        if "unsafe" in message:
            # What the file imports does not survive a fork; this server is of no use.
            if load.server is not None and not load.server.users:
                self._servers.retire(load.server)
            self._guarded(load, self._load_spawned)
            return
        result = read_record(load.message["result"])
        if load.timed_out:
            result = _error(load, "TimeoutError", f"loading it took longer than {load.limit_s:g} s")
        elif "error" in message:
            result = _error(load, "LoadError", message["error"])
        elif result is None:
            result = _error(load, "LoadError", f"the process that loads it {_how_ended(message['status'])}")
        self._finish_load(load, result)

    def _finish_load(self, load: _Load, result: LoadResult) -> None:
        if self._loads.pop(load.key, None) is None:
            return
        for timer in load.timers:
            timer.cancel()
        server = load.server
        result["server"] = server.name if server is not None and not server.is_guard else None
        if "error" in result and server is not None and not server.is_guard and not server.users:
            self._servers.retire(server)
        result["output"] = _tail(load.message["log_path"])
        for name in ("result", "log_path"):
            Path(load.message[name]).unlink(missing_ok=True)
        load.callback(result)

    def _take_too_long(self, load: _Load) -> None:
        load.timed_out = True
        server = load.server
        if server is not None:
            server.send({"op": "kill", "key": load.key})
            load.timers.append(
                self._reactor.call_later(_KILL_WAIT_S, lambda: self._give_up_load(load, server))
            )

    def _give_up_load(self, load: _Load, server: ForkServer) -> None:
        """End a server that hangs itself, over an import of the file."""
        if not server.is_guard:
            load.server = None
            self._servers.kill(server)
        self._finish_load(
            load, _error(load, "TimeoutError", f"loading it took longer than {load.limit_s:g} s")
        )

    # Hosts.

    def _server_for(self, request: HostRequest) -> ForkServer:
        if not self._forks or self._servers.why_unforkable(request.snapshot) is not None:
            return self._servers.guard()
        server = self._servers.of_snapshot(request.snapshot)
        if server is not None:
            return server
        return self._servers.start_for(request.snapshot, request.imports, request.bundle_dir / request.entry)

    def _send_host(self, handle: HostHandle, server: ForkServer, request: HostRequest) -> None:
        channel = handle.channel
        if handle.is_killed or channel is None:
            self._end_host_soon(handle, HostExit())
            return
        if not server.is_guard and not server.safe:
            self._servers.release(server, handle.key)
            try:
                server = self._servers.guard()
            except ExecutorError as error:
                self._end_host_soon(handle, HostExit(error=str(error)))
                return
        message = {
            "op": "host",
            "key": handle.key,
            "log_path": str(request.log_path),
            "request": request.fields(),
        }
        if server.is_guard:
            message["argv"] = child_command(
                self._python, "ai_flow.runtime.condition_host:boot", request.fields()
            )
        handle.server, handle.channel = server, None
        self._servers.use(server, handle.key)
        server.send(message, channel)

    def _end_host_soon(self, handle: HostHandle, how: HostExit) -> None:
        self._reactor.call_soon_threadsafe(lambda: self._end_host(handle, how))

    def _end_host(self, handle: HostHandle, how: HostExit) -> None:
        if self._hosts.pop(handle.key, None) is None:
            return
        if handle.server is not None:
            self._servers.release(handle.server, handle.key)
        if handle.channel is not None:
            handle.channel.close()
        handle.on_exit(how)


def _tail(path: str) -> str:
    """Return the end of what a workflow file printed while it was loaded."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - _SHOWN_OUTPUT_BYTES))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _host_exit(message: Message) -> HostExit:
    if "error" in message:
        return HostExit(error=message["error"])
    status = message["status"]
    if os.WIFSIGNALED(status):
        return HostExit(signal=os.WTERMSIG(status))
    return HostExit(exit_code=os.WEXITSTATUS(status))


def _how_ended(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was killed by signal {os.WTERMSIG(status)}"
    return f"exited (exit code {os.WEXITSTATUS(status)}) in the middle of it"


def _error(load: _Load, kind: str, message: str) -> LoadResult:
    return {
        "error": {"type": kind, "message": message, "file": load.message["path"], "line": None, "text": None}
    }
