# SPDX-License-Identifier: Apache-2.0
"""What travels between a task and its supervisor arrives as it was."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.metadata.namespace import NamespaceMeta
from ai_flow.metadata.task_execution import TaskExecutionMeta
from ai_flow.metadata.workflow import WorkflowMeta
from ai_flow.metadata.workflow_event_trigger import WorkflowEventTriggerMeta
from ai_flow.metadata.workflow_execution import WorkflowExecutionMeta
from ai_flow.metadata.workflow_snapshot import WorkflowSnapshotMeta
from ai_flow.service.codec import decode, decode_error, encode, encode_error
from ai_flow.service.errors import InUseError, NotFoundError, UploadError

#: Local times of whole milliseconds, away from the hours that a change of the clocks has twice or never.
_TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(
    lambda t: t.replace(hour=12, microsecond=t.microsecond // 1000 * 1000)
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | _TIMES,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=10,
)
_METAS = (
    st.builds(NamespaceMeta, name=st.text(), properties=st.text())
    | st.builds(TaskExecutionMeta, begin_date=st.none() | _TIMES, end_date=st.none() | _TIMES)
    | st.builds(WorkflowMeta, create_time=_TIMES, update_time=_TIMES)
    | st.builds(
        WorkflowEventTriggerMeta,
        create_time=_TIMES,
        condition=st.dictionaries(st.text(), st.text() | st.lists(st.text())),
    )
    | st.builds(WorkflowExecutionMeta, begin_date=st.none() | _TIMES, end_date=st.none() | _TIMES)
    | st.builds(WorkflowSnapshotMeta, create_time=_TIMES)
)


@given(_VALUES | _METAS | st.lists(_METAS))
def test_a_value_arrives_as_it_was(value: object) -> None:
    assert decode(json.loads(json.dumps(encode(value)))) == value


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("Workflow execution", 7),
        InUseError(1, "workflow trigger 2"),
        UploadError.no_way_in("f.py", "default.flow", [("a", "'b'")]),
    ],
)
def test_an_error_arrives_with_its_class_and_ids(error: AIFlowException) -> None:
    arrived = decode_error(json.loads(json.dumps(encode_error(error))))

    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) | {"hint": None} == vars(error) | {"hint": None}


def test_an_error_of_a_class_from_elsewhere_keeps_its_code() -> None:
    class OtherError(AIFlowException):
        code = "other"

    arrived = decode_error(encode_error(OtherError("Something else.")))

    assert (type(arrived), str(arrived), arrived.code) == (AIFlowException, "Something else.", "other")


def test_a_value_that_cannot_travel_becomes_a_text_that_says_what_it_is() -> None:
    assert encode({1, 2}) == "{1, 2}"
