# SPDX-License-Identifier: Apache-2.0
"""Account for every attempt that a predecessor left in the run directory.

exit file                        finished; its outcome may or may not have been committed
marker of an earlier boot        lost: the machine was restarted, and nothing of that boot runs
marker, its fork server answers  runs on, and will be reported
marker, its fork server is dead  ended, then lost
marker ``revoked``               settled long ago
no file, but claimed             revoked now: it never started and never will
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from ai_flow.executor.attempt import Adoption, AttemptFinished, Outcome
from ai_flow.executor.fork_servers import ForkServer, ForkServers
from ai_flow.executor.outcome import finished_attempt
from ai_flow.executor.run_directory import RunDirectory

Marker = dict[str, Any]

#: A marker that cannot be read says only that the attempt started.
_UNREADABLE: Marker = {"pid": 0, "created": 0, "kind": "bash", "token": "", "server": "", "boot_id": None}


def adopt_attempts(
    claimed: Sequence[str],
    directory: RunDirectory,
    boot_id: str,
    servers: ForkServers,
    take_running: Callable[[str, Marker, ForkServer | None], None],
    take_finished: Callable[[AttemptFinished], None],
) -> Adoption:
    """Return what was found; ``take_running`` and ``take_finished`` get each attempt as it is found."""
    _connect_all(directory, servers)
    running: list[str] = []
    finished: list[AttemptFinished] = []
    found = directory.attempt_ids()
    for attempt_id in [*found, *(attempt_id for attempt_id in claimed if attempt_id not in set(found))]:
        report = _settled(attempt_id, directory, boot_id, is_claimed=attempt_id in claimed)
        if report is not None:
            finished.append(report)
            take_finished(report)
            continue
        marker = directory.files(attempt_id).read_marker()
        if marker is None or marker.get("revoked"):
            continue
        marker = {**_UNREADABLE, **marker}
        running.append(attempt_id)
        take_running(attempt_id, marker, servers.named(marker["server"]))
    return Adoption(running=tuple(running), finished=tuple(finished), foreign=directory.foreign())


def _connect_all(directory: RunDirectory, servers: ForkServers) -> None:
    for name in directory.servers():
        server = servers.connect(name)
        if server is None:
            directory.socket_of(name).unlink(missing_ok=True)
        elif server.is_guard:
            servers.use_as_guard(server)


def _settled(
    attempt_id: str, directory: RunDirectory, boot_id: str, *, is_claimed: bool
) -> AttemptFinished | None:
    """Return the end of an attempt that has ended already, or that never begins."""
    files = directory.files(attempt_id)
    exit_record = files.read_exit()
    if exit_record is not None:
        return finished_attempt(exit_record, files.read_outcome())
    marker = files.read_marker()
    if marker is None and is_claimed:
        marker = {"revoked": True} if files.revoke() else files.read_marker()
    if marker is None:
        return None
    if marker.get("revoked"):
        return _lost(attempt_id, "it never started", never_started=True) if is_claimed else None
    if marker.get("boot_id", boot_id) != boot_id:
        return _lost(attempt_id, "the machine was restarted while it ran")
    return None


def _lost(attempt_id: str, reason: str, *, never_started: bool = False) -> AttemptFinished:
    return AttemptFinished(
        attempt_id=attempt_id,
        outcome=Outcome.LOST,
        reason=reason,
        finished_at_ms=time.time_ns() // 1_000_000,
        never_started=never_started,
    )
