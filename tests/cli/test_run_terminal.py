# SPDX-License-Identifier: Apache-2.0
"""`aiflow run` on a terminal: the table stays below the output, and the terminal is left as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.program import Program
from tests.cli.screen import Screen, Terminal

pytestmark = pytest.mark.slow

_FLOW = """
with Workflow(name="w") as workflow:
    first = BashOperator(name="first", bash_command="for i in 1 2 3; do echo part $i; sleep 0.2; done")
    second = BashOperator(name="second", bash_command="echo [red]no markup[/red]; sleep 0.4")
    third = BashOperator(name="third", bash_command="true")
    third.start_after([first, second])
"""

_STREAM = """
with Workflow(name="w") as workflow:
    BashOperator(name="stream", bash_command="echo streaming; while true; do sleep 0.05; done")
"""


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


@pytest.fixture
def program(program: Program) -> Program:
    program.environment["TERM"] = "xterm-256color"
    return program


def _table(screen: Screen) -> list[str]:
    start = next(n for n, line in enumerate(screen.lines) if line.startswith("w #1  "))
    return [" ".join(line.split()[:3]) for line in screen.lines[start:]]


def test_the_table_stays_below_the_output(program: Program, terminal: Terminal) -> None:
    with terminal.start(program.start, "run", program.write(_FLOW)) as process:
        during = terminal.read_until(lambda screen: "first | part 2" in screen.lines)
        screen = terminal.read_to_the_end()

    assert process.returncode == 0
    assert during.cursor_is_hidden
    assert _table(during)[:2] == ["w #1 RUNNING", "first RUNNING 1"]
    lines = screen.lines
    table = next(n for n, line in enumerate(lines) if line.startswith("w #1  "))
    assert sorted(lines[:table]) == [
        "first | part 1",
        "first | part 2",
        "first | part 3",
        "second | [red]no markup[/red]",
    ]
    assert _table(screen)[:4] == ["w #1 SUCCESS", "first SUCCESS 1", "second SUCCESS 1", "third SUCCESS 1"]
    assert lines[table + 4].startswith("w #1 SUCCESS in ")
    assert lines[table + 5] == f"  logs: {program.home}/logs/w/1"
    assert screen.has_colours
    assert not screen.cursor_is_hidden


def test_no_color_is_respected(program: Program, terminal: Terminal) -> None:
    program.environment["NO_COLOR"] = "1"

    with terminal.start(program.start, "run", program.write(_FLOW)):
        screen = terminal.read_to_the_end()

    assert "w #1 SUCCESS" in _table(screen)
    assert not screen.has_colours


def test_ctrl_c_stops_the_run_and_gives_the_terminal_back(program: Program, terminal: Terminal) -> None:
    with terminal.start(program.start, "run", program.write(_STREAM)) as process:
        terminal.read_until(lambda screen: "stream | streaming" in screen.lines)
        terminal.press(b"\x03")
        screen = terminal.read_to_the_end()

    assert process.returncode == 130
    assert any("stopping: interrupted by SIGINT; Ctrl-C again" in line for line in screen.lines)
    assert _table(screen)[:2] == ["w #1 STOPPED", "stream STOPPED 1"]
    assert not screen.cursor_is_hidden


def test_a_closed_terminal_stops_the_run(program: Program) -> None:
    terminal = Terminal()
    with terminal.start(program.start, "run", program.write(_STREAM)) as process:
        terminal.read_until(lambda screen: "stream | streaming" in screen.lines)
        terminal.close()
        code = process.wait(timeout=30)

    assert code == 129


def test_more_tasks_than_lines_are_counted(program: Program) -> None:
    terminal = Terminal(rows=12)
    file = program.write("""
        with Workflow(name="w") as workflow:
            for number in range(30):
                BashOperator(name=f"t{number}", bash_command="sleep 0.05")
    """)
    with terminal.start(program.start, "run", file) as process:
        during = terminal.read_until(lambda screen: any("  and " in line for line in screen.lines))
        screen = terminal.read_to_the_end()
    terminal.close()

    assert process.returncode == 0
    assert len(during.lines) <= 12, "\n".join(during.lines)
    assert sum(line.startswith("w #1  ") for line in screen.lines) == 1
    assert any(line.endswith(": 30 succeeded") for line in screen.lines)


def test_a_dumb_terminal_gets_plain_lines(program: Program, terminal: Terminal) -> None:
    program.environment["TERM"] = "dumb"

    with terminal.start(program.start, "run", program.write(_FLOW)):
        screen = terminal.read_to_the_end()

    assert any(line.endswith(" first started") for line in screen.lines)
