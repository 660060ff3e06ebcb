# SPDX-License-Identifier: Apache-2.0
"""Bad workflow files and bad homes get a sentence that says what to mend, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import Ended, Program

pytestmark = pytest.mark.slow

_OK = """
with Workflow(name="w") as workflow:
    BashOperator(name="a", bash_command="true")
"""


def _assert_refused(result: Ended, *said: str) -> None:
    assert result.code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.stderr
    for text in said:
        assert text in result.stderr


def test_a_syntax_error_shows_file_line_and_the_line(program: Program) -> None:
    file = program.write('x = 1\nwith Workflow(name="w") as w\n    pass\n', imports=False)

    result = program.run("run", file)

    _assert_refused(result, "SyntaxError", f"{file}, line 2", 'with Workflow(name="w") as w')


def test_an_exception_in_the_file_shows_its_line(program: Program) -> None:
    file = program.write("import no_such_module_anywhere\n", imports=False)

    result = program.run("run", file)

    _assert_refused(result, "no_such_module_anywhere", "line 1")


def test_a_mistake_in_the_definition_shows_its_line(program: Program) -> None:
    file = program.write("""
        with Workflow(name="w") as workflow:
            BashOperator(name="a", bash_command="true")
            BashOperator(name="a", bash_command="true")
    """)

    result = program.run("run", file)

    _assert_refused(result, "Workflow 'w' already has a task 'a'", "line 8")


def test_a_file_without_a_workflow_is_refused(program: Program) -> None:
    result = program.run("run", program.write("x = 1\n", imports=False))

    _assert_refused(result, "flow.py defines no workflow")


def test_two_workflows_of_one_name_are_refused(program: Program) -> None:
    file = program.write("""
        with Workflow(name="same") as first:
            BashOperator(name="a", bash_command="true")
        with Workflow(name="same") as second:
            BashOperator(name="b", bash_command="true")
    """)

    result = program.run("run", file)

    _assert_refused(result, "'same'")


def test_a_file_that_exits_is_refused(program: Program) -> None:
    result = program.run("run", program.write("import os; os._exit(5)\n", imports=False))

    _assert_refused(result, "5")


def test_a_damaged_store_is_refused_and_left_alone(program: Program) -> None:
    program.home.mkdir()
    database = program.home / "aiflow.db"
    database.write_text("this is not a database, although it is long enough to be taken for one\n" * 20)
    before = database.read_bytes()

    result = program.run("run", program.write(_OK))

    _assert_refused(result, f"The store {database} is damaged or not a database", "Hint: ")
    assert database.read_bytes() == before


@pytest.mark.parametrize("home", ["/dev/null/home", "/proc/home"])
def test_a_home_that_cannot_be_made_is_refused(tmp_path: Path, home: str) -> None:
    program = Program(tmp_path, {"AIFLOW_HOME": home})

    result = program.run("run", program.write(_OK))

    _assert_refused(result, f"Cannot use the home {home}", "Hint: Set AIFLOW_HOME")
