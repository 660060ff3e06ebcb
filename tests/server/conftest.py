# SPDX-License-Identifier: Apache-2.0
"""A fresh home for each test that runs the program under hard conditions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples.program import HomeOfTest


@pytest.fixture
def home(tmp_path: Path) -> HomeOfTest:
    return HomeOfTest(root=tmp_path / "home", scratch=tmp_path)
