# SPDX-License-Identifier: Apache-2.0
"""What must hold of a path before SQLite may open it.

The directory exists and is ours to write, the file is readable by its owner only, and both lie on a
local file system: SQLite's locks and shared memory are unreliable across machines, and a store on NFS
can be damaged without any error. Every refusal is one sentence.

Only a file that does not exist yet is opened here. Closing any descriptor of a database file drops all the
POSIX locks that this process holds on it, so a file that a connection may be using is never touched.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from notification_service.database.errors import DatabaseUnavailableError, NetworkFileSystemError

#: The mounts of this process as the kernel tells them; absent outside Linux.
MOUNT_INFO = Path("/proc/self/mountinfo")

#: Types of network file systems, FUSE ones with their ``fuse.`` prefix.
NETWORK_FILE_SYSTEMS = frozenset(
    [
        "afs",
        "autofs_nfs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fuse.beegfs",
        "fuse.ceph",
        "fuse.cephfs",
        "fuse.davfs2",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.goofys",
        "fuse.juicefs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "fuse.smbnetfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "smb2",
        "smb3",
        "smbfs",
    ]
)


def prepare_file(path: Path, mount_info: Path = MOUNT_INFO) -> None:
    """Create the file with its directory where it is missing, or say why it cannot be used."""
    refuse_network_file_system(path, mount_info)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if not path.parent.is_dir():
            raise DatabaseUnavailableError(path, f"{path.parent} is not a directory") from None
        _check_existing(path)
    except OSError as error:
        raise DatabaseUnavailableError(
            path, f"it cannot be created ({error.strerror})", hint=_hint_for(error)
        ) from error


def refuse_network_file_system(path: Path, mount_info: Path = MOUNT_INFO) -> None:
    """Raise when the path, or the nearest directory above it that exists, lies on a network file system."""
    found = _mount_of(path, mount_info)
    if found is not None and found[1] in NETWORK_FILE_SYSTEMS:
        raise NetworkFileSystemError(path, *found)


def _check_existing(path: Path) -> None:
    if path.is_dir():
        raise DatabaseUnavailableError(path, "it is a directory")
    for mode, what in ((os.R_OK, "readable"), (os.W_OK, "writable")):
        if not os.access(path, mode):
            raise DatabaseUnavailableError(path, f"it is not {what} for this user")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise DatabaseUnavailableError(path, f"the directory {path.parent} is not writable for this user")


def _hint_for(error: OSError) -> str | None:
    if isinstance(error, PermissionError):
        return "Set AIFLOW_HOME to a directory that you may write to."
    return None


def _mount_of(path: Path, mount_info: Path) -> tuple[str, str] | None:
    """Return the mount point and the type of the file system of a path."""
    try:
        lines = mount_info.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    place = os.path.realpath(path)
    best: tuple[str, str] | None = None
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 8 or "-" not in fields[6:-1]:
            continue
        mount_point, file_system = _unescape(fields[4]), fields[fields.index("-", 6) + 1]
        # The last line of the longest mount point wins: later mounts hide earlier ones.
        if _is_below(place, mount_point) and (best is None or len(mount_point) >= len(best[0])):
            best = mount_point, file_system
    return best


def _is_below(place: str, mount_point: str) -> bool:
    return place == mount_point or place.startswith(mount_point.rstrip("/") + "/")


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
