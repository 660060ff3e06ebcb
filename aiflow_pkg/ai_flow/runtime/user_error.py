# SPDX-License-Identifier: Apache-2.0
"""One sentence about an exception of the user's code, with the place where it happened.

The sentence is what people see in ``explain`` and in lists; the whole traceback goes to the log of the
process. The place named is the innermost line of the user's own files: a ``KeyError`` deep inside pandas is
useless without it.
"""

from __future__ import annotations

import os
import traceback
from pathlib import Path

#: A sentence is for reading; some exceptions carry a whole data frame in their text.
_MAX_MESSAGE = 2000

_SDK = str(Path(__file__).resolve().parents[1]) + os.sep


def describe_error(error: BaseException, user_dir: Path) -> str:
    """Return ``ValueError: what (file.py:12, in is_met)``, preferring lines of files below ``user_dir``."""
    sentence = f"{type(error).__name__}: {_text(error)}" if _text(error) else type(error).__name__
    place = _syntax_place(error, user_dir) if isinstance(error, SyntaxError) else _place(error, user_dir)
    return f"{sentence} ({place})" if place else sentence


def _text(error: BaseException) -> str:
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception as broken:
        return f"its message could not be made: {type(broken).__name__}"
    return text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + "..."


def _place(error: BaseException, user_dir: Path) -> str | None:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen")
    ]
    below = str(user_dir) + os.sep
    own = [frame for frame in frames if frame.filename.startswith(below)]
    # A trigger's class was pickled elsewhere: the first line that is not ours is where the user's code began.
    foreign = [frame for frame in frames if not frame.filename.startswith(_SDK)]
    frame = own[-1] if own else foreign[0] if foreign else None
    if frame is None:
        return None
    return f"{_shown(frame.filename, user_dir)}:{frame.lineno}, in {frame.name}"


def _syntax_place(error: SyntaxError, user_dir: Path) -> str | None:
    if not error.filename:
        return None
    line = (error.text or "").strip()
    return f"{_shown(error.filename, user_dir)}:{error.lineno}" + (f": {line}" if line else "")


def _shown(filename: str, user_dir: Path) -> str:
    below = str(user_dir) + os.sep
    return filename[len(below) :] if filename.startswith(below) else filename
