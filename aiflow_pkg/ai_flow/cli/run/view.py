# SPDX-License-Identifier: Apache-2.0
"""What shows a run: the port that both displays keep, and the stream that they write to.

A reader can go away in the middle of a run (``| head``, a closed terminal). The run goes on: its work is
worth more than its display, and its outcome is in the exit code and in the home.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TextIO

from ai_flow.cli.run.history import RunHistory, TaskHistory


class View(Protocol):
    """Shows a run. Called on one thread; nothing it does may raise or take long."""

    def changed(self, task: TaskHistory, at_ms: int) -> None:
        """Show the latest change of a task."""
        ...

    def output(self, task: TaskHistory, lines: Sequence[str]) -> None:
        """Show lines that a task has written."""
        ...

    def note(self, line: str) -> None:
        """Show something about the run as a whole."""
        ...

    def refresh(self, history: RunHistory) -> None:
        """Bring what is shown up to date; called several times a second."""
        ...

    def close(self, history: RunHistory) -> None:
        """Show how it ended and give the terminal back."""
        ...


class LastingStream:
    """A text stream that swallows what nobody can read any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_lost = False
        # A stream may be ASCII only; a letter that it lacks must not end a run.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")

    @property
    def encoding(self) -> str:
        """The encoding of the stream."""
        return self._stream.encoding or "utf-8"

    def write(self, text: str) -> int:
        """Write, unless the reader has gone."""
        if not self._is_lost:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                self._lose()
        return len(text)

    def flush(self) -> None:
        """Flush, unless the reader has gone."""
        if not self._is_lost:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._lose()

    def isatty(self) -> bool:
        """Tell whether a terminal is at the other end."""
        return not self._is_lost and self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor: the width of a terminal is asked of it."""
        return self._stream.fileno()

    def _lose(self) -> None:
        self._is_lost = True
        try:
            # What is still buffered would be written at exit, and fail then with a message.
            import os

            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())
        except (OSError, ValueError):
            pass
