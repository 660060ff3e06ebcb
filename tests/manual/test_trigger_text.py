# SPDX-License-Identifier: Apache-2.0
"""The manual's workflow trigger (4.9): a script acts on a home while another process decides there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_flow import ops
from tests.examples.program import HomeOfTest
from tests.manual.typing_in import type_in

pytestmark = pytest.mark.slow

_HOLDER = """
from ai_flow.model.workflow import Workflow
from ai_flow.operators.bash import BashOperator

with Workflow(name="holder") as workflow:
    BashOperator(name="wait", bash_command="echo Waiting.; until [ -e {release} ]; do sleep 0.05; done")
"""


def test_4_9_an_event_starts_a_workflow_while_a_run_holds_the_scheduler(
    home: HomeOfTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIFLOW_HOME", str(home.root))
    release = tmp_path / "release"
    holder = tmp_path / "holder.py"
    holder.write_text(_HOLDER.format(release=release))

    with home.running(holder, "--until-idle") as running:
        home.wait_for_log("holder", "wait", "Waiting.")
        home.python(type_in("4.9-trigger", tmp_path / "event_trigger_workflow.py"))
        home.wait_for_log_of_any("event_trigger_workflow_2", "task1", "I am 1st task.")
        release.touch()
        finished = running.finish()

    assert finished.exit_code == 0
    (sending,) = ops.list_workflow_executions("event_trigger_workflow_1") or []
    (triggered,) = ops.list_workflow_executions("event_trigger_workflow_2") or []
    assert (sending.status, sending.run_type) == ("SUCCESS", "MANUAL")
    assert (triggered.status, triggered.run_type) == ("SUCCESS", "EVENT")


def test_4_9_a_run_catches_up_on_what_a_script_asked_for_before_it(
    home: HomeOfTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIFLOW_HOME", str(home.root))
    file = type_in("4.9-trigger", tmp_path / "event_trigger_workflow.py")
    release = tmp_path / "release"
    release.touch()
    holder = tmp_path / "holder.py"
    holder.write_text(_HOLDER.format(release=release))

    home.python(file)
    # A second time adds another trigger, and still an event starts one execution only.
    home.python(file)
    finished = home.run(holder, "--until-idle")

    assert finished.exit_code == 0
    assert len(ops.list_workflow_executions("event_trigger_workflow_1") or []) == 2
    assert len(ops.list_workflow_executions("event_trigger_workflow_2") or []) == 2
    assert len(ops.list_workflow_triggers("event_trigger_workflow_2") or []) == 2
