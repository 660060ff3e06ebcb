# SPDX-License-Identifier: Apache-2.0
"""Bundles: immutable copies of a workflow file and the files that go with it, named by their content.

A bundle is the directory ``snapshots/<digest>/<file stem>/`` with the workflow file and everything beside
it. The digest covers names, contents and the executable bit, so equal uploads share one directory and
different ones never overwrite each other, whatever their files are called. A directory appears whole and
durable or not at all (rename), and only if what was copied has the digest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
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
    keeps its relative path. Links are followed. Raise ``BundleError`` when a file is missing or cannot be
    copied, when two would have the same place, or when one changes meanwhile.
    """
    workflow_file = _absolute(workflow_file)
    stem = workflow_file.stem
    files = sorted(_collect(workflow_file, map(_absolute, beside)), key=lambda file: file.target)
    _check_places(files, workflow_file.name)
    files = list({file.target: file for file in files}.values())
    digest = _digest(stem, files)
    target = home.snapshots / digest
    if not target.exists():
        _copy(files, stem, target)
    return digest, f"{stem}/{workflow_file.name}"


def _absolute(path: Path) -> Path:
    """Return ``path`` without ``..``, which would lead out of the bundle; links keep their names."""
    return Path(os.path.abspath(path))


def _check_places(files: Iterable[BundledFile], beside: str) -> None:
    """Raise ``BundleError`` when two files would lie in one place, or one where another needs a directory."""
    sources: dict[str, Path] = {}
    for file in files:
        other = sources.setdefault(file.target, file.source)
        if other != file.source:
            raise _same_place(file.target, beside, other, file.source)
    for target, source in sources.items():
        for parent in Path(target).parents:
            if str(parent) in sources:
                raise _same_place(str(parent), beside, sources[str(parent)], source)


def _same_place(target: str, beside: str, one: Path, other: Path) -> BundleError:
    return BundleError(
        f"Two files would be '{target}' beside {beside}: {one} and {other}. Rename one of them."
    )


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
            yield from _collect_directory(path, name, frozenset())
        else:
            yield BundledFile(path, name)


def _collect_directory(directory: Path, name: str, above: frozenset[Path]) -> Iterator[BundledFile]:
    """Yield the files below a directory; one that leads back to where it came from is entered once."""
    real = directory.resolve()
    if real in above:
        return
    try:
        entries = sorted(os.listdir(directory))
    except OSError as error:
        raise BundleError(f"The directory {directory} cannot be read: {error.strerror}.") from error
    ignored = _IGNORED(str(directory), entries)
    for entry in entries:
        path, target = directory / entry, str(Path(name) / entry)
        if entry in ignored:
            continue
        if path.is_dir():
            yield from _collect_directory(path, target, above | {real})
        else:
            yield BundledFile(path, target)


def _digest(stem: str, files: Iterable[BundledFile]) -> str:
    whole = hashlib.sha256(stem.encode())
    for file in files:
        content = _content_digest(file.source)
        mode = b"x" if os.access(file.source, os.X_OK) else b"-"
        whole.update(b"\0" + os.fsencode(file.target) + b"\0" + mode + content)
    return whole.hexdigest()


def _content_digest(path: Path) -> bytes:
    content = hashlib.sha256()
    try:
        if path.exists() and not path.is_file():
            raise BundleError(f"{path} is neither a file nor a directory: it cannot be put into a bundle.")
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                content.update(chunk)
    except OSError as error:
        raise BundleError(f"The file {path} cannot be read: {error.strerror}.") from error
    return content.digest()


def _copy(files: Sequence[BundledFile], stem: str, target: Path) -> None:
    target.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=target.parent) as temporary:
        made = Path(temporary) / "bundle"
        copies = [BundledFile(made / stem / file.target, file.target) for file in files]
        for file, copy in zip(files, copies, strict=True):
            copy.source.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            _copy_file(file.source, copy.source)
            copy.source.chmod(0o500 if os.access(file.source, os.X_OK) else 0o400)
        if _digest(stem, copies) != target.name:
            raise BundleError("A file of the workflow was changed while it was copied: try again.")
        try:
            made.rename(target)
        except OSError:
            # Somebody else made the same bundle meanwhile; a rename onto a filled directory fails.
            if not target.exists():
                raise
    _make_durable(target.parent)


def _copy_file(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    _make_durable(target)


def _make_durable(path: Path) -> None:
    """Have a file, or the names in a directory, on disk: an upload is not acknowledged before that."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
