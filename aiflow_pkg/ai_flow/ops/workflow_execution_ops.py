# SPDX-License-Identifier: Apache-2.0
"""Operations on workflow executions (manual, section 9.1)."""

from __future__ import annotations

from ai_flow.metadata.workflow_execution import WorkflowExecutionMeta
from ai_flow.ops.reach import call


def start_workflow_execution(workflow_name: str, namespace: str = "default") -> int:
    """Ask for a new execution of the latest version of a workflow and return its id.

    Refused while the workflow is disabled.
    """
    return call("workflow_executions.start", workflow_name=workflow_name, namespace=namespace)


def stop_workflow_execution(workflow_execution_id: int) -> None:
    """Ask for everything of an execution to be stopped; harmless when it is finished."""
    call("workflow_executions.stop", workflow_execution_id=workflow_execution_id)


def stop_workflow_executions(workflow_name: str, namespace: str = "default") -> None:
    """Ask for all executions of a workflow to be stopped."""
    call("workflow_executions.stop_all", workflow_name=workflow_name, namespace=namespace)


def get_workflow_execution(workflow_execution_id: int) -> WorkflowExecutionMeta | None:
    """Return an execution; None when there is none of that id."""
    return call("workflow_executions.get", workflow_execution_id=workflow_execution_id)


def list_workflow_executions(
    workflow_name: str, namespace: str = "default", limit: int | None = None, offset: int | None = None
) -> list[WorkflowExecutionMeta]:
    """Return the executions of a workflow, oldest first: at most ``limit``, after the first ``offset``."""
    return call(
        "workflow_executions.list",
        workflow_name=workflow_name,
        namespace=namespace,
        limit=limit,
        offset=offset,
    )


def delete_workflow_execution(workflow_execution_id: int) -> None:
    """Delete an execution with all that was recorded of it; refused while it is not finished."""
    call("workflow_executions.delete", workflow_execution_id=workflow_execution_id)
