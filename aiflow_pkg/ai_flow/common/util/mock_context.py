# SPDX-License-Identifier: Apache-2.0
"""Pretend to be a task, to try out the code of one without running a workflow."""

from __future__ import annotations

from ai_flow.model.internal.contexts import TaskExecutionContext, set_runtime_task_context
from ai_flow.model.task_execution import TaskExecutionKey
from ai_flow.model.workflow import Workflow


def set_mock_runtime_context() -> None:
    """Make this process the first run of task ``mock_task`` of ``mock_workflow``, execution 1.

    Code that uses ``AIFlowNotificationClient`` can be called directly then.

    >>> from ai_flow.model.internal.contexts import get_runtime_task_context
    >>> set_mock_runtime_context()
    >>> str(get_runtime_task_context().task_execution_key)
    '1_mock_task_1'
    >>> set_runtime_task_context(None)
    """
    key = TaskExecutionKey(workflow_execution_id=1, task_name="mock_task", seq_num=1)
    set_runtime_task_context(TaskExecutionContext(Workflow(name="mock_workflow"), key))
