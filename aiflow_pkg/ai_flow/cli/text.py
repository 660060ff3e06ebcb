# SPDX-License-Identifier: Apache-2.0
"""Texts for people: durations, sizes, counts, and foreign text made safe for a terminal."""

from __future__ import annotations

import re
from datetime import datetime

#: Sequences that move the cursor, change colours, titles or modes, and how they end.
_ESCAPE_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_][^\n\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS and other strings
    r"|\x1b[ -/]*[0-~]"  # everything else that starts with ESC
)
#: C0 without tab and newline, DEL, and C1: among them 8-bit forms of the above.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: A line that was written over itself, as progress bars do: what stands there at last counts.
_OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\n\r])")


def printable(text: str) -> str:
    """Return ``text`` without anything that could wreck a terminal; newlines and tabs stay.

    >>> printable("\\x1b[31mred\\x1b[0m, 10 %\\r20 %\\r\\n")
    '20 %\\n'
    """
    if "\x1b" in text:
        text = _ESCAPE_SEQUENCES.sub("", text)
    if "\r" in text:
        text = _OVERWRITTEN.sub("", text)
    return _CONTROLS.sub("", text)


def one_line(text: str, width: int = 200) -> str:
    """Return the beginning of ``text`` as one safe line of at most ``width`` characters.

    >>> one_line("ValueError:\\n  no", 12)
    'ValueError:…'
    """
    line = " ".join(printable(text[: 4 * width]).split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"


def duration(seconds: float) -> str:
    """Return a duration with the precision that a person needs.

    >>> [duration(s) for s in (0.04, 3.21, 75, 3725, 200000)]
    ['0.04 s', '3.2 s', '1 min 15 s', '1 h 2 min', '2 d 7 h']
    """
    if seconds < 0.095:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest_s} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def size(count: int) -> str:
    """Return a number of bytes.

    >>> [size(n) for n in (512, 2_300, 199_400_000)]
    ['512 bytes', '2.3 kB', '199.4 MB']
    """
    if count < 1000:
        return f"{count} bytes"
    for unit, worth in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if count < 1000 * worth:
            return f"{count / worth:.1f} {unit}"
    return f"{count / 1e12:.1f} TB"


def clock_time(at_ms: int) -> str:
    """Return the local time of day of a moment."""
    return datetime.fromtimestamp(at_ms / 1000).strftime("%H:%M:%S")


def iso_time(at_ms: int | None) -> str | None:
    """Return a moment as local time with its offset, as ISO 8601 has it; None as it is."""
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000).astimezone().isoformat(timespec="milliseconds")
