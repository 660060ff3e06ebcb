# SPDX-License-Identifier: Apache-2.0
"""The program under test, with a home of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import Program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)
