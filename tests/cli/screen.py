# SPDX-License-Identifier: Apache-2.0
"""A terminal for tests: what a person sees after a program has written to it.

Knows what the program uses and no more: an unknown sequence is an error, so that nothing slips through.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable
from typing import Any

_TOKEN = re.compile(r"\x1b\[(?P<arguments>[?0-9;]*)(?P<final>[A-Za-z])|(?P<text>[^\x1b])", re.DOTALL)


class Screen:
    """Rows of text and a cursor; what scrolls out at the top stays readable."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._rows = [""]
        self._row = self._column = 0
        self.cursor_is_hidden = False
        self.has_colours = False

    @property
    def lines(self) -> list[str]:
        """The rows without blanks at their ends."""
        return [row.rstrip() for row in self._rows]

    def feed(self, text: str) -> None:
        """Show what a program has written; a sequence may not be cut."""
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            assert match is not None, f"unknown sequence: {text[position : position + 20]!r}"
            position = match.end()
            if match["text"] is not None:
                self._put(match["text"])
            else:
                self._control(match["arguments"], match["final"])

    def _put(self, letter: str) -> None:
        if letter == "\r":
            self._column = 0
        elif letter == "\n":
            self._down()
        else:
            if self._column == self._columns:
                self._column = 0
                self._down()
            row = self._rows[self._row].ljust(self._column)
            self._rows[self._row] = row[: self._column] + letter + row[self._column + 1 :]
            self._column += 1

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._rows):
            self._rows.append("")

    def _control(self, arguments: str, final: str) -> None:
        if final == "m":
            self.has_colours = self.has_colours or bool(re.search(r"(^|;)(3|9)[0-7](;|$)", arguments))
        elif final == "A":
            self._row -= int(arguments or 1)
            assert self._row >= 0
        elif (arguments, final) == ("2", "K"):
            self._rows[self._row] = ""
        elif (arguments, final) in (("?25", "l"), ("?25", "h")):
            self.cursor_is_hidden = final == "l"
        else:
            raise AssertionError(f"unknown control: {arguments!r} {final!r}")


class Terminal:
    """A pseudo-terminal with a program in it, as the leader of its own session."""

    def __init__(self, columns: int = 100, rows: int = 24) -> None:
        self._columns = columns
        self._written = b""
        self._ours, self._theirs = pty.openpty()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def start(
        self, start: Callable[..., subprocess.Popen[bytes]], *arguments: Any
    ) -> subprocess.Popen[bytes]:
        """Start a program in it."""
        process = start(
            *arguments,
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(self._theirs)
        return process

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._ours, keys)

    def read_until(self, fact: Callable[[Screen], bool]) -> Screen:
        """Read until a fact holds of the screen."""
        while not fact(screen := self.screen()):
            assert self._read(), f"the program ended before: {screen.lines}"
        return screen

    def read_to_the_end(self) -> Screen:
        """Read until the program is gone."""
        while self._read():
            pass
        return self.screen()

    def screen(self) -> Screen:
        """Return what is to be seen now."""
        screen = Screen(self._columns)
        # A sequence that was cut by reading is shown when its rest is there.
        whole = re.sub(r"\x1b(\[[?0-9;]*)?$", "", self._written.decode("utf-8", errors="ignore"))
        screen.feed(whole)
        return screen

    def close(self) -> None:
        """Close it, as when its window is closed."""
        os.close(self._ours)

    def _read(self) -> bool:
        try:
            portion = os.read(self._ours, 65536)
        except OSError:
            return False  # nobody has the other end open any more
        self._written += portion
        return bool(portion)
