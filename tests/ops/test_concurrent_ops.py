# SPDX-License-Identifier: Apache-2.0
"""Several processes at once on one home: everybody's operation happens, and nobody reads of a lock."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ai_flow import ops
from ai_flow.common.home import Home
from tests.ops.conftest import Upload
from tests.ops.stepping import Stepping

PROCESSES = 4
ROUNDS = 10

_SCRIPT = """\
import sys
from ai_flow import ops
from ai_flow.model.internal.conditions import SingleEventCondition
from ai_flow.model.rule import WorkflowRule

for number in range(int(sys.argv[2])):
    ops.add_namespace(f"{sys.argv[1]}_{number}", {})
    trigger = ops.add_workflow_trigger(WorkflowRule(SingleEventCondition("go")), "flow")
    print(ops.start_workflow_execution("flow"))
    ops.pause_workflow_trigger(trigger.id)
    ops.delete_workflow_trigger(trigger.id)
    ops.list_workflow_executions("flow")
"""


@pytest.mark.slow
def test_operations_of_several_processes_all_happen(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, f"p{number}", str(ROUNDS)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    while any(process.poll() is None for process in processes):
        stepping.step()
    outputs = [process.communicate() for process in processes]

    assert [error for _, error in outputs] == [""] * PROCESSES
    ids = sorted(int(line) for output, _ in outputs for line in output.split())
    assert ids == [execution.id for execution in ops.list_workflow_executions("flow")]
    assert len(ids) == PROCESSES * ROUNDS
    assert len(ops.list_namespace()) == PROCESSES * ROUNDS + 1
    assert ops.list_workflow_triggers("flow") == []


@pytest.mark.slow
def test_the_first_operations_of_several_processes_make_one_home(home: Home) -> None:
    script = "import sys; from ai_flow import ops; ops.add_namespace(sys.argv[1], {})"
    processes = [
        subprocess.Popen([sys.executable, "-c", script, f"n{number}"], stderr=subprocess.PIPE, text=True)
        for number in range(PROCESSES)
    ]
    errors = [process.communicate()[1] for process in processes]

    assert errors == [""] * PROCESSES
    assert [n.name for n in ops.list_namespace()] == ["default", *(f"n{n}" for n in range(PROCESSES))]
