# SPDX-License-Identifier: Apache-2.0
"""The events that aiflow itself sends (users only ever see those that announce a status).

The context of each is a JSON object whose names are in ``EventContextConstant``. Events with the key
``AIFLOW_SCHEDULING_EVENT`` ask the scheduler for something or tell it something; their value is a
``SchedulingEventType``. A ``TaskStatusChangedEvent`` announces a status to the rules of users.
"""

from __future__ import annotations

import json

from ai_flow.model.internal.event_names import (
    TASK_STATUS_CHANGE_PREFIX,
    AIFlowEventType,
    EventContextConstant,
    SchedulingEventType,
    task_status_change_key,
)
from ai_flow.model.status import TaskStatus
from notification_service.model.event import Event

__all__ = [
    "TASK_STATUS_CHANGE_PREFIX",
    "AIFlowEventType",
    "EventContextConstant",
    "PeriodicRunTaskEvent",
    "PeriodicRunWorkflowEvent",
    "ReStartTaskExecutionEvent",
    "SchedulingEventType",
    "StartTaskExecutionEvent",
    "StartWorkflowExecutionEvent",
    "StopTaskExecutionEvent",
    "StopWorkflowExecutionEvent",
    "TaskHeartbeatTimeoutEvent",
    "TaskStatusChangedEvent",
    "TaskStatusEvent",
    "task_status_change_key",
]

_Name = EventContextConstant


class SchedulingEvent(Event):
    """Asks the scheduler for something, or tells it something."""

    def __init__(self, kind: SchedulingEventType, context: dict[str, int | str]) -> None:
        super().__init__(AIFlowEventType.AIFLOW_SCHEDULING_EVENT, kind.value)
        self.context = json.dumps(context)


class StartWorkflowExecutionEvent(SchedulingEvent):
    """Asks for an execution of a workflow's snapshot."""

    def __init__(self, workflow_id: int, workflow_snapshot_id: int) -> None:
        super().__init__(
            SchedulingEventType.START_WORKFLOW_EXECUTION,
            {_Name.WORKFLOW_ID: workflow_id, _Name.WORKFLOW_SNAPSHOT_ID: workflow_snapshot_id},
        )


class StopWorkflowExecutionEvent(SchedulingEvent):
    """Asks for the end of a workflow execution and all its tasks."""

    def __init__(self, workflow_execution_id: int) -> None:
        super().__init__(
            SchedulingEventType.STOP_WORKFLOW_EXECUTION, {_Name.WORKFLOW_EXECUTION_ID: workflow_execution_id}
        )


class StartTaskExecutionEvent(SchedulingEvent):
    """Asks for a run of a task."""

    def __init__(self, workflow_execution_id: int, task_name: str) -> None:
        super().__init__(SchedulingEventType.START_TASK_EXECUTION, _task(workflow_execution_id, task_name))


class ReStartTaskExecutionEvent(SchedulingEvent):
    """Asks for the end of a task's run and for a new one."""

    def __init__(self, workflow_execution_id: int, task_name: str) -> None:
        super().__init__(SchedulingEventType.RESTART_TASK_EXECUTION, _task(workflow_execution_id, task_name))


class StopTaskExecutionEvent(SchedulingEvent):
    """Asks for the end of one run of a task."""

    def __init__(self, workflow_execution_id: int, task_execution_id: int) -> None:
        super().__init__(
            SchedulingEventType.STOP_TASK_EXECUTION,
            {_Name.WORKFLOW_EXECUTION_ID: workflow_execution_id, _Name.TASK_EXECUTION_ID: task_execution_id},
        )


class PeriodicRunWorkflowEvent(SchedulingEvent):
    """A tick of a workflow's schedule."""

    def __init__(self, workflow_id: int, workflow_schedule_id: int) -> None:
        super().__init__(
            SchedulingEventType.PERIODIC_RUN_WORKFLOW,
            {_Name.WORKFLOW_ID: workflow_id, _Name.WORKFLOW_SCHEDULE_ID: workflow_schedule_id},
        )


class PeriodicRunTaskEvent(SchedulingEvent):
    """A tick of a periodic task."""

    def __init__(self, workflow_execution_id: int, task_name: str) -> None:
        super().__init__(SchedulingEventType.PERIODIC_RUN_TASK, _task(workflow_execution_id, task_name))


class TaskStatusEvent(SchedulingEvent):
    """Tells the scheduler the status of one run of a task."""

    def __init__(
        self, workflow_execution_id: int, task_name: str, sequence_number: int, task_status: TaskStatus
    ) -> None:
        context = _task(workflow_execution_id, task_name)
        context[_Name.SEQUENCE_NUMBER] = sequence_number
        context[_Name.TASK_STATUS] = TaskStatus(task_status).value
        super().__init__(SchedulingEventType.TASK_STATUS, context)


class TaskHeartbeatTimeoutEvent(SchedulingEvent):
    """Tells the scheduler that a remote run of a task has not been heard of."""

    def __init__(self, workflow_execution_id: int, task_name: str, sequence_number: int) -> None:
        context = _task(workflow_execution_id, task_name)
        context[_Name.SEQUENCE_NUMBER] = sequence_number
        super().__init__(SchedulingEventType.TASK_HEARTBEAT_TIMEOUT, context)


class TaskStatusChangedEvent(Event):
    """Announces the status of a task to rules and listeners.

    >>> event = TaskStatusChangedEvent("default", 1, "my_workflow", "task1", TaskStatus.SUCCESS)
    >>> event.key, event.value, event.namespace
    ('[task_status_change].default.my_workflow.task1', 'TASK_STATUS_CHANGED', 'default')
    """

    def __init__(
        self,
        namespace: str,
        workflow_execution_id: int,
        workflow_name: str,
        task_name: str,
        task_status: TaskStatus,
    ) -> None:
        key = task_status_change_key(namespace, workflow_name, task_name)
        super().__init__(key, AIFlowEventType.TASK_STATUS_CHANGED)
        self.namespace = namespace
        self.context = json.dumps(
            {
                _Name.NAMESPACE: namespace,
                _Name.WORKFLOW_EXECUTION_ID: workflow_execution_id,
                _Name.WORKFLOW_NAME: workflow_name,
                _Name.TASK_NAME: task_name,
                _Name.TASK_STATUS: TaskStatus(task_status).value,
            }
        )


def _task(workflow_execution_id: int, task_name: str) -> dict[str, int | str]:
    return {_Name.WORKFLOW_EXECUTION_ID: workflow_execution_id, _Name.TASK_NAME: task_name}
