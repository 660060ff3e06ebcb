# SPDX-License-Identifier: Apache-2.0
"""Operations on workflows (manual, section 9.1)."""

from __future__ import annotations

from ai_flow.metadata.workflow import WorkflowMeta
from ai_flow.ops.reach import call, refuse_in_user_code


def upload_workflows(workflow_file_path: str, artifacts: list[str] | None = None) -> list[WorkflowMeta]:
    """Upload the workflows of a file with the files that they need, and return them.

    The file is executed in a child of this Python. Uploaded are the file, the modules beside it that it
    imports, and the artifacts. Either all workflows of the file are stored, or none; they are enabled.

    :param workflow_file_path: The path of the workflow file, such as ``__file__``.
    :param artifacts: Further files and directories; they will lie beside the workflow file.
    """
    refuse_in_user_code("upload_workflows")
    from ai_flow.service.loading import load_workflow_file

    loaded = load_workflow_file(workflow_file_path, artifacts)
    return call("workflows.upload", loaded=loaded.to_data())


def get_workflow(workflow_name: str, namespace: str = "default") -> WorkflowMeta | None:
    """Return a workflow; None when there is none of that name."""
    return call("workflows.get", workflow_name=workflow_name, namespace=namespace)


def list_workflows(
    namespace: str = "default", limit: int | None = None, offset: int | None = None
) -> list[WorkflowMeta]:
    """Return the workflows of a namespace, oldest first: at most ``limit``, after the first ``offset``."""
    return call("workflows.list", namespace=namespace, limit=limit, offset=offset)


def delete_workflow(workflow_name: str, namespace: str = "default") -> None:
    """Delete a workflow with its executions, triggers and snapshots.

    Refused while an execution is not finished.
    """
    call("workflows.delete", workflow_name=workflow_name, namespace=namespace)


def disable_workflow(workflow_name: str, namespace: str = "default") -> None:
    """Let no more executions of a workflow start; the running ones go on."""
    call("workflows.disable", workflow_name=workflow_name, namespace=namespace)


def enable_workflow(workflow_name: str, namespace: str = "default") -> None:
    """Let executions of a workflow start again."""
    call("workflows.enable", workflow_name=workflow_name, namespace=namespace)
