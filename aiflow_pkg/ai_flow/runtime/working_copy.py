# SPDX-License-Identifier: Apache-2.0
"""The working directory of an execution: a private copy of its snapshot, made by whichever task starts first.

Tasks write beside their workflow file, so an immutable snapshot is copied, once per execution, under a
lock on the directory above and under another name that is then renamed: a copy that can be seen is whole.
Working and log directories carry the id of the store they belong to. When a store was deleted or reset
its execution ids begin anew: a directory that an execution of an earlier store left under the same name
is set aside, never mixed with and never removed.
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY_MODE = 0o700
_STORE_FILE = ".aiflow-store"
_CHUNK = 1 << 20


def make_working_copy(bundle_dir: str, stem: str, working_dir: str, store_id: str) -> str:
    """Make sure that ``working_dir`` holds the copy of the snapshot; return the directory for its tasks."""
    target = f"{working_dir}/{stem}"
    own_directory(working_dir, store_id)
    if os.path.isdir(target):
        return target
    with _Locked(working_dir):
        if not os.path.isdir(target):
            unfinished = f"{working_dir}/.{stem}.copying"
            _remove_tree(unfinished)
            _copy_tree(f"{bundle_dir}/{stem}", unfinished)
            os.rename(unfinished, target)
    return target


def is_owned(path: str, store_id: str) -> bool:
    """Tell whether the directory exists and belongs to this store."""
    return _owner(path) == store_id


def own_directory(path: str, store_id: str) -> None:
    """Make sure that the directory exists and belongs to this store; one of another store is set aside."""
    if is_owned(path, store_id):
        return
    parent = os.path.dirname(path)
    os.makedirs(parent, DIRECTORY_MODE, exist_ok=True)
    with _Locked(parent):
        owner = _owner(path)
        if owner == store_id:
            return
        if os.path.isdir(path):
            os.rename(path, _name_aside(path, owner))
        unfinished = f"{path}.{os.getpid()}.new"
        os.mkdir(unfinished, DIRECTORY_MODE)
        with open(f"{unfinished}/{_STORE_FILE}", "w", encoding="ascii") as file:
            file.write(store_id)
        os.rename(unfinished, path)


def _owner(path: str) -> str | None:
    try:
        with open(f"{path}/{_STORE_FILE}", "rb", buffering=0) as file:
            return file.read().decode("ascii", "replace")
    except OSError:
        return None


def _name_aside(path: str, owner: str | None) -> str:
    base = f"{path}.of-{(owner or 'unknown')[:8]}"
    number, name = 1, base
    while os.path.lexists(name):
        number += 1
        name = f"{base}.{number}"
    return name


class _Locked:
    """Hold the lock on a directory; the kernel releases it with the process."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def __enter__(self) -> None:
        self._file = os.open(self._directory, os.O_RDONLY)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def _copy_tree(source: str, target: str) -> None:
    """Copy files and directories so that their owner may write; links are followed, the rest is left out."""
    os.mkdir(target, DIRECTORY_MODE)
    for entry in _entries(source):
        if entry.is_dir():
            _copy_tree(entry.path, f"{target}/{entry.name}")
        elif entry.is_file():
            _copy_file(entry.path, f"{target}/{entry.name}")


def _entries(directory: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(directory) as found:
        yield from found


def _copy_file(source: str, target: str) -> None:
    with open(source, "rb", buffering=0) as reader:
        mode = os.fstat(reader.fileno()).st_mode & 0o777 | 0o600
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            while chunk := reader.read(_CHUNK):
                view = memoryview(chunk)
                while view:
                    view = view[os.write(writer, view) :]
        finally:
            os.close(writer)


def _remove_tree(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        for entry in list(_entries(path)):
            _remove_tree(entry.path)
        os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)
