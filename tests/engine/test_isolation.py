# SPDX-License-Identifier: Apache-2.0
"""Which executions and triggers an event reaches (design, section 5; behaviour 2.3)."""

from __future__ import annotations

from ai_flow.engine.changes import RuleVerdict
from ai_flow.model.action import TaskAction
from ai_flow.model.internal.conditions import MeetAllCondition, SingleEventCondition, TaskStatusCondition
from ai_flow.model.operator import Operator
from ai_flow.model.status import TaskStatus
from ai_flow.model.workflow import Workflow
from tests.engine.play import Play, status_of


def _listener(name: str = "w", namespace: str = "default") -> Workflow:
    with Workflow(name=name, namespace=namespace) as workflow:
        Operator("stream")
        Operator("t").action_on_event_received(TaskAction.START, "k")
    return workflow


def test_an_event_that_names_an_execution_reaches_that_one_only() -> None:
    play = Play()
    first, second = play.start(_listener()), play.start(_listener())

    play.event("k", second)

    assert status_of(first, "t") is None
    assert status_of(second, "t") is TaskStatus.RUNNING


def test_an_event_that_names_an_execution_reaches_it_whatever_its_namespace() -> None:
    play = Play()
    execution = play.start(_listener())

    play.event("k", execution, namespace="elsewhere")

    assert status_of(execution, "t") is TaskStatus.RUNNING


def test_an_event_that_names_none_reaches_every_running_execution_of_its_namespace() -> None:
    play = Play()
    first, second = play.start(_listener("w1")), play.start(_listener("w2"))
    stranger = play.start(_listener("w3", "elsewhere"))

    play.event("k")

    assert status_of(first, "t") is TaskStatus.RUNNING
    assert status_of(second, "t") is TaskStatus.RUNNING
    assert status_of(stranger, "t") is None


def test_an_event_for_an_execution_that_does_not_exist_is_recorded_and_reaches_nobody() -> None:
    play = Play()
    execution = play.start(_listener())

    offset = play.event("k", 4711)

    assert status_of(execution, "t") is None
    late = [e for e in play.evaluations if e.verdict is RuleVerdict.LATE]
    assert [(e.scope.id, e.offset) for e in late] == [(4711, offset)]


def test_an_execution_sees_exactly_the_events_after_its_creation() -> None:
    play = Play()
    early = play.start(_listener())
    execution = play.start(_listener())
    execution.created_offset = play.head + 1

    play.event("k")
    assert status_of(early, "t") is TaskStatus.RUNNING
    assert status_of(execution, "t") is None
    play.event("k")

    assert status_of(execution, "t") is TaskStatus.RUNNING


def test_a_finished_execution_is_not_reached_by_events_for_all() -> None:
    with Workflow(name="w") as workflow:
        Operator("a").action_on_event_received(TaskAction.RESTART, "k")
    play = Play()
    execution = play.start(workflow)
    play.end(execution, "a")

    play.event("k")

    assert execution.runs["a"].sequence_number == 1
    assert play.evaluations == []


def test_triggers_match_namespace_and_key_whatever_execution_the_event_names() -> None:
    play = Play()
    execution = play.start(_listener())
    play.add_triggers(7, {70: SingleEventCondition("k")})
    play.add_triggers(8, {80: SingleEventCondition("k")}, namespace="elsewhere")

    play.event("k", execution)
    play.event("k")
    play.event("k", 4711)
    play.event("other")

    assert [(r.workflow_id, r.trigger_id) for r in play.requests] == [(7, 70)] * 3


def test_one_event_makes_at_most_one_execution_of_a_workflow_by_its_first_met_trigger() -> None:
    play = Play()
    both = MeetAllCondition("m", [SingleEventCondition("k"), SingleEventCondition("x")])
    play.add_triggers(7, {70: both, 71: SingleEventCondition("k"), 72: SingleEventCondition("k")})

    play.event("k")

    assert [r.trigger_id for r in play.requests] == [71]
    said = [(e.rule.index, e.verdict.value) for e in play.evaluations]
    assert said == [(70, "no"), (71, "yes")]


def test_triggers_of_different_workflows_do_not_hinder_each_other() -> None:
    play = Play()
    play.add_triggers(7, {70: SingleEventCondition("k")})
    play.add_triggers(8, {80: SingleEventCondition("k")})

    play.event("k")

    assert [r.workflow_id for r in play.requests] == [7, 8]


def test_trigger_state_is_per_workflow_and_outlives_executions() -> None:
    play = Play()
    for id in (7, 8):
        both = MeetAllCondition("m", [SingleEventCondition("a"), SingleEventCondition("b")])
        play.add_triggers(id, {id * 10: both})

    for key in ("a", "b", "a", "b"):
        play.event(key)

    assert [r.workflow_id for r in play.requests] == [7, 8, 7, 8]


def test_a_status_change_can_trigger_another_workflow() -> None:
    play = Play()
    play.add_triggers(7, {70: TaskStatusCondition("w", "stream", "default", TaskStatus.RUNNING)})

    execution = play.start(_listener())
    play.end(execution, "stream", "FAILED")

    assert [r.trigger_id for r in play.requests] == [70]


def test_the_events_of_a_disabled_workflow_are_dropped_and_recorded() -> None:
    play = Play()
    workflow = play.add_triggers(7, {70: SingleEventCondition("k")})
    workflow.is_enabled = False

    offset = play.event("k")
    workflow.is_enabled = True

    assert play.requests == []
    said = [(e.offset, e.verdict, e.outcome) for e in play.evaluations]
    assert said == [(offset, RuleVerdict.LATE, "ignored: the workflow is disabled")]
    play.event("k")
    assert len(play.requests) == 1


def test_a_paused_trigger_is_passed_over() -> None:
    play = Play()
    workflow = play.add_triggers(7, {70: SingleEventCondition("k"), 71: SingleEventCondition("k")})
    workflow.triggers[70].is_paused = True

    play.event("k")

    assert [r.trigger_id for r in play.requests] == [71]


def test_a_trigger_sees_exactly_the_events_after_its_creation() -> None:
    play = Play()
    workflow = play.add_triggers(7, {70: SingleEventCondition("k")})
    workflow.triggers[70].created_offset = play.head + 1

    play.event("k")
    assert play.requests == []
    play.event("k")

    assert len(play.requests) == 1


def test_a_removed_workflow_is_not_triggered_any_more() -> None:
    play = Play()
    play.add_triggers(7, {70: SingleEventCondition("k")})
    play.world.remove_workflow(7)

    play.event("k")

    assert play.requests == []
    assert play.world.workflows_listening("default", "k") == []


def test_work_per_event_does_not_grow_with_executions_that_do_not_listen() -> None:
    play = Play()
    for _ in range(50):
        play.start(_listener())
    with Workflow(name="other") as workflow:
        Operator("stream")
        Operator("t").action_on_event_received(TaskAction.START, "rare")
    execution = play.start(workflow)

    assert play.world.executions_listening("default", "rare") == [execution]
    play.event("rare")

    assert len(play.evaluations) == 1


def test_indexes_are_empty_when_everything_has_finished() -> None:
    with Workflow(name="w") as workflow:
        a, b = Operator("a"), Operator("b")
        b.start_after(a)
    play = Play()
    for _ in range(3):
        execution = play.start(workflow)
        play.end(execution, "a")
        play.end(execution, "b")

    world = play.world
    assert world.executions == {}
    assert not any(world.queued.values())
    for name, index in vars(world).items():
        if name.startswith("_"):
            assert not index, f"{name} still holds {index}"
