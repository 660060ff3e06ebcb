# SPDX-License-Identifier: Apache-2.0
"""Programs that stand in for ``flink``, ``yarn``, ``kubectl`` and the commands of Spark.

Each is a real script, run as a real child process. It notes its arguments, then does what the test gave it
as its body. While they are in use PATH holds nothing but them and a few tools for their bodies, so that no
real program of the same name can be called.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

_TOOLS = ("bash", "basename", "cat", "rm", "sleep", "touch")


class FakePrograms:
    """A folder of scripts, which is all of PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()
        self._calls = folder / "calls"
        self._calls.touch()
        for tool in _TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (self.folder / tool).symlink_to(found)
        monkeypatch.setenv("PATH", str(self.folder))
        monkeypatch.setenv("CALLS", str(self._calls))
        for home in ("FLINK_HOME", "SPARK_HOME"):
            monkeypatch.delenv(home, raising=False)

    def add(self, name: str, body: str = "exit 0", folder: Path | None = None) -> Path:
        """Make the program ``name``; in its body ``$1`` is its first argument."""
        script = (folder or self.folder) / name
        script.parent.mkdir(parents=True, exist_ok=True)
        bash = self.folder / "bash"
        script.write_text(f'#!{bash}\necho "{name} $*" >> "$CALLS"\n{body}\n')
        script.chmod(0o755)
        return script

    def calls(self) -> list[str]:
        """Return the calls so far: program and arguments, separated by spaces."""
        return self._calls.read_text().splitlines()
