# SPDX-License-Identifier: Apache-2.0
"""Workflow executions: started, stopped, shown and deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from ai_flow import ops
from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.common.home import Home
from ai_flow.service.service import open_service
from tests.ops.conftest import Upload
from tests.ops.stepping import Stepping


def _status(execution_id: int) -> str:
    execution = ops.get_workflow_execution(execution_id)
    assert execution is not None
    return execution.status


def test_a_started_execution_runs_to_its_end(upload: Upload, stepping: Stepping) -> None:
    (workflow,) = upload("flow")
    before = datetime.now().replace(microsecond=0)

    execution_id = ops.start_workflow_execution("flow")

    assert _status(execution_id) == "INIT"
    stepping.step()
    running = ops.get_workflow_execution(execution_id)
    assert running is not None
    assert (running.id, running.workflow_id, running.snapshot_id) == (execution_id, workflow.id, 1)
    assert (running.status, running.run_type, running.end_date) == ("RUNNING", "MANUAL", None)
    stepping.end(execution_id, "task")
    ended = ops.get_workflow_execution(execution_id)
    assert ended is not None
    assert ended.status == "SUCCESS"
    assert ended.begin_date is not None
    assert ended.end_date is not None
    assert before <= ended.begin_date <= ended.end_date <= datetime.now()
    assert ended.event_offset > 0


def test_a_failed_one_says_why(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    execution_id = ops.start_workflow_execution("flow")
    stepping.step()

    stepping.end(execution_id, "task", "FAILED")

    failed = ops.get_workflow_execution(execution_id)
    assert failed is not None
    assert (failed.status, failed.reason) == ("FAILED", "failed: task")


def test_the_latest_snapshot_is_started(home: Home, upload: Upload) -> None:
    upload("flow", content="# one\n")
    first = ops.start_workflow_execution("flow")
    upload("flow", content="# two\n")
    second = ops.start_workflow_execution("flow")

    assert [(e.id, e.snapshot_id) for e in ops.list_workflow_executions("flow")] == [(first, 1), (second, 2)]


def test_a_disabled_workflow_is_not_started(home: Home, upload: Upload) -> None:
    upload("flow")
    ops.disable_workflow("flow")

    with pytest.raises(AIFlowException) as refusal:
        ops.start_workflow_execution("flow")

    assert str(refusal.value) == (
        "Start workflow execution failed. Workflow default.flow is disabled: enable it first."
    )
    assert ops.list_workflow_executions("flow") == []


@pytest.mark.parametrize(
    "operation",
    [ops.start_workflow_execution, ops.stop_workflow_executions, ops.list_workflow_executions],
)
def test_an_unknown_workflow_is_refused(home: Home, operation: object) -> None:
    assert callable(operation)

    with pytest.raises(AIFlowException, match=r"^Workflow default\.nothing not exists\.$"):
        operation("nothing")


def test_lists_are_in_order_and_come_in_pages(home: Home, upload: Upload) -> None:
    upload("flow")
    assert ops.list_workflow_executions("flow") == []
    ids = [ops.start_workflow_execution("flow") for _ in range(4)]

    assert [e.id for e in ops.list_workflow_executions("flow")] == ids
    assert [e.id for e in ops.list_workflow_executions("flow", limit=2, offset=1)] == ids[1:3]


def test_a_reader_goes_on_after_the_last_id_it_has_seen(home: Home, upload: Upload) -> None:
    upload("flow")
    ids = [ops.start_workflow_execution("flow") for _ in range(3)]

    with open_service(home) as service:
        page = service.workflow_executions.list("flow", limit=1, after_id=ids[0])

    assert [e.id for e in page] == [ids[1]]


def test_stop_ends_it_once_its_tasks_are_gone(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    execution_id = ops.start_workflow_execution("flow")
    stepping.step()

    ops.stop_workflow_execution(execution_id)
    stepping.step()
    assert _status(execution_id) == "RUNNING"
    assert stepping.asked_to_stop == [stepping.running[execution_id, "task"].attempt_id]
    stepping.end(execution_id, "task", "STOPPED")

    assert _status(execution_id) == "STOPPED"


def test_stopping_one_that_has_not_started_ends_it(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    execution_id = ops.start_workflow_execution("flow")
    ops.stop_workflow_execution(execution_id)

    stepping.step()

    assert _status(execution_id) == "STOPPED"


def test_stopping_a_finished_one_changes_nothing(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    execution_id = ops.start_workflow_execution("flow")
    stepping.step()
    stepping.end(execution_id, "task")

    ops.stop_workflow_execution(execution_id)
    stepping.step()

    assert _status(execution_id) == "SUCCESS"
    assert stepping.refusals() == []


def test_stop_all_stops_those_that_go_on(upload: Upload, stepping: Stepping) -> None:
    upload("flow", "other")
    done, running = (ops.start_workflow_execution("flow") for _ in range(2))
    stepping.step()
    stepping.end(done, "task")
    waiting = ops.start_workflow_execution("flow")
    of_other = ops.start_workflow_execution("other")

    ops.stop_workflow_executions("flow")
    stepping.step()
    stepping.end(running, "task", "STOPPED")

    assert [_status(id) for id in (done, running, waiting, of_other)] == [
        "SUCCESS",
        "STOPPED",
        "STOPPED",
        "RUNNING",
    ]


def test_a_finished_one_can_be_deleted(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    first, second = (ops.start_workflow_execution("flow") for _ in range(2))
    stepping.step()
    stepping.end(first, "task")

    ops.delete_workflow_execution(first)

    assert ops.get_workflow_execution(first) is None
    assert [e.id for e in ops.list_workflow_executions("flow")] == [second]
    assert stepping.rows(f"SELECT * FROM task_execution WHERE workflow_execution_id = {first}") == []
    assert stepping.rows(f"SELECT * FROM attempt WHERE workflow_execution_id = {first}") == []


def test_deleting_one_that_goes_on_is_refused(upload: Upload, stepping: Stepping) -> None:
    upload("flow")
    execution_id = ops.start_workflow_execution("flow")

    for _ in range(2):
        with pytest.raises(AIFlowException) as refusal:
            ops.delete_workflow_execution(execution_id)
        assert str(refusal.value) == f"Workflow execution {execution_id} is not finished, cannot be removed."
        stepping.step()

    assert _status(execution_id) == "RUNNING"


@pytest.mark.parametrize("operation", [ops.stop_workflow_execution, ops.delete_workflow_execution])
def test_an_unknown_execution_is_refused(home: Home, operation: object) -> None:
    assert callable(operation)
    assert ops.get_workflow_execution(7) is None

    with pytest.raises(AIFlowException, match=r"^Workflow execution 7 not exists\.$"):
        operation(7)


@pytest.mark.parametrize("id", ["7", None, 1.0, True])
def test_an_id_that_is_no_number_is_refused(home: Home, id: Any) -> None:
    for operation in (ops.get_workflow_execution, ops.stop_workflow_execution):
        with pytest.raises(AIFlowException, match="workflow_execution_id must be a whole number, found "):
            operation(id)


def test_the_service_starts_with_parameters(upload: Upload, stepping: Stepping, home: Home) -> None:
    upload("flow")

    with open_service(home) as service:
        service.workflow_executions.start("flow", params={"day": "monday"})

    assert stepping.rows("SELECT params FROM workflow_execution") == [('{"day": "monday"}',)]


def test_a_damaged_store_is_an_aiflow_exception_of_one_sentence(home: Home) -> None:
    home.make()
    home.database.write_bytes(b"this is not a database, it is a text that is long enough to tell" * 20)

    with pytest.raises(AIFlowException, match="is damaged or not a database"):
        ops.list_workflows()
