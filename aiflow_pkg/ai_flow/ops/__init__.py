# SPDX-License-Identifier: Apache-2.0
"""Operations for scripts and tasks: upload workflows, start and stop them, look at what happens.

    from ai_flow import ops

    ops.upload_workflows("my_workflow.py")
    execution_id = ops.start_workflow_execution("my_workflow")

Every function returns when what it did is durable, and raises ``AIFlowException`` with one sentence when it
refuses. Starting and stopping are requests: the process that schedules the home (``aiflow run`` or the
server) carries them out. In a script the functions use the store of ``$AIFLOW_HOME``; inside a task they
ask the task's supervisor, and need nothing but the standard library.
"""

from __future__ import annotations

from ai_flow.ops.namespace_ops import (
    add_namespace,
    delete_namespace,
    get_namespace,
    list_namespace,
    update_namespace,
)
from ai_flow.ops.task_execution_ops import (
    get_task_execution,
    list_task_executions,
    start_task_execution,
    stop_task_execution,
)
from ai_flow.ops.workflow_execution_ops import (
    delete_workflow_execution,
    get_workflow_execution,
    list_workflow_executions,
    start_workflow_execution,
    stop_workflow_execution,
    stop_workflow_executions,
)
from ai_flow.ops.workflow_ops import (
    delete_workflow,
    disable_workflow,
    enable_workflow,
    get_workflow,
    list_workflows,
    upload_workflows,
)
from ai_flow.ops.workflow_snapshot_ops import (
    delete_workflow_snapshot,
    delete_workflow_snapshots,
    get_workflow_snapshot,
    list_workflow_snapshots,
)
from ai_flow.ops.workflow_trigger_ops import (
    add_workflow_trigger,
    delete_workflow_trigger,
    delete_workflow_triggers,
    get_workflow_trigger,
    list_workflow_triggers,
    pause_workflow_trigger,
    resume_workflow_trigger,
)

__all__ = [
    "add_namespace",
    "get_namespace",
    "update_namespace",
    "list_namespace",
    "delete_namespace",
    "upload_workflows",
    "get_workflow",
    "list_workflows",
    "delete_workflow",
    "disable_workflow",
    "enable_workflow",
    "get_workflow_snapshot",
    "list_workflow_snapshots",
    "delete_workflow_snapshot",
    "delete_workflow_snapshots",
    "start_workflow_execution",
    "stop_workflow_execution",
    "stop_workflow_executions",
    "get_workflow_execution",
    "list_workflow_executions",
    "delete_workflow_execution",
    "start_task_execution",
    "stop_task_execution",
    "get_task_execution",
    "list_task_executions",
    "add_workflow_trigger",
    "get_workflow_trigger",
    "list_workflow_triggers",
    "delete_workflow_trigger",
    "delete_workflow_triggers",
    "pause_workflow_trigger",
    "resume_workflow_trigger",
]
