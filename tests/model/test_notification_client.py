# SPDX-License-Identifier: Apache-2.0
"""Sending and listening to events from within a task, over a real log."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

import ai_flow
from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.common.util.mock_context import set_mock_runtime_context
from ai_flow.model.errors import InvalidEventKeyError
from ai_flow.model.internal.contexts import TaskExecutionContext, set_runtime_task_context
from ai_flow.model.task_execution import TaskExecutionKey
from ai_flow.model.workflow import Workflow
from ai_flow.notification.notification_client import AIFlowNotificationClient, Event, ListenerProcessor
from tests.support import wait_until

ROOTS = [Path(ai_flow.__file__).parents[1], Path(ai_flow.__file__).parents[2] / "notification"]


class Recorder(ListenerProcessor):
    def __init__(self) -> None:
        self.events: list[Event] = []

    def process(self, events: list[Event]) -> None:
        self.events.extend(events)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/log.db"


@pytest.fixture
def client(uri: str, no_task: None) -> Iterator[AIFlowNotificationClient]:
    """The client of run 2 of a task of execution 7, in namespace ``team``."""
    key = TaskExecutionKey(workflow_execution_id=7, task_name="task", seq_num=2)
    set_runtime_task_context(TaskExecutionContext(Workflow("w", namespace="team"), key))
    with AIFlowNotificationClient(uri) as client:
        yield client


def test_an_event_says_whose_it_is(client: AIFlowNotificationClient) -> None:
    event = client.send_event("key", "value")

    assert (event.key, event.value, event.namespace, event.sender) == ("key", "value", "team", "7_task_2")
    assert json.loads(event.context or "") == {"workflow_execution_id": 7}
    assert event.offset == 1 and event.create_time is not None


def test_a_value_is_optional_and_stored_as_empty_text(client: AIFlowNotificationClient) -> None:
    assert client.send_event(key="key").value == ""
    assert client.send_event(key="key", value=None).value == ""
    assert client.send_event(key="key", value="").value == ""


def test_many_events_are_sent_in_their_order_and_belong_to_this_run(client: AIFlowNotificationClient) -> None:
    foreign = Event("a", "1", namespace="elsewhere", sender="somebody", context="{}")

    events = client.send_events([foreign, ("b", "2"), ("c", None)])

    assert [(event.key, event.value, event.offset) for event in events] == [
        ("a", "1", 1),
        ("b", "2", 2),
        ("c", "", 3),
    ]
    assert {(event.namespace, event.sender) for event in events} == {("team", "7_task_2")}
    assert {event.context for event in events} == {'{"workflow_execution_id": 7}'}
    assert foreign.namespace == "elsewhere" and foreign.context == "{}"
    assert client.send_events([]) == []


def test_a_listener_gets_the_events_from_now_on(client: AIFlowNotificationClient) -> None:
    client.send_events([("key", "before")] * 2000)  # so many that their times run ahead of the clock
    recorder = Recorder()

    client.register_listener(recorder, event_keys=["key"])
    client.send_event("other", "skipped")
    client.send_event("key", "after")

    wait_until(lambda: recorder.events)
    assert [event.value for event in recorder.events] == ["after"]


def test_a_listener_can_begin_in_the_past(client: AIFlowNotificationClient) -> None:
    client.send_event("key", "before")
    recorder = Recorder()

    client.register_listener(recorder, begin_time=datetime(2020, 1, 1))

    wait_until(lambda: [event.value for event in recorder.events] == ["before"])


def test_an_ended_listener_gets_nothing_any_more(client: AIFlowNotificationClient) -> None:
    ended, other = Recorder(), Recorder()
    registration = client.register_listener(ended, ["key"])
    client.register_listener(other, ["key"])

    client.unregister_listener(registration)
    client.send_event("key", "late")

    wait_until(lambda: other.events)
    assert ended.events == []


@pytest.mark.usefixtures("no_task")
def test_outside_a_task_there_is_no_client(uri: str) -> None:
    with pytest.raises(AIFlowException) as raised:
        AIFlowNotificationClient(uri)

    assert str(raised.value) == "AIFlowNotificationClient can only be used in AIFlow operators."


@pytest.mark.usefixtures("no_task")
def test_a_process_that_pretends_to_be_a_task_has_one(uri: str) -> None:
    set_mock_runtime_context()

    with AIFlowNotificationClient(uri) as client:
        assert client.send_event("key").sender == "1_mock_task_1"


def test_a_program_that_a_task_started_sends_as_that_task(uri: str) -> None:
    script = (
        "from ai_flow.notification_client import AIFlowNotificationClient\n"
        f"with AIFlowNotificationClient({uri!r}) as client:\n"
        "    event = client.send_event('key', 'value')\n"
        "print(event.namespace, event.sender, event.context)\n"
    )
    environment = {
        "PYTHONPATH": ":".join(map(str, ROOTS)),
        "AIFLOW_NAMESPACE": "team",
        "AIFLOW_WORKFLOW_EXECUTION_ID": "7",
        "AIFLOW_TASK_NAME": "task",
        "AIFLOW_SEQUENCE_NUMBER": "2",
    }

    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60
    )

    assert result.stdout == 'team 7_task_2 {"workflow_execution_id": 7}\n', result.stderr


@pytest.mark.parametrize("key", ["", None, "k" * 1025])
def test_an_impossible_key_is_refused_before_it_travels(client: AIFlowNotificationClient, key: str) -> None:
    with pytest.raises(InvalidEventKeyError):
        client.send_event(key)


@pytest.mark.parametrize("thing", ["key", ("key",), ("a", "b", "c"), 5])
def test_what_is_no_event_is_refused(client: AIFlowNotificationClient, thing: object) -> None:
    with pytest.raises(AIFlowException, match="cannot be sent"):
        client.send_events([thing])  # type: ignore[list-item]


def test_closing_twice_is_fine(client: AIFlowNotificationClient) -> None:
    client.close()
    client.close()
