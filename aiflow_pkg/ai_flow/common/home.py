# SPDX-License-Identifier: Apache-2.0
"""Where everything of one home lies (manual, sections 1.2.1 and 3.1.3).

A home is the directory ``$AIFLOW_HOME``: the store, the logs, the working directories of the tasks, the
snapshots of uploaded files and the files of the running processes. This module names the paths and
makes the directories, readable by their owner only; it opens nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

#: Only the owner may enter: logs, parameters and event values can hold secrets.
DIRECTORY_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Home:
    """The paths below one ``$AIFLOW_HOME``."""

    root: Path

    @property
    def database(self) -> Path:
        """The file that holds the log and all metadata."""
        return self.root / "aiflow.db"

    @property
    def logs(self) -> Path:
        """``<workflow>/<execution id>/<task>/<sequence number>.log`` lie below it."""
        return self.root / "logs"

    @property
    def working_dir(self) -> Path:
        """``<workflow>/<execution id>/<file stem>/`` lie below it."""
        return self.root / "working_dir"

    @property
    def snapshots(self) -> Path:
        """``<bundle digest>/<file stem>/...``: immutable copies of uploaded files."""
        return self.root / "snapshots"

    @property
    def run(self) -> Path:
        """One directory per supervising process, holding sockets and attempt files."""
        return self.root / "run"

    def log_of(
        self, workflow: str, execution_id: int, task: str, sequence_number: int, try_number: int
    ) -> Path:
        """Return the log of one attempt; the first try has the name that the manual gives."""
        suffix = "" if try_number == 1 else f".{try_number}"
        return self.logs / workflow / str(execution_id) / task / f"{sequence_number}{suffix}.log"

    def make(self) -> None:
        """Create the home and its directories where they are missing."""
        for directory in (self.root, self.logs, self.working_dir, self.snapshots, self.run):
            directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


def aiflow_home() -> Home:
    """Return the home named by ``$AIFLOW_HOME``, or ``~/aiflow``."""
    path = os.path.expandvars(os.path.expanduser(os.environ.get("AIFLOW_HOME") or "~/aiflow"))
    return Home(Path(os.path.abspath(path)))
