# SPDX-License-Identifier: Apache-2.0
"""The run directory of a supervisor: attempt files, sockets and logs of its fork servers, for one store.

    <runner dir>/<store id>/attempts/     the attempt files
    <runner dir>/<store id>/<server>.log  what a fork server had to complain about
    <socket dir>/<server>.sock            below the run directory, unless that path is too long for a socket

The store id is part of the path. So when the store was deleted or reset, attempts of the earlier one stay
where they are, seen and counted but never mistaken for ours.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from ai_flow.executor.attempt import ForeignDirectory
from ai_flow.runtime.attempt_files import AttemptFiles, attempts_in
from ai_flow.runtime.process_table import running_attempts

DIRECTORY_MODE = 0o700
#: ``sun_path`` holds 108 bytes on Linux and 104 on macOS, with the zero at its end.
_SOCKET_PATH_LIMIT = 103
_LONGEST_NAME = 16
_STORE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class RunDirectory:
    """The files of one supervisor for one store."""

    def __init__(self, runner_dir: Path, store_id: str) -> None:
        if not _STORE_ID.fullmatch(store_id):
            raise ValueError(f"{store_id!r} cannot be a store id: it must be 1 to 64 letters, digits, - or _")
        self._runner_dir = Path(os.path.abspath(runner_dir))
        self.store_id = store_id
        self.root = self._runner_dir / store_id
        self.attempts = self.root / "attempts"
        self.attempts.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        self._sockets = self._socket_directory()

    def files(self, attempt_id: str) -> AttemptFiles:
        """Return the files of an attempt."""
        return AttemptFiles(str(self.attempts), attempt_id)

    def attempt_ids(self) -> list[str]:
        """Return the attempts that left any file."""
        return attempts_in(str(self.attempts))

    def socket_of(self, server: str) -> Path:
        """Return where a fork server listens."""
        return self._sockets / f"{server}.sock"

    def log_of(self, server: str) -> Path:
        """Return where a fork server complains."""
        return self.root / f"{server}.log"

    def servers(self) -> list[str]:
        """Return the names of the fork servers that listen, or listened, here."""
        return sorted(
            path.stem for kind in ("guard", "fork") for path in self._sockets.glob(f"{kind}-*.sock")
        )

    def foreign(self) -> tuple[ForeignDirectory, ...]:
        """Return the directories of other stores that hold attempts."""
        found: list[ForeignDirectory] = []
        alive: set[str] | None = None
        for path in sorted(self._runner_dir.glob("*/attempts")):
            ids = attempts_in(str(path))
            if path != self.attempts and ids:
                alive = running_attempts() if alive is None else alive
                running = sum(attempt_id in alive for attempt_id in ids)
                store_id = path.parent.name
                found.append(
                    ForeignDirectory(path=path.parent, store_id=store_id, attempts=len(ids), running=running)
                )
        return tuple(found)

    def remove(self) -> None:
        """Remove everything but attempts that nobody has acknowledged."""
        for directory in (self._sockets, self.root):
            for path in directory.iterdir():
                if path.is_file() or path.is_socket():
                    path.unlink(missing_ok=True)
        for directory in (self._sockets, self.attempts, self.root):
            try:
                directory.rmdir()
            except OSError:
                pass  # not empty: somebody will want to know what is in there

    def _socket_directory(self) -> Path:
        """Return a directory with a short enough path, the same for each supervisor of this store."""
        if _fits(self.root):
            return self.root
        name = f"aiflow-{os.getuid()}-{hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]}"
        candidates = [Path(tempfile.gettempdir()) / name, Path("/tmp") / name]
        directory = next((candidate for candidate in candidates if _fits(candidate)), candidates[-1])
        directory.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        _insist_on_private(directory)
        return directory


def _fits(directory: Path) -> bool:
    return len(os.fsencode(directory)) + 1 + _LONGEST_NAME + len(".sock") <= _SOCKET_PATH_LIMIT


def _insist_on_private(directory: Path) -> None:
    """Refuse a directory under the shared temp dir that somebody else made first."""
    found = directory.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or directory.is_symlink():
        raise PermissionError(f"{directory} must be a directory that only you can enter; remove it")
