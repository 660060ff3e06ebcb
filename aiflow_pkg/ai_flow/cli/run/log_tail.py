# SPDX-License-Identifier: Apache-2.0
"""Following the logs of running attempts by reading them: no threads, and no descriptor given to a task.

A log is bytes of the user's: it need not be UTF-8, can hold anything a terminal must not get, has lines
without end, and can grow faster than anybody reads. So each look does a bounded amount of work over all
logs, whole lines only are passed on (what is unfinished waits for its newline or for the end), and a log
that has run too far ahead is continued near its end, saying how much was left out. Within these
bounds everything that was written is passed on: ``end`` reads what is left.
"""

from __future__ import annotations

import codecs
import os
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ai_flow.cli.text import printable, size

#: A longer line is passed on in pieces: memory is bounded, and no terminal likes them.
LONGEST_LINE = 4096
#: Every log gets at least this much of a look.
_SMALLEST_READ = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is read; sizes in bytes."""

    #: In one look, over all logs.
    per_look: int = 512 << 10
    #: A log that is further ahead is continued ``kept`` before its end.
    ahead: int = 4 << 20
    kept: int = 1 << 20


class LogTail:
    """Reads one log from its beginning, which may be before it exists."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._file: int | None = None
        self._position = 0
        self._unfinished = ""
        self._starts_inside_a_line = False
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def read(self, limit: int) -> list[str]:
        """Return the lines that were completed since the last call, from about ``limit`` bytes."""
        if not self._open():
            return []
        notes = self._skip_what_is_too_much()
        assert self._file is not None
        chunk = os.pread(self._file, limit, self._position)
        self._position += len(chunk)
        return notes + self._lines(self._decoder.decode(chunk)) if chunk else notes

    def end(self) -> list[str]:
        """Return everything that is left, the unfinished line too, and close the log."""
        lines: list[str] = []
        while self._open() and self._behind() > 0:
            lines += self.read(self._limits.per_look)
        rest = self._unfinished + self._decoder.decode(b"", final=True)
        self._unfinished = ""
        if rest:
            lines += _pieces(printable(rest + "\n"))
        self.close()
        return lines

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> bool:
        if self._file is None:
            try:
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return False
        return True

    def _behind(self) -> int:
        assert self._file is not None
        return os.fstat(self._file).st_size - self._position

    def _skip_what_is_too_much(self) -> list[str]:
        behind = self._behind()
        if behind <= self._limits.ahead:
            return []
        left_out = behind - self._limits.kept
        self._position += left_out
        lines = _pieces(printable(self._unfinished + "\n")) if self._unfinished else []
        self._unfinished, self._starts_inside_a_line = "", True
        self._decoder.reset()
        return [*lines, f"… {size(left_out)} left out here: they are in {self._path}"]

    def _lines(self, text: str) -> list[str]:
        if self._starts_inside_a_line:
            _, newline, text = text.partition("\n")
            self._starts_inside_a_line = not newline
        whole, newline, self._unfinished = (self._unfinished + text).rpartition("\n")
        lines = _pieces(printable(whole + "\n")) if newline else []
        if len(self._unfinished) > LONGEST_LINE:
            # A progress bar overwrites itself without end; only what stands there is kept.
            overwritten = "\r" if self._unfinished.endswith("\r") else ""
            *full, last = _pieces(printable(self._unfinished) + "\n")
            self._unfinished = last + overwritten
            lines += full
        return lines


@dataclass(slots=True)
class _Followed:
    name: str
    tail: LogTail


class LogFollower:
    """Reads the logs of several attempts in turns."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._followed: dict[Hashable, _Followed] = {}
        self._order: deque[Hashable] = deque()

    def follow(self, key: Hashable, name: str, path: Path) -> None:
        """Follow a log from its beginning; nothing changes when ``key`` is followed already."""
        if key not in self._followed:
            self._followed[key] = _Followed(name, LogTail(path, self._limits))
            self._order.append(key)

    def look(self) -> Iterator[tuple[str, list[str]]]:
        """Yield (name, new lines) of the logs that have some."""
        share = max(_SMALLEST_READ, self._limits.per_look // max(1, len(self._order)))
        for key in list(self._order):
            followed = self._followed[key]
            lines = followed.tail.read(share)
            if lines:
                yield followed.name, lines
        # The next look begins with another log, so that none is always last.
        self._order.rotate(-1)

    def end(self, key: Hashable) -> list[str]:
        """Return what is left of a log and forget it."""
        followed = self._followed.pop(key, None)
        if followed is None:
            return []
        self._order.remove(key)
        return followed.tail.end()

    def end_all(self) -> Iterator[tuple[str, list[str]]]:
        """Yield (name, what is left) of all logs and forget them."""
        for key in list(self._order):
            name = self._followed[key].name
            lines = self.end(key)
            if lines:
                yield name, lines


def last_lines(path: Path, count: int, *, within: int = 16 << 10) -> list[str]:
    """Return the last lines of a log, looking at no more than its last ``within`` bytes."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - within))
            content = file.read(within)
    except OSError:
        return []
    if end > within:
        content = content.partition(b"\n")[2] or content
    text = printable(content.decode("utf-8", errors="replace") + "\n").rstrip()
    return _pieces(text + "\n")[-count:] if text else []


def _pieces(text: str) -> list[str]:
    """Split text that ends with a newline into lines that are not too long."""
    lines = text.split("\n")
    lines.pop()
    if len(text) <= LONGEST_LINE:
        return lines
    return [
        line[start : start + LONGEST_LINE]
        for line in lines
        for start in range(0, max(1, len(line)), LONGEST_LINE)
    ]
