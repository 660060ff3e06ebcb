# SPDX-License-Identifier: Apache-2.0
"""A stage for each test: a home of its own and processes that are made up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_flow_ha import process_identity
from tests.scheduler.stage import FakeProcesses, Stage


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> FakeProcesses:
    made_up, real = FakeProcesses(), process_identity.creation_time
    monkeypatch.setattr(
        process_identity, "creation_time", lambda pid: made_up.creation_time(pid) or real(pid)
    )
    return made_up


@pytest.fixture
def stage(tmp_path: Path, processes: FakeProcesses) -> Iterator[Stage]:
    stage = Stage(tmp_path, processes)
    yield stage
    stage.close()
