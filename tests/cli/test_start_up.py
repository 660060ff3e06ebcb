# SPDX-License-Identifier: Apache-2.0
"""What a command does not need, it does not import: the command line answers at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.program import CHECKOUT, Program

_HEAVY = ("apsw", "grpc", "google.protobuf", "rich", "watchdog", "psutil", "croniter", "cloudpickle", "yaml")

_SHOW_MODULES = """
import sys
sys.argv = ["aiflow.py", *sys.argv[1:]]
import runpy
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
print("IMPORTED", *sys.modules)
"""


def _imported(program: Program, *arguments: str) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", _SHOW_MODULES, *arguments],
        cwd=CHECKOUT,
        env=program.variables(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.rpartition("IMPORTED")[2].split())


@pytest.mark.parametrize("arguments", [["--version"], ["version"], ["--help"], ["version", "--help"]])
def test_nothing_heavy_is_imported(program: Program, arguments: list[str]) -> None:
    imported = _imported(program, *arguments)

    assert "click" in imported
    assert not imported.intersection(_HEAVY)
    assert not {name for name in imported if name.startswith(("ai_flow.server", "ai_flow.store"))}


@pytest.mark.slow
def test_a_run_without_a_terminal_imports_no_terminal(program: Program) -> None:
    file = program.write("""
        with Workflow(name="w") as workflow:
            BashOperator(name="a", bash_command="true")
    """)

    imported = _imported(program, "run", str(file))

    assert not imported.intersection({"rich", "grpc", "yaml", "croniter", "google.protobuf"})
