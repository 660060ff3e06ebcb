# SPDX-License-Identifier: Apache-2.0
"""What a step takes in, in which order, and that nothing is evaluated twice or skipped."""

from __future__ import annotations

import json

import pytest

from ai_flow.engine.world import RuleId, Verdict
from ai_flow.model.action import TaskAction
from ai_flow.model.internal.conditions import SingleEventCondition, TaskStatusCondition
from ai_flow.model.operator import Operator
from ai_flow.model.status import TaskStatus
from ai_flow.model.workflow import Workflow
from ai_flow.scheduler.scheduler import Send
from ai_flow.store import catalog
from tests.engine.play import Hosted
from tests.scheduler.stage import Stage, draft, picture


def _counting(name: str = "w") -> Workflow:
    """``t`` starts at each ``k``; ``stream`` never ends."""
    with Workflow(name=name) as workflow:
        Operator("stream")
        Operator("t").action_on_event_received(TaskAction.START, "k")
    return workflow


def test_a_hop_is_one_commit_with_its_claim(stage: Stage) -> None:
    with Workflow(name="chain") as workflow:
        a, b = Operator("a"), Operator("b")
        b.start_after(a)
    actor = stage.actor("one")
    stage.start(workflow, owner="one")
    actor.step()

    result = actor.end("a")

    assert [launch.task for launch in result.launches] == ["b"]
    keys = stage.rows("SELECT key, sender FROM event ORDER BY offset DESC LIMIT 2")
    assert keys == [
        ("[task_status_change].default.chain.b", "aiflow_scheduler"),
        ("[task_status_change].default.chain.a", "aiflow_scheduler"),
    ]


def test_an_idle_step_writes_nothing_and_has_no_news(stage: Stage) -> None:
    actor = stage.actor("one")
    stage.start(_counting(), owner="one")
    actor.step()
    before = stage.rows("SELECT max(offset) FROM event")

    assert not actor.scheduler.has_news(free_slots=9)
    result = actor.step()

    assert (result.launches, result.stops, result.finished, result.more) == ([], [], [], False)
    assert stage.rows("SELECT max(offset) FROM event") == before


def test_what_a_task_sends_is_stored_and_acts_in_one_step(stage: Stage) -> None:
    actor = stage.actor("one")
    execution_id = stage.start(_counting(), owner="one")
    actor.step()

    sends = [Send(drafts=[draft("k", execution_id), draft("other")], producer="p", sequence=7)]
    result = actor.step(sends=sends)

    (stored,) = result.stored
    assert isinstance(stored, list)
    assert [event.key for event in stored] == ["k", "other"]
    assert [launch.task for launch in result.launches] == ["t"]


def test_a_bad_send_is_its_senders_affair(stage: Stage) -> None:
    actor = stage.actor("one")
    execution_id = stage.start(_counting(), owner="one")
    actor.step()

    sends = [Send(drafts=[draft("")]), Send(drafts=[draft("k", execution_id)])]
    result = actor.step(sends=sends)

    assert isinstance(result.stored[0], Exception)
    assert isinstance(result.stored[1], list)
    assert [launch.task for launch in result.launches] == ["t"]


def test_many_events_are_taken_in_slices_and_each_is_evaluated_once(stage: Stage) -> None:
    actor = stage.actor("one")
    execution_id = stage.start(_counting(), owner="one")
    actor.step()
    stage.log.append([draft("k", execution_id) for _ in range(1201)])

    steps = 1
    while actor.step().more:
        steps += 1

    assert steps == 3
    counted = stage.rows("SELECT verdict, sum(event_count) FROM evaluation GROUP BY verdict")
    assert counted == [("yes", 1201)]
    offsets = stage.rows("SELECT event_offset FROM evaluation ORDER BY id")
    assert offsets == sorted(set(offsets))


def test_own_events_beyond_the_cursor_are_not_evaluated_twice(stage: Stage) -> None:
    """The step that is behind emits statuses after events that are still unread."""
    with Workflow(name="w") as workflow:
        a, b = Operator("a"), Operator("b")
        Operator("stream")
        a.action_on_event_received(TaskAction.START, "k")
        b.action_on_task_status(TaskAction.RESTART, {a: TaskStatus.RUNNING})
    actor = stage.actor("one")
    execution_id = stage.start(workflow, owner="one")
    actor.step()
    actor.end("b")
    stage.log.append([draft("k", execution_id), *(draft("noise") for _ in range(700))])

    actor.steps()
    actor.steps()

    assert [run for run in stage.runs(execution_id) if run[0] == "b"] == [
        ("b", 1, "SUCCESS", 1),
        ("b", 2, "RUNNING", 1),
    ]


def test_a_successor_does_not_evaluate_its_predecessors_events_again(stage: Stage) -> None:
    with Workflow(name="w") as workflow:
        a, b = Operator("a"), Operator("b")
        a.action_on_event_received(TaskAction.START, "k")
        b.action_on_task_status(TaskAction.RESTART, {a: TaskStatus.RUNNING})
        Operator("stream")
    first = stage.actor("first", takes_unowned=True)
    execution_id = stage.start(workflow)
    first.step()
    stage.log.append([draft("k", execution_id), *(draft("noise") for _ in range(700))])
    first.step()

    first.die()
    second = stage.actor("second", takes_unowned=True)
    second.steps()

    sequence_numbers = [number for task, number, *_ in stage.runs(execution_id) if task == "b"]
    assert max(int(str(number)) for number in sequence_numbers) <= 2


def test_own_events_in_a_backlog_meet_triggers_and_rules_on_their_keys_once(stage: Stage) -> None:
    key = "[task_status_change].default.w.stream"
    with Workflow(name="w") as workflow:
        Operator("stream", periodic_expression="interval@0 0 0 10")
        Operator("t").action_on_event_received(TaskAction.START, key)
    workflow_id, _ = stage.upload(_counting("triggered"))
    stage.add_trigger(workflow_id, SingleEventCondition(key))
    actor = stage.actor("one", takes_unowned=True)
    stage.start(workflow, owner="one")
    stage.log.append([draft("noise") for _ in range(700)])

    actor.steps()
    stage.advance(11)
    actor.steps()

    announced = stage.rows("SELECT offset FROM event WHERE key = ? ORDER BY offset", key)
    triggered = stage.rows(
        "SELECT event_offset FROM evaluation WHERE scope_kind = 'workflow' ORDER BY event_offset"
    )
    started = stage.rows("SELECT event_offset FROM evaluation WHERE task_name = 't' ORDER BY event_offset")
    assert len(announced) >= 2
    assert triggered == started == announced
    assert stage.refusals() == {}


def test_a_slice_that_ends_by_its_size_does_not_end_the_log(stage: Stage) -> None:
    actor = stage.actor("one")
    execution_id = stage.start(_counting(), owner="one")
    actor.step()
    big = "x" * (5 * 1024 * 1024)
    stage.log.append([draft("noise", value=big), draft("noise", value=big), draft("k", execution_id)])

    assert actor.step().more
    actor.steps()

    assert [run[0] for run in stage.runs(execution_id)] == ["stream", "t"]


def test_an_event_of_a_task_called_like_the_scheduler_counts(stage: Stage) -> None:
    actor = stage.actor("one")
    execution_id = stage.start(_counting(), owner="one")
    actor.step()

    stage.send("k", execution_id, sender="aiflow_scheduler")
    actor.step()

    assert [launch.task for launch in actor.launched] == ["stream", "t"]


def test_a_trigger_creates_an_execution_that_starts_in_the_same_step(stage: Stage) -> None:
    workflow_id, snapshot_id = stage.upload(_counting("triggered"))
    trigger_id = stage.add_trigger(workflow_id, SingleEventCondition("go"))
    actor = stage.actor("one", takes_unowned=True)
    actor.step()

    event = stage.send("go")
    result = actor.step()

    assert [launch.task for launch in result.launches] == ["stream"]
    found = stage.rows(
        "SELECT workflow_id, snapshot_id, run_type, status, trigger_id FROM workflow_execution"
    )
    assert found == [(workflow_id, snapshot_id, "EVENT", "RUNNING", trigger_id)]
    ((created,),) = stage.rows("SELECT created_offset FROM workflow_execution")
    assert int(str(created)) > int(event.offset or 0)


def test_a_trigger_met_in_a_backlog_creates_its_execution_later(stage: Stage) -> None:
    workflow_id, _ = stage.upload(_counting("triggered"))
    stage.add_trigger(workflow_id, SingleEventCondition("go"))
    actor = stage.actor("one", takes_unowned=True)
    actor.step()
    stage.log.append([draft("go"), *(draft("k") for _ in range(600))])

    actor.steps()

    assert [launch.task for launch in actor.launched] == ["stream"], "the events before its START are not its"
    assert stage.rows("SELECT status FROM workflow_execution") == [("RUNNING",)]


@pytest.mark.parametrize("status", [TaskStatus.RUNNING, TaskStatus.SUCCESS])
def test_a_trigger_on_the_status_of_a_task_fires_also_on_its_start(stage: Stage, status: TaskStatus) -> None:
    workflow_id, _ = stage.upload(_counting("triggered"))
    stage.add_trigger(workflow_id, TaskStatusCondition("w", "stream", "default", status))
    actor = stage.actor("one", takes_unowned=True)
    stage.start(_counting())
    actor.step()

    if status is TaskStatus.SUCCESS:
        actor.end("stream")

    assert len(actor.launched) == 2
    assert stage.rows("SELECT workflow_id, status FROM workflow_execution ORDER BY id DESC LIMIT 1") == [
        (workflow_id, "RUNNING")
    ]


def test_a_chain_of_triggers_is_followed_to_its_end_in_one_step(stage: Stage) -> None:
    actor = stage.actor("one", takes_unowned=True)
    upstream = "w"
    for name in ("x", "y", "z"):
        workflow_id, _ = stage.upload(_counting(name))
        stage.add_trigger(workflow_id, TaskStatusCondition(upstream, "stream", "default", TaskStatus.RUNNING))
        upstream = name
    stage.start(_counting())

    result = actor.step()

    assert [launch.task for launch in result.launches] == ["stream"] * 4


def test_a_disabled_workflows_trigger_events_are_dropped(stage: Stage) -> None:
    workflow_id, _ = stage.upload(_counting("triggered"))
    stage.add_trigger(workflow_id, SingleEventCondition("go"))
    actor = stage.actor("one", takes_unowned=True)
    actor.step()

    stage.set_enabled(workflow_id, False)
    stage.send("go")
    actor.step()
    stage.set_enabled(workflow_id, True)
    actor.step()

    assert stage.rows("SELECT count(*) FROM workflow_execution") == [(0,)]
    said = stage.rows("SELECT scope_kind, verdict, outcome FROM evaluation")
    assert said == [("workflow", "late", "ignored: the workflow is disabled")]


def test_equal_no_verdicts_fold_into_a_count(stage: Stage) -> None:
    with Workflow(name="w") as workflow:
        Operator("stream")
        condition = TaskStatusCondition("other", "t", "default", TaskStatus.FAILED)
        Operator("t").action_on_condition(TaskAction.START, condition)
    actor = stage.actor("one")
    execution_id = stage.start(workflow, owner="one")
    actor.step()
    key = "[task_status_change].default.other.t"
    successes = [draft(key, execution_id, context=None) for _ in range(5)]
    for event in successes:
        event.context = json.dumps({"workflow_execution_id": execution_id, "task_status": "SUCCESS"})

    stored = stage.log.append(successes)
    actor.step()
    stage.log.append(successes)
    actor.step()

    (row,) = stage.rows("SELECT verdict, event_count, event_offset, last_offset FROM evaluation")
    assert row[:3] == ("no", 10, stored[0].offset)


def test_a_failure_of_a_condition_is_kept_with_its_event(stage: Stage) -> None:
    with Workflow(name="w") as workflow:
        Operator("stream")
        Operator("t").action_on_condition(TaskAction.START, Hosted("h"))
    actor = stage.actor("one")
    execution_id = stage.start(workflow, owner="one")
    actor.step()
    event = stage.send("h", execution_id)
    actor.step()
    scope = actor.world.executions[execution_id].scope
    assert picture(actor.world) == picture(stage.load_world())

    actor.step(verdicts=[(scope.id, RuleId("t", 0), Verdict(error="ValueError: no"))])

    failures = stage.rows("SELECT scope_id, task_name, rule_index, event_offset, error FROM rule_failure")
    assert failures == [(execution_id, "t", 0, event.offset, "ValueError: no")]
    assert stage.rows("SELECT count(*) FROM inbox") == [(0,)]


def test_a_parked_event_is_asked_for_again_by_the_successor(stage: Stage) -> None:
    with Workflow(name="w") as workflow:
        Operator("stream")
        Operator("t").action_on_condition(TaskAction.START, Hosted("h"))
        Operator("u").action_on_event_received(TaskAction.START, "k")
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(workflow, owner="second")
    first.step()
    for key in ("h", "k"):
        stage.send(key, execution_id)
    first.step()

    first.die()
    second.step()
    assert second.scheduler.engine is not None
    ((scope_id, scope),) = second.scheduler.engine.waiting.items()
    assert [parked.key for parked in scope.inbox] == ["h", "k"]
    second.step(verdicts=[(scope_id, RuleId("t", 0), Verdict(met=True, offset=scope.inbox[0].offset))])

    assert {launch.task for launch in second.launched} == {"stream", "t", "u"}
    assert stage.rows("SELECT count(*) FROM inbox") == [(0,)]


def test_an_event_that_waits_for_triggers_leaves_with_the_last_of_them(stage: Stage) -> None:
    workflow_id, _ = stage.upload(_counting("triggered"))
    stage.add_trigger(workflow_id, Hosted("h"))
    actor = stage.actor("one", takes_unowned=True)
    actor.step()
    stage.send("h")
    actor.step()
    assert stage.rows("SELECT count(*) FROM inbox") == [(1,)]

    with stage.database.write() as tx:
        tx.execute(catalog.SQL.delete_triggers, workflow_id=workflow_id)
        stage.commands.announce_workflow(tx, workflow_id, now_ms=stage.clock.now_ms())
    actor.step()

    assert stage.rows("SELECT count(*) FROM inbox") == [(0,)]
    assert actor.world.workflows == {}


def test_timers_move_with_the_events_of_their_ticks(stage: Stage) -> None:
    with Workflow(name="w") as workflow:
        Operator("p", periodic_expression="interval@0 0 0 10")
    actor = stage.actor("one")
    execution_id = stage.start(workflow, owner="one")
    actor.step()
    actor.end("p")
    due_ms = stage.clock.now_ms() + 10_000
    assert actor.scheduler.next_due_ms() == due_ms

    stage.advance(10)
    actor.step()

    assert stage.rows("SELECT due_at FROM task_timer") == [(due_ms + 10_000,)]
    assert stage.rows("SELECT count(*) FROM event WHERE value = 'PERIODIC_RUN_TASK'") == [(1,)]
    assert stage.runs(execution_id)[-1] == ("p", 2, "RUNNING", 1)
    stage.stop(execution_id)
    actor.step()
    assert stage.rows("SELECT count(*) FROM task_timer") == [(0,)]


def test_queued_tasks_wait_for_slots_in_their_order(stage: Stage) -> None:
    with Workflow(name="w") as workflow:
        for number in range(5):
            Operator(f"t{number}")
    actor = stage.actor("one", slots=2)
    stage.start(workflow, owner="one")
    actor.step()
    while actor.running:
        actor.end(next(iter(actor.running.values())).task)

    assert [launch.task for launch in actor.launched] == [f"t{number}" for number in range(5)]
