# SPDX-License-Identifier: Apache-2.0
"""The attempts of one fork server: their timeouts, their stops, and the record of their ends.

An attempt is *running* from the fork of its process until nothing of it is left. When its leader is
reaped the exit record is written at once; the supervisor is told when the leftovers are gone too. A stop,
a timeout and the loss of the supervisor differ only in the cause that the record names. A duplicate,
whose marker another process holds, leaves no record: it is not the end of anything.
"""

from __future__ import annotations

import os
import time

from ai_flow.runtime import bash_start, process_table
from ai_flow.runtime.attempt_ending import AttemptEnding
from ai_flow.runtime.attempt_files import AttemptFiles
from ai_flow.runtime.attempt_start import (
    LOST_MARKER_EXIT_CODE,
    SETUP_FAILED_EXIT_CODE,
    prepare_log,
    report_failed_start,
)
from ai_flow.runtime.out_of_memory import OutOfMemory

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource
    from collections.abc import Callable, Collection
    from typing import Any

    from notification_service.reactor import Reactor, Timer

    Message = dict[str, Any]

#: Why an attempt was ended; None in a record: it ended by itself.
STOPPED, TIMED_OUT, SUPERVISOR_GONE = "stop", "timeout", "supervisor gone"


class Attempt:
    """One running attempt."""

    def __init__(self, spec: Message, pid: int, memory: tuple[int, int]) -> None:
        self.id: str = spec["attempt_id"]
        self.pid = pid
        self.log_path: str = spec["log_path"]
        self.asks_group: bool = spec["run"] == "bash"
        self.kind: str = spec["kind"]
        self.timeout_s: float | None = spec["timeout_s"]
        self.grace_s: float = spec["grace_s"]
        self.files = AttemptFiles(spec["attempts_dir"], self.id)
        self.forked_at_ms = _now_ms()
        self.memory = memory
        self.cause: str | None = None
        self.timer: Timer | None = None
        self.ending: AttemptEnding | None = None
        self.last_message: Message | None = None
        self.fork_again: Callable[[], None] | None = None

    def forked_message(self) -> Message:
        """Return what a supervisor needs to watch the attempt."""
        return {"op": "forked", "attempt_id": self.id, "pid": self.pid, "at_ms": self.forked_at_ms}


class Attempts:
    """All attempts whose parent is this process."""

    def __init__(self, reactor: Reactor, config: Message, tell: Callable[[Message], None]) -> None:
        self._reactor = reactor
        self._tell = tell
        self._is_guard = config["role"] == "guard"
        self._by_id: dict[str, Attempt] = {}
        self._by_pid: dict[int, Attempt] = {}
        self._out_of_memory = OutOfMemory()

    @property
    def running(self) -> list[Attempt]:
        """The attempts of which something is left."""
        return list(self._by_id.values())

    def is_known(self, attempt_id: str) -> bool:
        """Tell whether the attempt runs here."""
        return attempt_id in self._by_id

    def is_leader(self, pid: int) -> bool:
        """Tell whether the pid is that of an attempt's own process."""
        return pid in self._by_pid

    def start_bash(self, spec: Message) -> None:
        """Start a bash attempt by a spawn; what hinders it is the attempt's failure."""
        memory = self._out_of_memory.counters()
        try:
            pid = bash_start.start_bash(spec)
        except bash_start.MarkerLostError:
            self._tell({"op": "superseded", "attempt_id": spec["attempt_id"]})
        except OSError as error:
            report_failed_start(AttemptFiles(spec["attempts_dir"], spec["attempt_id"]), error)
            self._end_without_process(spec, SETUP_FAILED_EXIT_CODE << 8)
        else:
            self._watch(spec, pid, memory)

    def pass_by(self, spec: Message) -> None:
        """Run an attempt of a task that does nothing: it succeeds here and now."""
        try:
            bash_start.win_marker(spec)
            prepare_log(spec)
        except bash_start.MarkerLostError:
            self._tell({"op": "superseded", "attempt_id": spec["attempt_id"]})
        except OSError as error:
            report_failed_start(AttemptFiles(spec["attempts_dir"], spec["attempt_id"]), error)
            self._end_without_process(spec, SETUP_FAILED_EXIT_CODE << 8)
        else:
            self._end_without_process(spec, 0)

    def add(self, spec: Message, pid: int, fork_again: Callable[[Message], None] | None = None) -> None:
        """Watch an attempt whose process was just forked; ``fork_again`` if that dies before it starts."""
        attempt = self._watch(spec, pid, self._out_of_memory.counters())
        if fork_again is not None:
            attempt.fork_again = lambda: fork_again(spec)

    def refuse(self, spec: Message, error: OSError) -> None:
        """Report an attempt that could not even be forked."""
        self._tell(
            {"op": "refused", "attempt_id": spec["attempt_id"], "reason": f"cannot fork: {error.strerror}"}
        )

    def stop(self, attempt_id: str, grace_s: float | None, cause: str) -> None:
        """End an attempt; a ``grace_s`` of 0 means at once, None the grace that it was launched with."""
        attempt = self._by_id.get(attempt_id)
        if attempt is not None:
            self._stop(attempt, attempt.grace_s if grace_s is None else grace_s, cause)

    def stop_all(self, grace_s: float | None) -> None:
        """End everything because nobody supervises it any more."""
        for attempt in self.running:
            self._stop(attempt, attempt.grace_s if grace_s is None else grace_s, SUPERVISOR_GONE)

    def leader_ended(
        self, pid: int, status: int, usage: resource.struct_rusage, others: Collection[int]
    ) -> None:
        """Record how an attempt's process ended, and see to what it left behind."""
        attempt = self._by_pid.pop(pid)
        if attempt.timer is not None:
            attempt.timer.cancel()
        if attempt.fork_again is not None and attempt.cause is None and attempt.files.read_marker() is None:
            del self._by_id[attempt.id]
            attempt.fork_again()
            return
        if self._is_losing_duplicate(attempt, status):
            attempt.last_message = {"op": "superseded", "attempt_id": attempt.id}
        else:
            record = self._exit_record(attempt, status, usage)
            attempt.last_message = {"op": "finished", **record}
            self._write(attempt, record)
        self._ending_of(attempt).leader_reaped(nobody_left=self._left_nothing(attempt, others))

    def close_in_child(self) -> None:
        """Close a fork's copies of our files."""
        self._out_of_memory.close()

    def look_at_leftovers(self) -> None:
        """Look again for attempts whose last process has ended."""
        for attempt in self.running:
            if attempt.ending is not None:
                attempt.ending.look()

    def _watch(self, spec: Message, pid: int, memory: tuple[int, int]) -> Attempt:
        attempt = Attempt(spec, pid, memory)
        self._by_id[attempt.id] = attempt
        self._by_pid[pid] = attempt
        if attempt.timeout_s is not None:
            attempt.timer = self._reactor.call_later(
                attempt.timeout_s, lambda: self._stop(attempt, attempt.grace_s, TIMED_OUT)
            )
        self._tell(attempt.forked_message())
        return attempt

    def _end_without_process(self, spec: Message, status: int) -> None:
        attempt = Attempt(spec, 0, (0, 0))
        record = self._exit_record(attempt, status, None)
        self._write(attempt, record)
        self._tell({"op": "finished", **record})

    def _stop(self, attempt: Attempt, grace_s: float, cause: str) -> None:
        # The first cause is the reason; a later, shorter grace only hurries.
        if attempt.pid in self._by_pid:
            attempt.cause = attempt.cause or cause
        ending = self._ending_of(attempt)
        if grace_s > 0:
            ending.ask(grace_s)
        else:
            ending.kill()

    def _ending_of(self, attempt: Attempt) -> AttemptEnding:
        if attempt.ending is None:
            attempt.ending = AttemptEnding(
                self._reactor,
                attempt.id,
                attempt.pid,
                asks_group=attempt.asks_group,
                on_gone=lambda: self._gone(attempt),
                on_leftovers=lambda left: _note_leftovers(attempt, left),
            )
        return attempt.ending

    def _gone(self, attempt: Attempt) -> None:
        del self._by_id[attempt.id]
        assert attempt.last_message is not None
        self._tell(attempt.last_message)

    def _is_losing_duplicate(self, attempt: Attempt, status: int) -> bool:
        if not os.WIFEXITED(status) or os.WEXITSTATUS(status) != LOST_MARKER_EXIT_CODE:
            return False
        marker = attempt.files.read_marker()
        return marker is not None and marker.get("pid") != attempt.pid

    def _exit_record(self, attempt: Attempt, status: int, usage: resource.struct_rusage | None) -> Message:
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == 9 and attempt.cause is None
        return {
            "attempt_id": attempt.id,
            "kind": attempt.kind,
            "timeout_s": attempt.timeout_s,
            "pid": attempt.pid,
            "status": status,
            "cause": attempt.cause,
            "out_of_memory": self._out_of_memory.verdict(attempt.memory) if killed else None,
            "started_at_ms": attempt.forked_at_ms,
            "finished_at_ms": _now_ms(),
            "max_rss_bytes": _max_rss_bytes(usage) if usage is not None else None,
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 3) if usage is not None else 0.0,
        }

    def _write(self, attempt: Attempt, record: Message) -> None:
        try:
            attempt.files.write_exit(record)
        except OSError as error:
            # A full disk: the supervisor is told all the same, only a successor could not know.
            _complain(f"cannot write the exit file of {attempt.id}: {error}")

    def _left_nothing(self, attempt: Attempt, others: Collection[int]) -> bool:
        """Tell cheaply whether the attempt's leader was its last process."""
        if not process_table.group_is_empty(attempt.pid):
            return False
        for pid in process_table.children_of_this_process() or ():
            if pid in self._by_pid or pid in others:
                continue
            # An orphan that came to us as the subreaper: of this attempt, or of another that still runs. One
            # that has just ended does not say, and what it forked before may not be in this list.
            if process_table.attempt_of(pid) in (attempt.id, None):
                return False
        return True


def _complain(text: str) -> None:
    try:
        os.write(2, f"{text}\n".encode())
    except OSError:
        pass  # the log is on the same disk


def _note_leftovers(attempt: Attempt, left: list[process_table.Process]) -> None:
    names = ", ".join(f"{process.name} (pid {process.pid})" for process in left[:10])
    more = f" and {len(left) - 10} more" if len(left) > 10 else ""
    note = f"[aiflow] the task's processes outlived it and were ended: {names}{more}\n"
    try:
        log = os.open(attempt.log_path, os.O_WRONLY | os.O_APPEND)
    except OSError:
        return
    try:
        os.write(log, note.encode())
    except OSError:
        pass
    finally:
        os.close(log)


def _max_rss_bytes(usage: resource.struct_rusage) -> int:
    return usage.ru_maxrss * (1024 if process_table.HAS_PROC else 1)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
