# SPDX-License-Identifier: Apache-2.0
"""The files by which an attempt says that it started and how it ended; what survives every process.

``<id>.marker`` is created exclusively: by the attempt's own process as its first act, or, with the
content ``revoked``, by whoever declares that the attempt never started. Whoever is first decides.
``<id>.outcome`` is the word of the task's own process, ``<id>.exit`` that of its parent (wait status and
usage). Each appears at once and whole: written under another name, then renamed or linked, with its
length and a checksum in front.

No fsync: after a crash of the machine nothing of that boot runs any more, which the boot id in the marker
tells. Read by both sides; imports nothing beyond what a guard may pay for.
"""

from __future__ import annotations

import binascii
import errno
import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Record = dict[str, Any]

#: Everything below the run directory belongs to one user.
FILE_MODE = 0o600
_KINDS = ("exit", "outcome", "spec", "marker")
#: What a file system without hard links answers.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})


def write_record(path: str, record: Record) -> None:
    """Make ``path`` hold ``record``, at once and whole."""
    temporary = f"{path}.{os.getpid()}.new"
    _write_new(temporary, _encode(record))
    os.rename(temporary, path)


def read_record(path: str) -> Record | None:
    """Return the record in ``path``; None when there is none, or when it is damaged."""
    try:
        with open(path, "rb", buffering=0) as file:
            return _decode(file.read())
    except FileNotFoundError:
        return None


class AttemptFiles:
    """The files of one attempt in the directory ``directory``."""

    __slots__ = ("_stem",)

    def __init__(self, directory: str, attempt_id: str) -> None:
        self._stem = f"{directory}/{attempt_id}"

    @property
    def spec(self) -> str:
        """Where a freshly started interpreter finds what it is to run."""
        return self._stem + ".spec"

    def create_marker(self, content: Record) -> bool:
        """Say that the attempt starts now; False when it has started already, or was revoked."""
        temporary = f"{self._stem}.{os.getpid()}.new"
        data = _encode(content)
        _write_new(temporary, data)
        try:
            os.link(temporary, self._stem + ".marker")
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return self._create_exclusively(data)
        finally:
            os.unlink(temporary)
        return True

    def revoke(self) -> bool:
        """Make sure that the attempt never starts; False when it has started."""
        # Looking first: on a full disk nothing can be created, not even to find that it exists.
        if self.read_marker() is None and self.create_marker({"revoked": True}):
            return True
        marker = self.read_marker()
        return marker is not None and "revoked" in marker

    def read_marker(self) -> Record | None:
        """Return pid, create time and so on of the process that started; empty when that cannot be read."""
        record = read_record(self._stem + ".marker")
        if record is None and os.path.exists(self._stem + ".marker"):
            return {}
        return record

    def write_outcome(self, outcome: str, reason: str | None) -> None:
        """Record what the task's own process has to say about its end."""
        write_record(self._stem + ".outcome", {"outcome": outcome, "reason": reason})

    def read_outcome(self) -> Record | None:
        """Return what the task's own process said, None when it said nothing."""
        return read_record(self._stem + ".outcome")

    def write_exit(self, record: Record) -> None:
        """Record how the process ended, as its parent saw it."""
        write_record(self._stem + ".exit", record)

    def read_exit(self) -> Record | None:
        """Return how the process ended, None when no parent saw it end."""
        return read_record(self._stem + ".exit")

    def remove(self, *, keep_marker: bool = False) -> None:
        """Remove the files, the marker last; harmless when they are gone."""
        for kind in _KINDS:
            if keep_marker and kind == "marker":
                continue
            try:
                os.unlink(f"{self._stem}.{kind}")
            except FileNotFoundError:
                pass

    def _create_exclusively(self, data: bytes) -> bool:
        try:
            _write_new(self._stem + ".marker", data)
        except FileExistsError:
            return False
        return True


def attempts_in(directory: str) -> list[str]:
    """Return the ids of the attempts that have any file in ``directory``."""
    ids = {name[:32] for name in os.listdir(directory) if len(name) > 33 and name[32] == "."}
    return sorted(ids)


def _write_new(path: str, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
    except OSError:
        os.unlink(path)  # a part of a record would be in the way of the whole one
        raise
    finally:
        os.close(file)


def _encode(record: Record) -> bytes:
    body = json.dumps(record).encode()
    return b"%d %08x\n%s" % (len(body), binascii.crc32(body), body)


def _decode(data: bytes) -> Record | None:
    head, _, body = data.partition(b"\n")
    if head != b"%d %08x" % (len(body), binascii.crc32(body)):
        return None
    return json.loads(body)
