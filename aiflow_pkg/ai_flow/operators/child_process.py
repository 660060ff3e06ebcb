# SPDX-License-Identifier: Apache-2.0
"""One command that an operator runs: its output, its end, and ending it early.

The command gets a session of its own, so that ending it reaches everything that it started and nothing else.
Without a listener its output goes where the output of this process goes, untouched; with one, every line is
decoded and given to the listener instead.

``stop`` may be called from a signal handler that interrupted ``wait_for_exit`` in the same thread, which is
how a task process is told to stop. That rules out everything with a lock, ``Popen.wait`` and
``threading.Event`` included: a thread reaps the child, and whoever waits polls a pipe that it closes.
"""

from __future__ import annotations

import glob
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from ai_flow.common.exception.exceptions import AIFlowException

#: How long a command may take to end after SIGTERM before it is killed.
STOP_GRACE_S = 5.0
#: How long to wait for the rest of the output once a command has ended: a process that it left behind may
#: hold the other end of the pipe for ever.
_OUTPUT_GRACE_S = 2.0
_POLL_S = 0.02


class ChildProcess:
    """A running command. ``env`` is added to the environment of this process."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self.command = list(command)
        _flush_output()
        try:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=None if on_line is None else subprocess.PIPE,
                stderr=None if on_line is None else subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        except OSError as error:
            raise AIFlowException(f"Cannot start {self.command[0]}: {error.strerror}.") from error
        self._is_over = False
        self._waiting: list[int] = []  # the write ends of the pipes of those who wait
        reader = None
        if on_line is not None and self._popen.stdout is not None:
            reader = threading.Thread(target=_read_lines, args=(self._popen.stdout, on_line), daemon=True)
            reader.start()
        threading.Thread(target=self._reap, args=(reader,), daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id of the command, also the id of its session and process group."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, or the negative number of the signal that ended it; None while it runs."""
        return self._popen.returncode if self.has_ended(within_s=0) else None

    def has_ended(self, within_s: float | None) -> bool:
        """Wait until the command has ended, at most so long (None: no limit); tell whether it has."""
        if self._is_over or within_s == 0:
            return self._is_over
        read_end, write_end = os.pipe()
        self._waiting.append(write_end)
        try:
            # Asked again only now: had it ended just before the append, nobody would close the pipe.
            if not self._is_over:
                poll = select.poll()
                poll.register(read_end)
                poll.poll(None if within_s is None else math.ceil(within_s * 1000))
        finally:
            os.close(read_end)
            _close_if_listed(self._waiting, write_end)
        return self._is_over

    def wait_for_exit(self, timeout_s: float | None = None) -> int:
        """Return the exit code once the command has ended; raise ``subprocess.TimeoutExpired`` in time."""
        if not self.has_ended(timeout_s):
            raise subprocess.TimeoutExpired(self.command, timeout_s or 0.0)
        return self._popen.returncode

    def describe_exit(self) -> str:
        """Return how the command ended, in words."""
        code = self.exit_code
        if code is None:
            return "still running"
        return f"exit code {code}" if code >= 0 else f"killed by signal {-code} ({_name_of_signal(-code)})"

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """End the command and what it started: SIGTERM, after the grace SIGKILL. Return when it is gone."""
        if self.has_ended(within_s=0):
            return
        deadline = time.monotonic() + grace_s
        self._signal_group(signal.SIGTERM)
        while time.monotonic() < deadline and self._group_is_alive():
            time.sleep(_POLL_S)
        self._signal_group(signal.SIGKILL)
        self.has_ended(within_s=None)

    def _group_is_alive(self) -> bool:
        # What the command left behind is reaped by the first process of the machine, which may take its time:
        # ended processes that nobody has reaped count as gone.
        return self._signal_group(0) and not (self._is_over and _has_only_zombies(self.pid))

    def _signal_group(self, number: int) -> bool:
        """Send a signal to all of the command's process group; tell whether there was anybody."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            # Somebody is there but not ours to signal (sudo); on macOS also a group of unreaped processes.
            return not self.has_ended(within_s=0)
        return True

    def _reap(self, reader: threading.Thread | None) -> None:
        self._popen.wait()
        if reader is not None:
            reader.join(_OUTPUT_GRACE_S)
        self._is_over = True
        for write_end in list(self._waiting):
            _close_if_listed(self._waiting, write_end)


def _close_if_listed(descriptors: list[int], descriptor: int) -> None:
    """Close a descriptor unless another thread has done so: whoever removes it from the list closes it."""
    try:
        descriptors.remove(descriptor)
    except ValueError:
        return
    os.close(descriptor)


def _has_only_zombies(group: int) -> bool:
    """Tell whether every process of a process group has ended; False where there is no /proc to say it."""
    found = False
    for path in glob.iglob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                state, _, process_group = file.read().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue  # it has just gone
        if int(process_group) == group:
            found = True
            if state not in "ZX":
                return False
    return found


def _read_lines(stream: IO[bytes], on_line: Callable[[str], None]) -> None:
    with stream:
        for raw in stream:
            on_line(raw.decode("utf-8", errors="replace").rstrip("\r\n"))


def _flush_output() -> None:
    # What was printed before must come before what the command prints.
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # pythonw, daemons
            stream.flush()


def _name_of_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
