# SPDX-License-Identifier: Apache-2.0
"""What is left of another supervisor, perhaps a dead one: its tasks, its servers and its directory.

A dead supervisor's fork servers end its tasks within their grace. If they are dead as well, the tasks have
no parent, and whoever finds them ends them.
"""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

from ai_flow.executor.orphans import OrphanedAttempt
from ai_flow.executor.run_directory import RunDirectory
from ai_flow.runtime.attempt_files import AttemptFiles, attempts_in
from ai_flow.runtime.process_table import running_attempts
from notification_service.reactor import Reactor

_CONNECT_LIMIT_S = 0.2


def has_running_attempts(runner_dir: Path) -> bool:
    """Tell whether any process of an attempt of the supervisor with this directory still runs."""
    return bool(_running_attempts(runner_dir))


def has_servers(runner_dir: Path) -> bool:
    """Tell whether a fork server or guard of this directory still listens."""
    return any(
        _answers(directory.socket_of(name))
        for directory in _directories(runner_dir)
        for name in directory.servers()
    )


def end_orphans(reactor: Reactor, runner_dir: Path) -> None:
    """Kill the tasks that run on without supervisor and without parent."""
    for files, attempt_id in _running_attempts(runner_dir):
        OrphanedAttempt(reactor, attempt_id, files, "its supervisor died", lambda _report: None).settle()


def remove_remains(runner_dir: Path) -> None:
    """Remove the directory of a supervisor of which nothing runs any more."""
    for directory in _directories(runner_dir):
        directory.remove()
    shutil.rmtree(runner_dir, ignore_errors=True)


def _running_attempts(runner_dir: Path) -> list[tuple[AttemptFiles, str]]:
    # A marker does not always name the process, so all processes are asked which attempt they belong to.
    found = [
        (AttemptFiles(str(path), attempt_id), attempt_id)
        for path in runner_dir.glob("*/attempts")
        for attempt_id in attempts_in(str(path))
    ]
    alive = running_attempts() if found else set[str]()
    return [(files, attempt_id) for files, attempt_id in found if attempt_id in alive]


def _directories(runner_dir: Path) -> list[RunDirectory]:
    return [RunDirectory(runner_dir, path.parent.name) for path in runner_dir.glob("*/attempts")]


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connected:
        connected.settimeout(_CONNECT_LIMIT_S)
        try:
            connected.connect(str(path))
        except TimeoutError:
            return True  # it is there, and busy
        except OSError:
            return False
    return True
