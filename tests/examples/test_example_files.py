# SPDX-License-Identifier: Apache-2.0
"""No example is without instructions, and none is left out of the tests."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.examples.program import EXAMPLES

_TESTS = Path(__file__).with_name("test_examples.py").read_text()


def test_there_are_examples() -> None:
    assert (EXAMPLES / "quickstart_workflow.py").is_file()


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_an_example_says_how_to_run_it_and_is_run_by_a_test(name: str) -> None:
    text = ast.get_docstring(ast.parse((EXAMPLES / name).read_text())) or ""

    assert f"aiflow run examples/{name}" in text
    assert f'"{name}"' in _TESTS
