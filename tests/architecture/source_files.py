# SPDX-License-Identifier: Apache-2.0
"""The files that the rules of this folder are about.

Found by looking into the checkout, not by asking git: so a file is checked before it is committed, and
the tests also run from an unpacked source distribution.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

#: Source root -> the one package that it holds.
PACKAGES = {"aiflow_pkg": "ai_flow", "notification": "notification_service", "ha": "ai_flow_ha"}

_FOLDERS = (*PACKAGES, "tests", "examples", "benchmarks", "build")
_GENERATED = ("_pb2.py", "_pb2_grpc.py")


def python_files() -> list[Path]:
    """Return every Python file that people write and read."""
    files = [CHECKOUT / "aiflow.py"]
    for folder in _FOLDERS:
        files.extend(path for path in (CHECKOUT / folder).rglob("*.py") if not path.name.endswith(_GENERATED))
    return sorted(files)


def package_files() -> Iterator[tuple[str, Path]]:
    """Yield (path inside the wheel, path in the checkout) of everything that the packages hold."""
    for root, package in PACKAGES.items():
        for path in sorted((CHECKOUT / root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(CHECKOUT / root).as_posix(), path


def shown(path: Path) -> str:
    """Return ``path`` as one would type it in the checkout."""
    return path.relative_to(CHECKOUT).as_posix()
