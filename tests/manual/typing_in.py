# SPDX-License-Identifier: Apache-2.0
"""The workflow files of the manual, as its readers type them.

``texts`` holds them, each under the number of its section: the manual of AIFlow 0.4 without the breaks that
its pages put in. What it shows only in pieces (4.7.2) is put together. They are no Python files of this
repository, so nothing formats or corrects them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_TEXTS = Path(__file__).parent / "texts"


def type_in(section: str, file: Path, changes: Mapping[str, str] | None = None) -> Path:
    """Write the text of a section to ``file``; what a test changes in it must stand there exactly once."""
    text = (_TEXTS / f"{section}.txt").read_text()
    for old, new in (changes or {}).items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text)
    return file
