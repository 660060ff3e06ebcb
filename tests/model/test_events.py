# SPDX-License-Identifier: Apache-2.0
"""The events of aiflow itself, and the statuses they speak of."""

from __future__ import annotations

import json

import pytest

from ai_flow.model.internal import events
from ai_flow.model.status import (
    TASK_ALIVE_SET,
    TASK_FINISHED_SET,
    WORKFLOW_ALIVE_SET,
    WORKFLOW_FINISHED_SET,
    TaskStatus,
    WorkflowStatus,
)
from notification_service.model.event import Event


@pytest.mark.parametrize(
    ("event", "value", "context"),
    [
        (
            events.StartWorkflowExecutionEvent(1, 2),
            "START_WORKFLOW_EXECUTION",
            {"workflow_id": 1, "workflow_snapshot_id": 2},
        ),
        (events.StopWorkflowExecutionEvent(3), "STOP_WORKFLOW_EXECUTION", {"workflow_execution_id": 3}),
        (
            events.StartTaskExecutionEvent(3, "a"),
            "START_TASK_EXECUTION",
            {"workflow_execution_id": 3, "task_name": "a"},
        ),
        (
            events.ReStartTaskExecutionEvent(3, "a"),
            "RESTART_TASK_EXECUTION",
            {"workflow_execution_id": 3, "task_name": "a"},
        ),
        (
            events.StopTaskExecutionEvent(3, 4),
            "STOP_TASK_EXECUTION",
            {"workflow_execution_id": 3, "task_execution_id": 4},
        ),
        (
            events.PeriodicRunWorkflowEvent(1, 5),
            "PERIODIC_RUN_WORKFLOW",
            {"workflow_id": 1, "workflow_schedule_id": 5},
        ),
        (
            events.PeriodicRunTaskEvent(3, "a"),
            "PERIODIC_RUN_TASK",
            {"workflow_execution_id": 3, "task_name": "a"},
        ),
        (
            events.TaskStatusEvent(3, "a", 6, TaskStatus.FAILED),
            "TASK_STATUS",
            {"workflow_execution_id": 3, "task_name": "a", "sequence_number": 6, "task_status": "FAILED"},
        ),
        (
            events.TaskHeartbeatTimeoutEvent(3, "a", 6),
            "TASK_HEARTBEAT_TIMEOUT",
            {"workflow_execution_id": 3, "task_name": "a", "sequence_number": 6},
        ),
    ],
)
def test_scheduling_events_say_everything_in_value_and_context(
    event: Event, value: str, context: dict[str, object]
) -> None:
    assert event.key == "AIFLOW_SCHEDULING_EVENT"
    assert event.value == value and type(event.value) is str
    assert json.loads(event.context or "") == context


def test_a_status_change_names_the_task_in_key_and_context() -> None:
    event = events.TaskStatusChangedEvent("team", 3, "w", "a", TaskStatus.SUCCESS)

    assert event.key == "[task_status_change].team.w.a"
    assert event.value == "TASK_STATUS_CHANGED"
    assert event.namespace == "team"
    assert json.loads(event.context or "") == {
        "namespace": "team",
        "workflow_execution_id": 3,
        "workflow_name": "w",
        "task_name": "a",
        "task_status": "SUCCESS",
    }


def test_every_status_is_either_alive_or_finished() -> None:
    assert {"SUCCESS", "FAILED", "STOPPED"} == TASK_FINISHED_SET
    assert {"INIT", "QUEUED", "RUNNING", "STOPPING", "RETRYING"} == TASK_ALIVE_SET
    assert set(TaskStatus) == TASK_FINISHED_SET | TASK_ALIVE_SET
    assert {"SUCCESS", "FAILED", "STOPPED"} == WORKFLOW_FINISHED_SET
    assert {"INIT", "RUNNING"} == WORKFLOW_ALIVE_SET
    assert set(WorkflowStatus) == WORKFLOW_FINISHED_SET | WORKFLOW_ALIVE_SET


def test_members_are_texts_and_are_formatted_as_their_value_on_every_python() -> None:
    assert "RUNNING" in TASK_ALIVE_SET and TaskStatus.RUNNING == "RUNNING"
    assert f"{TaskStatus.RUNNING}" == "RUNNING"
    assert f"{TaskStatus.RUNNING:>9}" == "  RUNNING"
    assert str(TaskStatus.RUNNING) == "TaskStatus.RUNNING"
    assert json.dumps(TaskStatus.RUNNING) == '"RUNNING"'
