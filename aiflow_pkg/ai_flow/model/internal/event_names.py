# SPDX-License-Identifier: Apache-2.0
"""The words of the events that aiflow itself sends: keys, values and the names in their contexts."""

from __future__ import annotations

from ai_flow.model.text_enum import TextEnum


class AIFlowEventType:
    """The kinds of events that aiflow sends."""

    AIFLOW_SCHEDULING_EVENT = "AIFLOW_SCHEDULING_EVENT"
    TASK_STATUS_CHANGED = "TASK_STATUS_CHANGED"


class SchedulingEventType(TextEnum):
    """The values of events with the key ``AIFLOW_SCHEDULING_EVENT``."""

    START_WORKFLOW_EXECUTION = "START_WORKFLOW_EXECUTION"
    STOP_WORKFLOW_EXECUTION = "STOP_WORKFLOW_EXECUTION"
    START_TASK_EXECUTION = "START_TASK_EXECUTION"
    RESTART_TASK_EXECUTION = "RESTART_TASK_EXECUTION"
    STOP_TASK_EXECUTION = "STOP_TASK_EXECUTION"
    PERIODIC_RUN_WORKFLOW = "PERIODIC_RUN_WORKFLOW"
    PERIODIC_RUN_TASK = "PERIODIC_RUN_TASK"
    TASK_STATUS = "TASK_STATUS"
    TASK_HEARTBEAT_TIMEOUT = "TASK_HEARTBEAT_TIMEOUT"


class EventContextConstant:
    """The names in the context of an event, which is a JSON object."""

    NAMESPACE = "namespace"
    WORKFLOW_NAME = "workflow_name"
    WORKFLOW_ID = "workflow_id"
    WORKFLOW_EXECUTION_ID = "workflow_execution_id"
    TASK_NAME = "task_name"
    TASK_EXECUTION_ID = "task_execution_id"
    WORKFLOW_SCHEDULE_ID = "workflow_schedule_id"
    WORKFLOW_SNAPSHOT_ID = "workflow_snapshot_id"
    SEQUENCE_NUMBER = "sequence_number"
    TASK_STATUS = "task_status"


#: The first part of the key of every event that announces a status of a task.
TASK_STATUS_CHANGE_PREFIX = "[task_status_change]"


def task_status_change_key(namespace: str, workflow_name: str, task_name: str) -> str:
    """Return the key of the events that announce a status of a task.

    >>> task_status_change_key("default", "my_workflow", "task1")
    '[task_status_change].default.my_workflow.task1'
    """
    return f"{TASK_STATUS_CHANGE_PREFIX}.{namespace}.{workflow_name}.{task_name}"
