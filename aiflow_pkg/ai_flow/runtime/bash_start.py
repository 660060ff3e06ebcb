# SPDX-License-Identifier: Apache-2.0
"""Start bash from the guard without a fork of Python: a spawn costs a third of a fork and of the child's
first acts.

So the guard itself does what an attempt's process does first (``attempt_start``): it wins the marker and
finds log and directory. The proofs hold. A marker is created exclusively, whoever does it. From the spawn
on, bash shows the attempt id in its environment, so that it is found when the guard is killed. And who
declares an attempt lost has seen the guard's connections close: a process that is not bash yet keeps a
copy of them open until it is.

Only where nothing can take long: the first task of an execution, which copies the snapshot, is forked.
"""

from __future__ import annotations

import os
import signal
import sys

from ai_flow.runtime.attempt_files import AttemptFiles
from ai_flow.runtime.attempt_start import marker_of
from ai_flow.runtime.working_copy import DIRECTORY_MODE, is_owned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Spec = dict[str, Any]

#: Python ignores these, and a program that is executed inherits that.
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class MarkerLostError(Exception):
    """The attempt has started already, or was revoked."""


def can_start_here(spec: Spec) -> bool:
    """Tell whether everything that the task needs is in place."""
    if sys.platform != "linux":
        return False
    store_id = spec["store_id"]
    return (
        is_owned(spec["working_dir"], store_id)
        and is_owned(spec["log_root"], store_id)
        and os.path.isdir(_directory(spec))
    )


def start_bash(spec: Spec) -> int:
    """Start the task and return its pid; raises ``MarkerLostError``, or ``OSError`` when it cannot start."""
    win_marker(spec)
    environment = {**os.environ, **spec["env"]}
    os.makedirs(os.path.dirname(spec["log_path"]), DIRECTORY_MODE, exist_ok=True)
    os.chdir(_directory(spec))
    try:
        return os.posix_spawn(
            _find_bash(environment),
            ["bash", "-c", spec["bash_command"]],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, spec["log_path"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_IGNORED_BY_PYTHON,
        )
    finally:
        os.chdir("/")


def win_marker(spec: Spec) -> None:
    """Say that the attempt starts now, before its process exists."""
    if not AttemptFiles(spec["attempts_dir"], spec["attempt_id"]).create_marker(marker_of(spec, 0, 0)):
        raise MarkerLostError


def _directory(spec: Spec) -> str:
    return f"{spec['working_dir']}/{spec['stem']}"


def _find_bash(environment: Mapping[str, str]) -> str:
    for directory in os.get_exec_path(environment):
        path = os.path.join(directory, "bash")
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError
