# SPDX-License-Identifier: Apache-2.0
"""The tables in the design notes are those of ``states``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ai_flow.engine import states

NOTES = Path(states.__file__).with_name("DESIGN.md")
TABLES = {
    "task": states.as_table(states.TASK_TRANSITIONS),
    "execution": states.as_table(states.EXECUTION_TRANSITIONS),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_table_in_the_notes_is_the_one_of_the_program(name: str) -> None:
    found = re.search(rf"<!-- begin {name} -->\n(.*?)\n<!-- end {name} -->", NOTES.read_text(), re.DOTALL)

    assert found is not None, (
        f"{NOTES.name} has no table between <!-- begin {name} --> and <!-- end {name} -->"
    )
    assert found[1] == TABLES[name], f"write this into {NOTES.name}:\n{TABLES[name]}"


def test_a_table_shows_every_arrow_and_refuses_the_rest() -> None:
    lines = TABLES["execution"].splitlines()

    assert lines[0] == "|  | start | fail | stop | succeed |"
    assert lines[2] == "| INIT | RUNNING | FAILED | STOPPED | - |"
    assert "| SUCCESS | - | - | - | - |" in lines
