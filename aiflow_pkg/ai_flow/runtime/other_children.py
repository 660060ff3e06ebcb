# SPDX-License-Identifier: Apache-2.0
"""The children of a fork server that are no attempts: loaders of workflow files and condition hosts.

They run the user's code but nothing is owed to them after a crash: when their supervisor is gone they are
killed, and asked for again by the next one. A guard starts them in a fresh interpreter, a snapshot server
forks them.
"""

from __future__ import annotations

import os
import signal

from ai_flow.runtime.attempt_start import redirect_output, reset_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any, NoReturn

    Message = dict[str, Any]


class OtherChildren:
    """Loaders and hosts, each known by the key of the request that started it."""

    def __init__(self, config: Message, tell: Callable[[Message], None]) -> None:
        self._tell = tell
        self._is_guard = config["role"] == "guard"
        self._keys: dict[int, str] = {}

    @property
    def running(self) -> bool:
        """Whether there are any."""
        return bool(self._keys)

    def pids(self) -> Collection[int]:
        """Return the pids of all."""
        return self._keys.keys()

    def add(self, key: str, pid: int) -> None:
        """Watch a child that was just forked."""
        self._keys[pid] = key

    def kill(self, key: str) -> None:
        """Kill the child with this key and its group; harmless when it is gone."""
        for pid, owner in self._keys.items():
            if owner == key:
                _kill_group(pid)

    def kill_all(self) -> None:
        """Kill every child."""
        for pid in self._keys:
            _kill_group(pid)

    def ended(self, pid: int, status: int) -> None:
        """Report the end of a child; an orphan that came to us is nobody's news."""
        key = self._keys.pop(pid, None)
        if key is not None:
            _kill_group(pid, reaped=True)
            self._tell({"op": "ended", "key": key, "status": status})

    def become_loader(self, message: Message) -> NoReturn:
        """In a fork: load a workflow file and leave the result in a file."""
        self._start(message)
        from ai_flow.runtime import loader

        loader.load_and_exit(message)

    def become_host(self, message: Message, channel: int) -> NoReturn:
        """In a fork: evaluate conditions for whoever holds the other end of ``channel``."""
        os.set_inheritable(channel, True)
        self._start(message, str(channel))
        import socket

        from ai_flow.runtime import condition_host

        condition_host.main(socket.socket(fileno=channel), message["request"])

    def _start(self, message: Message, *arguments: str) -> None:
        """Become a session of its own with its own log; in a guard also a fresh interpreter."""
        reset_signals()
        os.setsid()
        redirect_output(message["log_path"])
        if self._is_guard:
            os.execv(message["argv"][0], [*message["argv"], *arguments])


def _kill_group(pid: int, *, reaped: bool = False) -> None:
    """Kill a child and its group; a pid that was reaped means only what is left of its group."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        if not reaped:
            # It has not become a group leader yet.
            os.kill(pid, signal.SIGKILL)
