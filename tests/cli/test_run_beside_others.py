# SPDX-License-Identifier: Apache-2.0
"""What other programs do in the same home reaches a run: stops by a person, executions started for nobody."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.program import Program, ended

pytestmark = pytest.mark.slow


def _ops(program: Program, code: str) -> str:
    """Call ``ai_flow.ops`` in a process of its own, as a user's script does."""
    result = subprocess.run(
        [sys.executable, "-c", f"from ai_flow import ops\n{code}"],
        env=program.variables(),
        cwd=program.directory,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_a_run_that_somebody_stops_exits_3(program: Program) -> None:
    file = program.write("""
        with Workflow(name="w") as workflow:
            BashOperator(name="stream", bash_command="echo streaming; while true; do sleep 0.05; done")
    """)
    with program.start("run", file) as process:
        assert process.stdout is not None
        assert any(b"streaming" in line for line in iter(process.stdout.readline, b""))
        _ops(program, "ops.stop_workflow_execution(1)")
        result = ended(process)

    assert result.code == 3
    assert any(line.startswith("w #1 STOPPED in ") for line in result.lines)


def test_until_idle_runs_and_shows_executions_that_nobody_runs(program: Program) -> None:
    other = program.write(
        """
        with Workflow(name="other") as workflow:
            BashOperator(name="task", bash_command="echo from the other")
        """,
        "other.py",
    )
    file = program.write("""
        with Workflow(name="own") as workflow:
            BashOperator(name="task", bash_command="echo from the own")
    """)
    started = _ops(
        program,
        f"ops.upload_workflows({str(other)!r})\nprint(ops.start_workflow_execution('other'))",
    )

    without = program.run("run", file)
    result = program.run("run", file, "--until-idle", "-o", "json")

    assert without.code == 0
    assert "from the other" not in without.stdout
    assert result.code == 0
    assert f"other#{started}.task | from the other" in result.stderr
    ends = {execution["workflow"]: execution["status"] for execution in result.document["executions"]}
    assert ends == {"own": "SUCCESS", "other": "SUCCESS"}


def test_until_idle_fails_when_such_an_execution_fails(program: Program) -> None:
    other = program.write(
        """
        with Workflow(name="other") as workflow:
            BashOperator(name="task", bash_command="exit 4")
        """,
        "other.py",
    )
    file = program.write("""
        with Workflow(name="own") as workflow:
            BashOperator(name="task", bash_command="true")
    """)
    _ops(program, f"ops.upload_workflows({str(other)!r})\nops.start_workflow_execution('other')")

    result = program.run("run", file, "--until-idle")

    assert result.code == 1
    assert "  task failed: exit code 4" in result.lines


def test_two_runs_of_one_home_both_come_to_their_end(program: Program) -> None:
    file = program.write("""
        with Workflow(name="w") as workflow:
            first = BashOperator(name="first", bash_command="sleep 0.3")
            second = BashOperator(name="second", bash_command="sleep 0.1")
            second.start_after(first)
    """)

    with program.start("run", file) as one, program.start("run", file) as other:
        results = [ended(one), ended(other)]

    assert [result.code for result in results] == [0, 0], results
    assert all(any(line.endswith(": 2 succeeded") for line in result.lines) for result in results)
