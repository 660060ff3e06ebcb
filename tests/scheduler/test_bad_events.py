# SPDX-License-Identifier: Apache-2.0
"""Events that nobody can use: each is refused or ignored, and the next one counts as always.

Anybody who may send events can send these. The scheduler reads its log in order, so one event that it could
not get past would stop every workflow of the home.
"""

from __future__ import annotations

import json

import pytest

from ai_flow.engine.lifecycle import SCHEDULING_KEY
from ai_flow.model.action import TaskAction
from ai_flow.model.operator import Operator
from ai_flow.model.workflow import Workflow
from ai_flow.scheduler.log_input import context_of, occurrence_of
from notification_service.model.event import Event
from tests.scheduler.stage import Stage, draft, picture

HUGE = 10**30
NESTED = "[" * 100_000 + "]" * 100_000


def _listener() -> Workflow:
    with Workflow(name="w") as workflow:
        Operator("stream")
        Operator("t").action_on_event_received(TaskAction.START, "k")
    return workflow


COMMANDS = {
    "no such command": ("DO_SOMETHING", {}),
    "no context": ("START_WORKFLOW_EXECUTION", None),
    "no id": ("STOP_WORKFLOW_EXECUTION", {}),
    "an id that is text": ("STOP_WORKFLOW_EXECUTION", {"workflow_execution_id": "first"}),
    "an id that is a list": ("STOP_WORKFLOW_EXECUTION", {"workflow_execution_id": [1]}),
    "a huge id": ("START_WORKFLOW_EXECUTION", {"workflow_execution_id": HUGE}),
    "an infinite id": ("START_WORKFLOW_EXECUTION", '{"workflow_execution_id": Infinity}'),
    "a negative id": ("WORKFLOW_CHANGED", {"workflow_id": -5}),
    "a huge workflow id": ("WORKFLOW_CHANGED", {"workflow_id": HUGE}),
    "an execution that does not exist": ("START_WORKFLOW_EXECUTION", {"workflow_execution_id": 4711}),
    "an execution that was started before": ("START_WORKFLOW_EXECUTION", {"workflow_execution_id": 1}),
    "a task that does not exist": (
        "START_TASK_EXECUTION",
        {"workflow_execution_id": 1, "task_name": "x"},
    ),
    "a task name that is half a character": (
        "START_TASK_EXECUTION",
        '{"workflow_execution_id": 1, "task_name": "\\ud800"}',
    ),
    "an origin that is none": (
        "STOP_WORKFLOW_EXECUTION",
        {"workflow_execution_id": 1, "origin": "aliens"},
    ),
    "giving up what does not wait": (
        "FAIL_WORKFLOW_EXECUTION",
        {"workflow_execution_id": 1, "reason": "no"},
    ),
    "giving up what does not exist": (
        "FAIL_WORKFLOW_EXECUTION",
        {"workflow_execution_id": 4711, "reason": "no"},
    ),
    "nested too deeply": ("STOP_WORKFLOW_EXECUTION", NESTED),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_a_command_that_cannot_be_carried_out_is_recorded_as_refused(stage: Stage, case: str) -> None:
    value, context = COMMANDS[case]
    actor = stage.actor("one")
    execution_id = stage.start(_listener(), owner="one")
    actor.step()
    command = Event(SCHEDULING_KEY, value)
    command.context = context if isinstance(context, str) or context is None else json.dumps(context)

    (stored,) = stage.log.append([command])
    actor.step()

    assert list(stage.refusals()) == [stored.offset]
    assert stage.status(execution_id) == "RUNNING"
    stage.send("k", execution_id)
    actor.step()
    assert [launch.task for launch in actor.launched] == ["stream", "t"]
    assert picture(actor.world) == picture(stage.load_world())


STRANGE_REASONS = {"a number": "5", "an object": '{"a": 1}', "half a character": '"\\udc00"', "a list": "[1]"}


@pytest.mark.parametrize("kind", STRANGE_REASONS)
def test_a_reason_that_is_no_text_is_written_down_as_one(stage: Stage, kind: str) -> None:
    actor = stage.actor("one")
    execution_id = stage.start(_listener(), owner="one")
    actor.step()
    command = Event(SCHEDULING_KEY, "STOP_WORKFLOW_EXECUTION")
    command.context = '{"workflow_execution_id": 1, "reason": ' + STRANGE_REASONS[kind] + "}"

    stage.log.append([command])
    actor.step()
    actor.end("stream", "STOPPED")

    assert stage.status(execution_id) == "STOPPED"
    assert isinstance(stage.reason(execution_id), str)


def test_a_claim_or_an_end_of_an_unknown_attempt_changes_nothing(stage: Stage) -> None:
    actor = stage.actor("one")
    execution_id = stage.start(_listener(), owner="one")
    actor.step()
    for value in ("ATTEMPT_CLAIMED", "ATTEMPT_FINISHED"):
        report = Event(SCHEDULING_KEY, value)
        report.context = json.dumps({"attempt_id": "unknown", "outcome": "SUCCESS", "reason": {"a": 1}})
        stage.log.append([report])

    actor.step()

    assert stage.runs(execution_id) == [("stream", 1, "RUNNING", 1)]


@pytest.mark.parametrize(
    ("context", "reached"),
    [
        (None, True),
        ("", True),
        ("not json", True),
        ("null", True),
        ("[1]", True),
        ("5", True),
        ("{}", True),
        (NESTED, True),
        ('{"workflow_execution_id": null}', True),
        ('{"workflow_execution_id": true}', True),
        ('{"workflow_execution_id": 1}', True),
        ('{"workflow_execution_id": "1"}', True),
        ('{"workflow_execution_id": 2}', False),
        ('{"workflow_execution_id": 0}', False),
        ('{"workflow_execution_id": -1}', False),
        (f'{{"workflow_execution_id": {HUGE}}}', False),
        (f'{{"workflow_execution_id": "{HUGE}"}}', False),
    ],
)
def test_whatever_the_context_is_the_event_reaches_whom_it_names(
    stage: Stage, context: str | None, reached: bool
) -> None:
    actor = stage.actor("one")
    stage.start(_listener(), owner="one")
    actor.step()

    stage.send("k", context=context)
    actor.step()

    assert ("t" in {launch.task for launch in actor.launched}) is reached


def test_a_context_with_half_a_character_is_read_without_it() -> None:
    event = draft("k")
    event.context = '{"workflow_execution_id": 3, "task_status": "\\ud800", "ok": "\\u00e4\\ud83d\\ude00"}'
    event.offset = 1

    assert context_of(event) == {"workflow_execution_id": 3, "task_status": "?", "ok": "ä😀"}
    assert occurrence_of(event).execution_id == 3


def test_a_person_stops_what_never_ran_and_is_told_so(stage: Stage) -> None:
    actor = stage.actor("one")
    execution_id = stage.start(_listener(), owner="one")
    actor.step()

    stage.command(execution_id, "t", TaskAction.STOP)
    actor.step()

    assert list(stage.refusals().values()) == ["task 't' cannot be stopped: never run"]


def test_two_starts_of_one_task_make_one_run(stage: Stage) -> None:
    actor = stage.actor("one")
    execution_id = stage.start(_listener(), owner="one")
    actor.step()

    assert stage.command(execution_id, "t", TaskAction.START) == 1
    assert stage.command(execution_id, "t", TaskAction.START) == 1
    actor.step()

    assert [run[:2] for run in stage.runs(execution_id)] == [("stream", 1), ("t", 1)]
    assert list(stage.refusals().values()) == ["task 't' is QUEUED"]
