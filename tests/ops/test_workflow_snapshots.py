# SPDX-License-Identifier: Apache-2.0
"""Snapshots: one per version, kept while something needs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ai_flow import ops
from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.common.home import Home
from ai_flow.model.internal.conditions import SingleEventCondition
from ai_flow.model.rule import WorkflowRule
from tests.ops.conftest import Upload
from tests.ops.stepping import Stepping


def test_each_version_is_a_snapshot_with_its_own_files(home: Home, upload: Upload) -> None:
    (workflow,) = upload("flow", content="# one\n")
    upload("flow", content="# two\n")

    first, second = ops.list_workflow_snapshots("flow")

    assert (first.id, second.id) == (1, 2)
    assert {first.workflow_id, second.workflow_id} == {workflow.id}
    assert Path(first.uri, "flow", "flow.py").read_text() == "# one\n"
    assert Path(second.uri, "flow", "flow.py").read_text() == "# two\n"
    assert first.signature != second.signature
    assert json.loads(first.workflow_object)["name"] == "flow"
    assert ops.get_workflow_snapshot(1) == first


def test_the_same_content_again_is_no_new_snapshot(home: Home, upload: Upload) -> None:
    upload("flow")
    upload("flow")

    assert len(ops.list_workflow_snapshots("flow")) == 1


def test_an_unknown_snapshot_is_none(home: Home) -> None:
    assert ops.get_workflow_snapshot(7) is None


def test_list_comes_oldest_first_in_pages(home: Home, upload: Upload) -> None:
    for number in range(3):
        upload("flow", content=f"# {number}\n")

    assert [s.id for s in ops.list_workflow_snapshots("flow", limit=1, offset=1)] == [2]
    assert [s.id for s in ops.list_workflow_snapshots("flow", "default", None, 1)] == [2, 3]


@pytest.mark.parametrize("operation", [ops.list_workflow_snapshots, ops.delete_workflow_snapshots])
def test_those_of_an_unknown_workflow_are_refused(home: Home, operation: object) -> None:
    assert callable(operation)

    with pytest.raises(AIFlowException, match=r"^Workflow default\.flow not exists\.$"):
        operation("flow")


def test_an_old_one_can_be_deleted(home: Home, upload: Upload) -> None:
    upload("flow", content="# one\n")
    upload("flow", content="# two\n")

    ops.delete_workflow_snapshot(1)

    assert [s.id for s in ops.list_workflow_snapshots("flow")] == [2]
    assert ops.start_workflow_execution("flow") == 1


def test_deleting_an_unknown_one_is_refused(home: Home) -> None:
    with pytest.raises(AIFlowException, match=r"^Workflow snapshot 7 not exists\.$"):
        ops.delete_workflow_snapshot(7)


def test_one_that_an_execution_is_pinned_to_stays(upload: Upload, stepping: Stepping) -> None:
    upload("flow", content="# one\n")
    execution = ops.start_workflow_execution("flow")
    upload("flow", content="# two\n")

    for delete in (lambda: ops.delete_workflow_snapshot(1), lambda: ops.delete_workflow_snapshots("flow")):
        with pytest.raises(AIFlowException) as refusal:
            delete()
        assert str(refusal.value) == (
            f"Workflow snapshot 1 is used by workflow execution {execution}, cannot be removed: remove that "
            "first."
        )

    assert len(ops.list_workflow_snapshots("flow")) == 2


def test_those_that_a_trigger_needs_stay(home: Home, upload: Upload) -> None:
    upload("flow", content="# one\n")
    trigger = ops.add_workflow_trigger(WorkflowRule(SingleEventCondition("go")), "flow")
    upload("flow", content="# two\n")

    for snapshot_id in (1, 2):
        with pytest.raises(AIFlowException, match=f"is used by workflow trigger {trigger.id}, cannot be"):
            ops.delete_workflow_snapshot(snapshot_id)

    ops.delete_workflow_trigger(trigger.id)
    ops.delete_workflow_snapshots("flow")
    assert ops.list_workflow_snapshots("flow") == []


def test_without_any_a_workflow_has_to_be_uploaded_again(home: Home, upload: Upload) -> None:
    upload("flow")
    ops.delete_workflow_snapshots("flow")

    found = ops.get_workflow("flow")
    assert found is not None
    assert (found.content, found.workflow_object) == ("", b"")
    for refused in (
        lambda: ops.start_workflow_execution("flow"),
        lambda: ops.add_workflow_trigger(WorkflowRule(SingleEventCondition("go")), "flow"),
    ):
        with pytest.raises(AIFlowException, match=r"Workflow default\.flow has no snapshot: upload its file"):
            refused()

    upload("flow")
    assert ops.start_workflow_execution("flow") == 1
