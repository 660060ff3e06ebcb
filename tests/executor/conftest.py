# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the executor's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.executor.executor_support import Site, open_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A home with an executor; everything it started is ended afterwards."""
    with open_site(tmp_path) as opened:
        yield opened
