# SPDX-License-Identifier: Apache-2.0
"""Homes on a small file system that only the run sees and that goes with it (on Linux, as root)."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace

import pytest

from tests.examples.program import HomeOfTest


def is_able(*command: str) -> bool:
    """Tell whether root's ``command`` succeeds here."""
    return (
        os.getuid() == 0 and shutil.which(command[0]) is not None and not subprocess.run(command).returncode
    )


needs_mounts = pytest.mark.skipif(
    not is_able("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"),
    reason="a small file system can be mounted by root only",
)


def on_tmpfs(home: HomeOfTest, options: str) -> HomeOfTest:
    """Return the home for runs with a file system of their own at its place."""
    home.root.mkdir()
    script = f'mount -t tmpfs -o {options} none "$0" && exec "$@"'
    return replace(home, command=("unshare", "--mount", "sh", "-c", script, str(home.root), *home.command))
