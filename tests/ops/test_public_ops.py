# SPDX-License-Identifier: Apache-2.0
"""The functions of ``ai_flow.ops``: which there are, how they are called, and what importing them costs."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from ai_flow import ops
from tests.architecture.source_files import CHECKOUT, PACKAGES

#: All of the reference's functions but those on schedules, with their parameters.
SIGNATURES = {
    "add_namespace": "name, properties",
    "get_namespace": "name",
    "update_namespace": "name, properties",
    "list_namespace": "limit=None, offset=None",
    "delete_namespace": "name",
    "upload_workflows": "workflow_file_path, artifacts=None",
    "get_workflow": "workflow_name, namespace='default'",
    "list_workflows": "namespace='default', limit=None, offset=None",
    "delete_workflow": "workflow_name, namespace='default'",
    "disable_workflow": "workflow_name, namespace='default'",
    "enable_workflow": "workflow_name, namespace='default'",
    "start_workflow_execution": "workflow_name, namespace='default'",
    "stop_workflow_execution": "workflow_execution_id",
    "stop_workflow_executions": "workflow_name, namespace='default'",
    "get_workflow_execution": "workflow_execution_id",
    "list_workflow_executions": "workflow_name, namespace='default', limit=None, offset=None",
    "delete_workflow_execution": "workflow_execution_id",
    "start_task_execution": "workflow_execution_id, task_name",
    "stop_task_execution": "workflow_execution_id, task_name",
    "get_task_execution": "task_execution_id",
    "list_task_executions": "workflow_execution_id, limit=None, offset=None",
    "add_workflow_trigger": "rule, workflow_name, namespace='default'",
    "get_workflow_trigger": "trigger_id",
    "list_workflow_triggers": "workflow_name, namespace='default', limit=None, offset=None",
    "delete_workflow_trigger": "trigger_id",
    "delete_workflow_triggers": "workflow_name, namespace='default'",
    "pause_workflow_trigger": "trigger_id",
    "resume_workflow_trigger": "trigger_id",
    "get_workflow_snapshot": "snapshot_id",
    "list_workflow_snapshots": "workflow_name, namespace='default', limit=None, offset=None",
    "delete_workflow_snapshot": "snapshot_id",
    "delete_workflow_snapshots": "workflow_name, namespace='default'",
}

MODULES = (
    "namespace_ops",
    "task_execution_ops",
    "workflow_execution_ops",
    "workflow_ops",
    "workflow_snapshot_ops",
    "workflow_trigger_ops",
)


def test_the_functions_are_those_of_the_reference() -> None:
    assert set(ops.__all__) == set(SIGNATURES)


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_function_is_called_as_in_the_reference(name: str) -> None:
    parameters = inspect.signature(getattr(ops, name)).parameters.values()

    shown = ", ".join(
        p.name if p.default is inspect.Parameter.empty else f"{p.name}={p.default!r}" for p in parameters
    )
    assert shown == SIGNATURES[name]
    assert all(p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for p in parameters)


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_function_says_what_it_does(name: str) -> None:
    assert getattr(ops, name).__doc__


def test_the_modules_are_those_of_the_manual() -> None:
    homes = {getattr(ops, name).__module__ for name in ops.__all__}

    assert homes == {f"ai_flow.ops.{module}" for module in MODULES}


def test_importing_it_needs_only_the_standard_library_and_is_light() -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[1].split(','); before = set(sys.modules); import ai_flow.ops; "
        "print(*sorted(m for m in set(sys.modules) - before if not m.startswith('ai_flow')))"
    )
    roots = ",".join(str(CHECKOUT / root) for root in PACKAGES)

    result = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", code, roots], capture_output=True, text=True, timeout=60
    )

    assert result.returncode == 0, result.stderr
    loaded = result.stdout.split()
    assert not {"apsw", "cloudpickle", "psutil", "asyncio", "socket", "subprocess"} & set(loaded)
    assert [name for name in loaded if name.startswith("notification_service")] == [
        "notification_service",
        "notification_service.errors",
    ]


def test_what_tasks_use_of_the_service_needs_only_the_standard_library() -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[1].split(','); import ai_flow.service.remote, "
        "ai_flow.service.loading, ai_flow.service.rules, notification_service.client.socket_transport"
    )
    roots = ",".join(str(CHECKOUT / root) for root in PACKAGES)

    result = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", code, roots], capture_output=True, text=True, timeout=60
    )

    assert result.returncode == 0, result.stderr
