# SPDX-License-Identifier: Apache-2.0
"""Fixtures for the operators."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_flow.model.context import Context
from ai_flow.model.workflow import Workflow
from tests.operators.fakes import FakePrograms


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    return FakePrograms(tmp_path, monkeypatch)


@pytest.fixture(autouse=True)
def workflow() -> Iterator[Workflow]:
    """The workflow that the operators of a test belong to."""
    with Workflow(name="a_workflow") as workflow:
        yield workflow


@pytest.fixture
def context() -> Context:
    return Context()
