# SPDX-License-Identifier: Apache-2.0
"""Keeps files in a directory of this machine, or of a file system that all machines share.

A file is kept under ``<root_directory>/<SHA-256 of its content>/<its name>``: the same content is kept once,
and a file never takes the place of another one that has its name. A kept file appears complete or not at all,
and is never changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from ai_flow.blob_manager.blob_manager_interface import BlobManager
from ai_flow.common.exception.exceptions import AIFlowException

_CHUNK_BYTES = 1024 * 1024
#: Logs and inputs of tasks can hold secrets: for the owner only.
_DIRECTORY_MODE = 0o700


class LocalBlobManager(BlobManager):
    """Keeps files below ``root_directory``.

    >>> import tempfile
    >>> root, inbox = tempfile.mkdtemp(), tempfile.mkdtemp()
    >>> path = os.path.join(inbox, "model.bin")
    >>> with open(path, "wb") as file:
    ...     _ = file.write(b"weights")
    >>> manager = LocalBlobManager({"root_directory": root})
    >>> uri = manager.upload(path)
    >>> os.path.basename(manager.download(uri, local_dir=tempfile.mkdtemp()))
    'model.bin'
    """

    def upload(self, local_file_path: str) -> str:
        """Keep a copy of the file and return its path. The file itself stays where it is."""
        name = os.path.basename(local_file_path)
        os.makedirs(self.root_dir, mode=_DIRECTORY_MODE, exist_ok=True)
        with open(local_file_path, "rb") as source, _complete_or_nothing(self.root_dir) as (target, place_at):
            directory = os.path.join(self.root_dir, _copy(source, target))
            kept = os.path.join(directory, name)
            os.makedirs(directory, mode=_DIRECTORY_MODE, exist_ok=True)
            place_at(kept)
        _sync_directory(directory)
        return kept

    def download(self, remote_file_path: str, local_dir: str | None = None) -> str:
        """Copy a kept file into ``local_dir`` and return its path there.

        A file of that name in ``local_dir`` is replaced. Without ``local_dir`` nothing is copied, and the
        path is the one of the kept file, which must not be changed.
        """
        if not self._keeps(remote_file_path):
            raise AIFlowException(f"Cannot download {remote_file_path} from blob server")
        if local_dir is None:
            return remote_file_path
        os.makedirs(local_dir, exist_ok=True)
        path = os.path.join(local_dir, os.path.basename(remote_file_path))
        with open(remote_file_path, "rb") as source, _complete_or_nothing(local_dir) as (target, place_at):
            shutil.copyfileobj(source, target, _CHUNK_BYTES)
            place_at(path)
        return path

    def _keeps(self, path: str) -> bool:
        """Tell whether ``path`` is a file below the root, whatever links and dots it is written with."""
        root = os.path.realpath(self.root_dir)
        real = os.path.realpath(path)
        return os.path.commonpath([root, real]) == root and os.path.isfile(real)


class _Place:
    """Moves the finished temporary file to its final path."""

    def __init__(self, target: BinaryIO, temporary: str) -> None:
        self._target = target
        self._temporary = temporary

    def __call__(self, path: str) -> None:
        self._target.flush()
        os.fsync(self._target.fileno())
        os.replace(self._temporary, path)


@contextlib.contextmanager
def _complete_or_nothing(directory: str) -> Iterator[tuple[BinaryIO, _Place]]:
    """Give a temporary file in ``directory`` and what puts it in its place; leave nothing if that fails."""
    descriptor, temporary = tempfile.mkstemp(prefix=".partial-", dir=directory)
    with os.fdopen(descriptor, "wb") as target:
        try:
            yield target, _Place(target, temporary)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _copy(source: BinaryIO, target: BinaryIO) -> str:
    """Copy all of ``source`` and return the digest of its content."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
