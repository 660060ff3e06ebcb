# SPDX-License-Identifier: Apache-2.0
"""What is left of another supervisor, perhaps a dead one: whether its tasks still run."""

from __future__ import annotations

from pathlib import Path

from ai_flow.runtime.attempt_files import AttemptFiles, attempts_in
from ai_flow.runtime.process_table import boot_id, is_running


def has_running_attempts(runner_dir: Path) -> bool:
    """Tell whether the process of any attempt of the supervisor with this directory still runs."""
    return any(
        _is_running(path, attempt_id)
        for path in runner_dir.glob("*/attempts")
        for attempt_id in attempts_in(str(path))
    )


def _is_running(attempts: Path, attempt_id: str) -> bool:
    marker = AttemptFiles(str(attempts), attempt_id).read_marker()
    if not marker or "pid" not in marker or marker["boot_id"] != boot_id():
        return False
    return is_running(marker["pid"], marker["created"])
