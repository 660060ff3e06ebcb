# SPDX-License-Identifier: Apache-2.0
"""Operations on task executions (manual, section 9.1)."""

from __future__ import annotations

from ai_flow.metadata.task_execution import TaskExecutionMeta
from ai_flow.ops.reach import call


def start_task_execution(workflow_execution_id: int, task_name: str) -> str:
    """Ask for a run of a task and return its key, such as ``1_task_2``; refused while the task is alive."""
    return call("task_executions.start", workflow_execution_id=workflow_execution_id, task_name=task_name)


def stop_task_execution(workflow_execution_id: int, task_name: str) -> None:
    """Ask for the latest run of a task to be stopped; harmless when it is finished."""
    call("task_executions.stop", workflow_execution_id=workflow_execution_id, task_name=task_name)


def get_task_execution(task_execution_id: int) -> TaskExecutionMeta | None:
    """Return a task execution; None when there is none of that id."""
    return call("task_executions.get", task_execution_id=task_execution_id)


def list_task_executions(
    workflow_execution_id: int, limit: int | None = None, offset: int | None = None
) -> list[TaskExecutionMeta]:
    """Return the task executions of a workflow execution, oldest first."""
    return call(
        "task_executions.list", workflow_execution_id=workflow_execution_id, limit=limit, offset=offset
    )
