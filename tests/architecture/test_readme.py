# SPDX-License-Identifier: Apache-2.0
"""What the README tells people to do works, and what it points at is there.

Its commands are compared with those that ``.ci/run`` executes, its options and extras with the code, and
its workflow is run.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_files import CHECKOUT

README = (CHECKOUT / "README.md").read_text()


def test_every_link_leads_to_a_file() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)", README) if "://" not in target]

    assert targets
    assert not [target for target in targets if not (CHECKOUT / target).exists()]


def test_opens_with_one_command_to_run_and_one_to_test() -> None:
    run, test = (_steps(block) for block in _blocks("bash")[:2])

    assert run[:2] == test[:2] == [["python3", "-m", "venv", ".venv"], [".", ".venv/bin/activate"]]
    assert run[2:] == [
        ["python", "-m", "pip", "install", "-e", "."],
        ["aiflow", "run", "examples/quickstart_workflow.py"],
    ]
    assert (CHECKOUT / "examples/quickstart_workflow.py").is_file()


def test_ci_runs_the_very_commands_of_the_readme() -> None:
    test = _steps(_blocks("bash")[1])

    assert test[2:] == [_ci_command("install_command"), _ci_command("test_command")]


def test_names_only_commands_that_are_there() -> None:
    scripts = set(re.findall(r"`(?:bash|python) (?!-)([^`\s]+)", README))

    assert scripts == {".ci/run", "aiflow.py"}
    assert not [script for script in scripts if not (CHECKOUT / script).is_file()]


def test_lists_every_extra() -> None:
    table = README.partition("| extra | for |")[2].partition("\n\n")[0]
    project = (CHECKOUT / "pyproject.toml").read_text()
    extras = project.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]

    assert set(re.findall(r"`(\w+)`", table)) == set(re.findall(r"^(\w+) = \[", extras, re.MULTILINE))


@pytest.mark.slow
def test_the_workflow_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = _blocks("python")
    workflow_file = tmp_path / "readme_workflow.py"
    workflow_file.write_text(source)
    monkeypatch.setenv("AIFLOW_HOME", str(tmp_path / "home"))

    result = subprocess.run(
        [sys.executable, str(CHECKOUT / "aiflow.py"), "run", str(workflow_file)],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    logs = {path.parent.name: path.read_text() for path in (tmp_path / "home/logs").rglob("*.log")}
    assert "training" in logs["train"]
    assert "done" in logs["report"]


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def _steps(command: str) -> list[list[str]]:
    return [shlex.split(step) for step in command.split("&&")]


def _ci_command(name: str) -> list[str]:
    (command,) = re.findall(rf'^{name}="(.*)"$', (CHECKOUT / ".ci/run").read_text(), re.MULTILINE)
    return shlex.split(command)
