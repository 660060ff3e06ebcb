# SPDX-License-Identifier: Apache-2.0
"""A home of its own for every test, and ways to have workflows in it and to let a scheduler act on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ai_flow.common.home import Home
from ai_flow.metadata.workflow import WorkflowMeta
from ai_flow.model.workflow import Workflow
from ai_flow.operators.bash import BashOperator
from ai_flow.runtime.describe import describe_workflow
from ai_flow.service.loading import LoadedFile, digest_of
from ai_flow.service.service import open_service
from tests.ops.stepping import Stepping

Upload = Callable[..., list[WorkflowMeta]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home that does not exist yet, and that ``ops`` uses."""
    monkeypatch.setenv("AIFLOW_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home")


@pytest.fixture
def upload(home: Home, tmp_path: Path) -> Upload:
    """Upload workflows that the test made, or names for workflows with one task; quick, without a child."""

    def upload(*workflows: Workflow | str, content: str = "# made by a test\n") -> list[WorkflowMeta]:
        file = tmp_path / "project" / "flow.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        loaded = LoadedFile(
            path=str(file),
            sha256=digest_of(file),
            files=[],
            workflows=[describe_workflow(_workflow(workflow)) for workflow in workflows],
            imports=[],
            python="3.11",
        )
        with open_service(home) as service:
            return service.workflows.upload(loaded.to_data())

    return upload


@pytest.fixture
def stepping(home: Home) -> Iterator[Stepping]:
    """A scheduler for the home that acts when the test says so."""
    stepping = Stepping(home)
    yield stepping
    stepping.close()


def _workflow(workflow: Workflow | str) -> Workflow:
    if isinstance(workflow, Workflow):
        return workflow
    with Workflow(name=workflow) as made:
        BashOperator(name="task", bash_command="true")
    return made
