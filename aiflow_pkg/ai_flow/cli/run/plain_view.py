# SPDX-License-Identifier: Apache-2.0
"""A run as plain lines, for files, pipes and CI: one per change, and what tasks write behind their names."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ai_flow.cli.run import wording
from ai_flow.cli.run.history import RunHistory, TaskHistory
from ai_flow.cli.run.view import LastingStream
from ai_flow.cli.text import clock_time


class PlainView:
    """Writes lines."""

    def __init__(self, stream: LastingStream) -> None:
        self._stream = stream

    def changed(self, task: TaskHistory, at_ms: int) -> None:
        """Write a line with the time."""
        self._stream.write(f"{clock_time(at_ms)} {wording.of_change(task)}\n")

    def output(self, task: TaskHistory, lines: Sequence[str]) -> None:
        """Write the lines, each behind the name of the task."""
        between = f"\n{task.label} | "
        self._stream.write(between[1:] + between.join(lines) + "\n")

    def note(self, line: str) -> None:
        """Write a line with the time."""
        self._stream.write(f"{clock_time(time.time_ns() // 1_000_000)} {line}\n")

    def refresh(self, history: RunHistory) -> None:
        """Let readers have what was written."""
        self._stream.flush()

    def close(self, history: RunHistory) -> None:
        """Write how each execution ended."""
        for execution in history.executions:
            for line in wording.summary(execution):
                self._stream.write(f"{line}\n")
        self._stream.flush()
