# SPDX-License-Identifier: Apache-2.0
"""Bundles: immutable copies of a workflow file and the files that go with it, named by their content.

A bundle is the directory ``snapshots/<digest>/<file stem>/`` with the workflow file and everything beside
it. The digest covers names, contents and the executable bit, so equal uploads share one directory and
different ones never overwrite each other, whatever their files are called. A directory appears whole or not
at all (rename).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.common.home import DIRECTORY_MODE, Home

#: Left out of bundles: made by tools, never part of a workflow.
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")
_CHUNK_BYTES = 1 << 20


class BundleError(AIFlowException):
    """The files of a workflow cannot be put together."""


@dataclass(frozen=True, slots=True)
class BundledFile:
    """One file: where it is now, and its path inside the bundle."""

    source: Path
    target: str


def make_bundle(home: Home, workflow_file: Path, beside: Iterable[Path]) -> tuple[str, str]:
    """Copy a workflow file and ``beside`` (files or directories) into the home; return (digest, entry).

    A file lies beside the workflow file under its own name; one that is below the workflow file's directory
    keeps its relative path. Raise ``BundleError`` when one is missing or two would have the same name.
    """
    stem = workflow_file.stem
    files = sorted(_collect(workflow_file, beside), key=lambda file: file.target)
    for one, other in itertools.pairwise(files):
        if one.target == other.target and one.source != other.source:
            raise BundleError(
                f"Two files would be '{one.target}' beside {workflow_file.name}: {one.source} and "
                f"{other.source}. Rename one of them."
            )
    files = list({file.target: file for file in files}.values())
    digest = _digest(stem, files)
    target = home.snapshots / digest
    if not target.exists():
        _copy(files, stem, target)
    return digest, f"{stem}/{workflow_file.name}"


def _collect(workflow_file: Path, beside: Iterable[Path]) -> Iterator[BundledFile]:
    root = workflow_file.parent
    yield BundledFile(workflow_file, workflow_file.name)
    for path in beside:
        if not path.exists():
            raise BundleError(
                f"The file {path} does not exist: it was to be put beside {workflow_file.name}."
            )
        name = str(path.relative_to(root)) if path.is_relative_to(root) and path != root else path.name
        if path.is_dir():
            yield from _collect_directory(path, name)
        else:
            yield BundledFile(path, name)


def _collect_directory(directory: Path, name: str) -> Iterator[BundledFile]:
    for parent, directories, filenames in os.walk(directory):
        ignored = _IGNORED(parent, [*directories, *filenames])
        directories[:] = sorted(set(directories) - ignored)
        for filename in sorted(set(filenames) - ignored):
            source = Path(parent) / filename
            yield BundledFile(source, str(Path(name) / source.relative_to(directory)))


def _digest(stem: str, files: Iterable[BundledFile]) -> str:
    whole = hashlib.sha256(stem.encode())
    for file in files:
        content = hashlib.sha256()
        with file.source.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                content.update(chunk)
        mode = b"x" if os.access(file.source, os.X_OK) else b"-"
        whole.update(b"\0" + os.fsencode(file.target) + b"\0" + mode + content.digest())
    return whole.hexdigest()


def _copy(files: Iterable[BundledFile], stem: str, target: Path) -> None:
    target.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=target.parent) as temporary:
        made = Path(temporary) / "bundle"
        for file in files:
            destination = made / stem / file.target
            destination.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            shutil.copyfile(file.source, destination)
            destination.chmod(0o500 if os.access(file.source, os.X_OK) else 0o400)
        try:
            made.rename(target)
        except OSError:
            # Somebody else made the same bundle meanwhile; a rename onto a filled directory fails.
            if not target.exists():
                raise
