# SPDX-License-Identifier: Apache-2.0
"""Task executions: started and stopped by a person, and shown."""

from __future__ import annotations

import pytest

from ai_flow import ops
from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.common.home import Home
from ai_flow.model.action import TaskAction
from ai_flow.model.workflow import Workflow
from ai_flow.operators.bash import BashOperator
from tests.ops.conftest import Upload
from tests.ops.stepping import Stepping


@pytest.fixture
def execution_id(upload: Upload, stepping: Stepping) -> int:
    """A running execution with a task that runs and one that waits for an event."""
    with Workflow(name="flow") as flow:
        BashOperator(name="first", bash_command="true")
        later = BashOperator(name="later", bash_command="true")
        later.action_on_event_received(TaskAction.START, "go")
    upload(flow)
    execution_id = ops.start_workflow_execution("flow")
    stepping.step()
    return execution_id


def _statuses(execution_id: int) -> list[tuple[str, int, str]]:
    return [(t.task_name, t.sequence_number, t.status) for t in ops.list_task_executions(execution_id)]


def test_a_started_task_runs_under_the_key_that_was_returned(execution_id: int, stepping: Stepping) -> None:
    key = ops.start_task_execution(execution_id, "later")
    stepping.step()

    assert key == f"{execution_id}_later_1"
    assert _statuses(execution_id) == [("first", 1, "RUNNING"), ("later", 1, "RUNNING")]


def test_a_finished_task_runs_again_with_the_next_number(execution_id: int, stepping: Stepping) -> None:
    stepping.end(execution_id, "first")

    key = ops.start_task_execution(execution_id, "first")
    stepping.step()

    assert key == f"{execution_id}_first_2"
    assert _statuses(execution_id) == [("first", 1, "SUCCESS"), ("first", 2, "RUNNING")]


def test_a_task_that_is_alive_is_not_started(execution_id: int, stepping: Stepping) -> None:
    with pytest.raises(AIFlowException) as refusal:
        ops.start_task_execution(execution_id, "first")

    assert str(refusal.value) == (
        f"Start task execution failed. Task 'first' of workflow execution {execution_id} is RUNNING."
    )
    stepping.step()
    assert stepping.refusals() == []


def test_a_task_that_is_stopping_is_not_started(execution_id: int, stepping: Stepping) -> None:
    ops.stop_task_execution(execution_id, "first")
    stepping.step()

    with pytest.raises(AIFlowException, match=r"^Start task execution failed\. .* is STOPPING\.$"):
        ops.start_task_execution(execution_id, "first")


def test_a_task_that_is_about_to_start_is_not_started(upload: Upload, home: Home) -> None:
    upload("flow")
    execution_id = ops.start_workflow_execution("flow")

    with pytest.raises(AIFlowException, match=r"^Start task execution failed\. .* starts with workflow"):
        ops.start_task_execution(execution_id, "task")


def test_a_task_of_a_finished_execution_is_not_started(execution_id: int, stepping: Stepping) -> None:
    ops.stop_workflow_execution(execution_id)
    stepping.step()
    stepping.end(execution_id, "first", "STOPPED")

    with pytest.raises(AIFlowException) as refusal:
        ops.start_task_execution(execution_id, "later")

    assert str(refusal.value) == (
        f"Start task execution failed. Workflow execution {execution_id} is finished (STOPPED)."
    )


def test_an_unknown_task_is_not_started(execution_id: int) -> None:
    with pytest.raises(AIFlowException) as refusal:
        ops.start_task_execution(execution_id, "latter")

    assert str(refusal.value) == (
        f"Start task execution failed. Workflow execution {execution_id} has no task 'latter'; its tasks: "
        "first, later."
    )


def test_a_start_that_lost_a_race_is_recorded_as_refused(execution_id: int, stepping: Stepping) -> None:
    ops.start_task_execution(execution_id, "later")
    ops.start_task_execution(execution_id, "later")

    stepping.step()

    assert _statuses(execution_id)[1:] == [("later", 1, "RUNNING")]
    assert len(stepping.refusals()) == 1


def test_stop_stops_the_latest_run(execution_id: int, stepping: Stepping) -> None:
    ops.stop_task_execution(execution_id, "first")
    stepping.step()

    assert _statuses(execution_id) == [("first", 1, "STOPPING")]
    stepping.end(execution_id, "first", "STOPPED")
    assert _statuses(execution_id) == [("first", 1, "STOPPED")]


def test_stopping_a_finished_task_changes_nothing(execution_id: int, stepping: Stepping) -> None:
    stepping.end(execution_id, "first")

    ops.stop_task_execution(execution_id, "first")
    stepping.step()

    assert _statuses(execution_id) == [("first", 1, "SUCCESS")]


def test_stopping_a_task_that_never_ran_is_refused(execution_id: int) -> None:
    for task in ("later", "nothing"):
        with pytest.raises(AIFlowException) as refusal:
            ops.stop_task_execution(execution_id, task)
        assert str(refusal.value) == f"Task execution {execution_id}.{task} not exists."


def test_a_task_can_be_stopped_before_its_execution_begins(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    execution_id = ops.start_workflow_execution("flow")

    ops.stop_task_execution(execution_id, "task")
    stepping.step()

    assert _statuses(execution_id) == [("task", 1, "STOPPED")]


def test_a_task_execution_shows_all_that_the_reference_showed(execution_id: int, stepping: Stepping) -> None:
    (running,) = ops.list_task_executions(execution_id)
    stepping.end(execution_id, "first")

    ended = ops.get_task_execution(running.id)

    assert (running.workflow_execution_id, running.try_number, running.end_date) == (execution_id, 1, None)
    assert ended is not None
    assert ended.status == "SUCCESS"
    assert ended.end_date is not None
    assert ended.begin_date == running.begin_date


def test_lists_come_in_pages(execution_id: int, stepping: Stepping) -> None:
    ops.start_task_execution(execution_id, "later")
    stepping.step()

    assert [t.task_name for t in ops.list_task_executions(execution_id, limit=1)] == ["first"]
    assert [t.task_name for t in ops.list_task_executions(execution_id, offset=1)] == ["later"]
    assert ops.list_task_executions(execution_id, None, 2) == []


def test_an_unknown_execution_is_refused(home: Home) -> None:
    assert ops.get_task_execution(7) is None

    with pytest.raises(AIFlowException, match=r"^Workflow execution with id: 7 not exists\.$"):
        ops.list_task_executions(7)
    for operation in (ops.start_task_execution, ops.stop_task_execution):
        with pytest.raises(AIFlowException, match=r"^Workflow execution 7 not exists\.$"):
            operation(7, "task")
