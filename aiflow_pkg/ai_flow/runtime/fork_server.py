# SPDX-License-Identifier: Apache-2.0
"""The parent of attempts: forks them, sees how they end, ends them when asked, and outlives its supervisor.

One program in two roles. The *guard* starts in milliseconds and runs what needs no fork of user code:
bash, no-ops, and fresh interpreters. A *snapshot server* has imported the modules of one snapshot; there
an attempt is a fork of it. Both are single-threaded loops that speak length-prefixed JSON over the socket
they were started with and, for a successor of their supervisor, over a socket in the run directory.

Promises: a wait status is on disk, beside the outcome file, before anybody is told of it; nothing of an
attempt is alive when it is reported as finished; with ``lives_on`` false, everything is ended within the
stop grace once the supervisor's connection is gone. Forgets nothing that is not in a file; decides
nothing about outcomes.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

from ai_flow.runtime import process_table
from ai_flow.runtime.attempt_start import begin_attempt
from ai_flow.runtime.attempts import Attempts
from ai_flow.runtime.bash_start import can_start_here
from ai_flow.runtime.other_children import OtherChildren
from ai_flow.runtime.server_socket import Connection, listen, stop_listening
from ai_flow.runtime.spare import Spare
from notification_service.reactor import READABLE, Reactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource
    from collections.abc import Callable
    from typing import Any

    from ai_flow.runtime.preload import Preloaded

    Message = dict[str, Any]

#: Exit code of a server that cannot work at all; its log says why.
BROKEN_EXIT_CODE = 70
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class ForkServer:
    """One server process; ``serve`` runs until there is nothing left to do."""

    def __init__(self, config: Message) -> None:
        self.name: str = config["name"]
        self._lives_on: bool = config["lives_on"]
        self._is_snapshot = config["role"] == "snapshot"
        self._reactor = Reactor()
        self._connections: list[Connection] = []
        self._exiting = False
        self._preloaded: Preloaded | None = None
        self._mark = process_table.AttemptMark()
        self._spare = Spare(self._fork, self._in_attempt)
        self.attempts = Attempts(self._reactor, config, self._tell)
        self.others = OtherChildren(config, self._tell)
        self._listener = listen(config["socket"])
        self._reactor.watch(self._listener, READABLE, lambda _events: self._accept())
        # It was passed on to this process, and must not be to the programs that tasks become.
        os.set_inheritable(config["supervisor_fd"], False)
        self._add_connection(socket.socket(fileno=config["supervisor_fd"]))
        self._watch_children()

    def serve(self) -> None:
        """Work until told to exit, or until nobody needs this server any more."""
        become_subreaper()
        while not self._is_done():
            self._reactor.run_once()
        stop_listening(self._listener)
        for connection in list(self._connections):
            connection.flush_and_close()

    def _is_done(self) -> bool:
        if self._exiting or not self._connections:
            return not self.attempts.running and not self.others.running and not self._end_strays()
        return False

    def _end_strays(self) -> bool:
        """Kill what escaped from attempts in a way that left no trace; True while some are there."""
        if self._lives_on:
            return False
        strays = process_table.children_of_this_process() or []
        for pid in strays:
            _kill_child(pid)
        return bool(strays)

    # Requests.

    def _handle(self, connection: Connection, message: Message) -> None:
        operation = message["op"]
        if operation == "launch":
            self._launch(message["spec"])
        elif operation == "stop":
            self.attempts.stop(message["attempt_id"], message["grace_s"], message["cause"])
        elif operation == "preload":
            self._preload(message["imports"], message["file"])
        elif operation == "load":
            self._load(message)
        elif operation == "host":
            self._start_host(message, connection.take_file())
        elif operation == "kill":
            self.others.kill(message["key"])
        elif operation == "exit":
            self._exit(message["grace_s"])

    def _launch(self, spec: Message) -> None:
        if self.attempts.is_known(spec["attempt_id"]):
            return
        spec["server"] = self.name
        if spec["run"] == "nothing":
            self.attempts.pass_by(spec)
        elif spec["run"] == "bash" and can_start_here(spec):
            self.attempts.start_bash(spec)
        else:
            self._fork_attempt(spec)

    def _fork_attempt(self, spec: Message) -> None:
        spare = self._spare.take(spec)
        pid = spare or self._fork(lambda: self._in_attempt(spec))
        self._plan_spare()
        if isinstance(pid, OSError):
            self.attempts.refuse(spec, pid)
        else:
            # A spare that was killed may look alive for a moment: then the marker tells, and it is forked.
            self.attempts.add(spec, pid, fork_again=self._fork_attempt if spare else None)

    def _plan_spare(self) -> None:
        """Have a spare soon, but not before what is there to be done now."""
        if self._is_snapshot and self._preloaded is not None and self._preloaded.safe:
            self._reactor.call_later(0.0, self._spare.make)

    def _in_attempt(self, spec: Message) -> None:
        if not self._is_snapshot:
            begin_attempt(spec)
        from ai_flow.runtime.task_process import run_task

        begin_attempt(spec, run_task, self._mark)

    def _preload(self, imports: list[str], file: str) -> None:
        from ai_flow.runtime import preload, workflow_file

        self._spare.drop()
        preload.import_modules(imports)
        workflow_file.compile_ahead(file)
        self._preloaded = preload.settle()
        self._plan_spare()
        self._tell({"op": "preloaded", "safe": self._preloaded.safe, "why": self._preloaded.why})

    def _load(self, message: Message) -> None:
        """Load a workflow file in a fork, after importing here what the file will import there."""
        if self._is_snapshot:
            from ai_flow.runtime import loader, preload

            preload.import_modules(loader.imports_at_the_top(message["path"], message["files"]))
            self._preloaded = preload.settle()
            if not self._preloaded.safe:
                self._tell({"op": "ended", "key": message["key"], "unsafe": self._preloaded.why})
                return
        self._start_other(message, lambda: self.others.become_loader(message))

    def _start_host(self, message: Message, channel: int) -> None:
        try:
            self._start_other(message, lambda: self.others.become_host(message, channel))
        finally:
            os.close(channel)

    def _start_other(self, message: Message, child: Callable[[], None]) -> None:
        pid = self._fork(child)
        if isinstance(pid, OSError):
            self._tell({"op": "ended", "key": message["key"], "error": f"cannot fork: {pid.strerror}"})
        else:
            self.others.add(message["key"], pid)

    def _exit(self, grace_s: float | None) -> None:
        self._exiting = True
        self._spare.drop()
        self._end_all(grace_s)

    def _exit_when_told(self) -> None:
        self._exit(None)

    def _end_all(self, grace_s: float | None) -> None:
        self.others.kill_all()
        self.attempts.stop_all(grace_s)

    # Forks and their ends.

    def _fork(self, child: Callable[[], None]) -> int | OSError:
        """Return the pid of a fork that runs ``child``; signals wait until it has its own handlers."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
        try:
            pid = os.fork()
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return error
        if pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return pid
        try:
            self._close_in_child()
            child()
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(BROKEN_EXIT_CODE)

    def _close_in_child(self) -> None:
        """Let go of everything of the server; a task that never execs would keep its sockets open."""
        self._listener.close()
        self._spare.close_in_child()
        self.attempts.close_in_child()
        for connection in self._connections:
            connection.close_in_child()
        self._reactor.close()
        signal.set_wakeup_fd(-1)
        os.close(self._child_ended)
        os.close(self._child_ended_writer)

    def _watch_children(self) -> None:
        self._child_ended, self._child_ended_writer = os.pipe()
        for end in (self._child_ended, self._child_ended_writer):
            os.set_blocking(end, False)
        self._reactor.watch(self._child_ended, READABLE, lambda _events: self._reap())
        signal.set_wakeup_fd(self._child_ended_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in _FORWARDED:
            signal.signal(
                number, lambda _number, _frame: self._reactor.call_soon_threadsafe(self._exit_when_told)
            )

    def _reap(self) -> None:
        """Collect every child that ended before deciding about any: a group is empty only then."""
        try:
            os.read(self._child_ended, 4096)
        except BlockingIOError:
            pass
        ended = []
        while (child := _next_dead_child()) is not None:
            ended.append(child)
        for pid, status, usage in ended:
            if self.attempts.is_leader(pid):
                self.attempts.leader_ended(pid, status, usage, self.others.pids())
            else:
                self._spare.ended(pid)
                self.others.ended(pid, status)
        self.attempts.look_at_leftovers()

    # Connections.

    def _accept(self) -> None:
        try:
            self._add_connection(self._listener.accept()[0])
        except BlockingIOError:
            pass

    def _add_connection(self, connected: socket.socket) -> None:
        connection = Connection(self._reactor, connected, self._handle, self._lost_connection)
        self._connections.append(connection)
        python = ".".join(map(str, sys.version_info[:2]))
        connection.send({"op": "hello", "name": self.name, "pid": os.getpid(), "python": python})
        for attempt in self.attempts.running:
            connection.send(attempt.forked_message())
        if self._preloaded is not None:
            connection.send({"op": "preloaded", "safe": self._preloaded.safe, "why": self._preloaded.why})

    def _lost_connection(self, connection: Connection) -> None:
        self._connections.remove(connection)
        if self._connections:
            return
        # Verdicts that nobody hears are worth nothing; running tasks are.
        self.others.kill_all()
        if not self._lives_on:
            self._end_all(None)

    def _tell(self, message: Message) -> None:
        for connection in list(self._connections):
            connection.send(message)


def main(config: Message) -> None:
    """Be a fork server; called by the boot script of ``ai_flow.executor.launch``."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    os.chdir(config["run_dir"])
    _close_files_beyond(config["supervisor_fd"])
    if config["role"] == "snapshot":
        from ai_flow.runtime import preload

        preload.import_sdk()
    ForkServer(config).serve()


def become_subreaper() -> None:
    """Become the parent of every orphan below this process, so that a task's daemons can be found."""
    if sys.platform != "linux":
        return
    try:
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    except (ImportError, OSError, AttributeError):
        pass


def _close_files_beyond(last: int) -> None:
    """Close what whoever started our supervisor left open: this process may outlive them by days."""
    directory = "/proc/self/fd" if process_table.HAS_PROC else "/dev/fd"
    for name in os.listdir(directory):
        if int(name) > last:
            try:
                os.close(int(name))
            except OSError:
                pass  # the one that listed them


def _next_dead_child() -> tuple[int, int, resource.struct_rusage] | None:
    try:
        pid, status, usage = os.wait4(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status, usage) if pid else None


def _kill_child(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
