# SPDX-License-Identifier: Apache-2.0
"""Events that wait for a condition host: order, statuses as of the event, and nobody else waits."""

from __future__ import annotations

import json

from ai_flow.engine.changes import RuleVerdict
from ai_flow.engine.world import Execution, RuleId, Verdict
from ai_flow.model.action import TaskAction
from ai_flow.model.internal.conditions import SingleEventCondition
from ai_flow.model.operator import Operator
from ai_flow.model.status import TaskStatus, WorkflowStatus
from ai_flow.model.workflow import Workflow
from tests.engine.play import Hosted, Play, as_json, status_of


def _workflow() -> Workflow:
    """``t`` starts by a user's condition, ``plain`` by an event, ``join`` after ``a`` and ``b``."""
    with Workflow(name="w") as workflow:
        a, b, join = Operator("a"), Operator("b"), Operator("join")
        Operator("t").action_on_condition(TaskAction.START, Hosted("h"))
        Operator("plain").action_on_event_received(TaskAction.START, "k")
        join.start_after([a, b])
    return workflow


def _keys(execution: Execution) -> list[str]:
    return [parked.key for parked in execution.scope.inbox]


def test_an_event_for_a_users_condition_is_parked_until_the_verdict() -> None:
    play = Play()
    execution = play.start(_workflow())

    play.event("h", execution)

    assert execution.scope.waits_for == RuleId("t", 0)
    assert play.engine.waiting == {execution.scope.id: execution.scope}
    assert status_of(execution, "t") is None
    play.say(execution.scope, met=True)
    assert status_of(execution, "t") is TaskStatus.RUNNING
    assert _keys(execution) == []
    assert play.engine.waiting == {}


def test_a_no_of_a_host_is_recorded_and_does_nothing() -> None:
    play = Play()
    execution = play.start(_workflow())
    play.event("h", execution)

    play.say(execution.scope, met=False)

    assert play.verdicts_of("t") == ["no"]
    assert status_of(execution, "t") is None


def test_later_events_of_the_execution_queue_behind_a_parked_one_in_order() -> None:
    play = Play()
    execution = play.start(_workflow())
    offsets = [play.event("h", execution), play.event("k", execution), play.event("h", execution)]

    assert _keys(execution) == ["h", "k", "h"]
    assert status_of(execution, "plain") is None
    play.say(execution.scope)
    assert status_of(execution, "plain") is TaskStatus.RUNNING
    assert _keys(execution) == ["h"]
    play.say(execution.scope)

    evaluated = [(e.rule.task, e.offset) for e in play.evaluations if e.rule.task != "join"]
    assert evaluated == [("t", offsets[0]), ("plain", offsets[1]), ("t", offsets[2])]


def test_events_without_a_rule_do_not_queue() -> None:
    play = Play()
    execution = play.start(_workflow())
    play.event("h", execution)

    play.event("nobody listens", execution)

    assert _keys(execution) == ["h"]


def test_other_executions_do_not_wait() -> None:
    play = Play()
    slow, other = play.start(_workflow()), play.start(_workflow())
    play.event("h", slow)

    play.event("k", other)

    assert status_of(other, "plain") is TaskStatus.RUNNING


def test_a_status_change_that_queues_is_judged_by_the_statuses_of_its_time() -> None:
    """``a`` became SUCCESS while ``b`` ran: that event must not fire although ``b`` has succeeded since."""
    play = Play()
    execution = play.start(_workflow())
    play.event("h", execution)
    play.end(execution, "a")
    play.end(execution, "b")
    assert status_of(execution, "join") is None

    play.say(execution.scope)

    assert play.verdicts_of("join") == ["no", "no", "no", "yes"]
    assert status_of(execution, "join") is TaskStatus.RUNNING
    assert execution.runs["join"].sequence_number == 1


def test_a_join_that_was_complete_fires_even_if_an_upstream_runs_again_meanwhile() -> None:
    with Workflow(name="w") as workflow:
        a, b, join = Operator("a"), Operator("b"), Operator("join")
        Operator("t").action_on_condition(TaskAction.START, Hosted("h"))
        join.start_after([a, b])
    play = Play()
    execution = play.start(workflow)
    play.end(execution, "a")
    play.event("h", execution)
    play.end(execution, "b")
    play.command(execution, "b", TaskAction.RESTART)

    play.say(execution.scope)

    assert status_of(execution, "join") is TaskStatus.RUNNING


def test_an_execution_cannot_end_while_its_inbox_is_not_empty() -> None:
    play = Play()
    execution = play.start(_workflow())
    play.event("k", execution)
    play.end(execution, "plain")
    play.event("h", execution)
    for task in "ab":
        play.end(execution, task)
    assert not list(execution.alive())

    assert execution.status is WorkflowStatus.RUNNING
    play.say(execution.scope, met=True)
    assert execution.status is WorkflowStatus.RUNNING
    play.end(execution, "t")
    play.end(execution, "join")

    assert execution.status is WorkflowStatus.SUCCESS


def test_the_last_verdict_of_an_inbox_can_end_the_execution() -> None:
    with Workflow(name="w") as workflow:
        Operator("a").action_on_condition(TaskAction.RESTART, Hosted("h"))
    play = Play()
    execution = play.start(workflow)
    play.event("h", execution)
    play.end(execution, "a")
    assert execution.status is WorkflowStatus.RUNNING

    play.say(execution.scope, met=False)

    assert execution.status is WorkflowStatus.SUCCESS


def test_states_change_once_and_in_the_order_of_the_events() -> None:
    play = Play()
    execution = play.start(_workflow())
    play.event("h", execution)
    play.event("h", execution)

    play.say(execution.scope, states={"sum": as_json(1)})
    assert json.loads(execution.scope.states["sum"].data) == 1
    play.say(execution.scope, met=True, states={"sum": None})

    assert execution.scope.states == {}


def test_states_of_an_event_wait_until_all_its_verdicts_are_there() -> None:
    with Workflow(name="w") as workflow:
        Operator("stream")
        for task in ("t1", "t2"):
            Operator(task).action_on_condition(TaskAction.START, Hosted("h"))
    play = Play()
    execution = play.start(workflow)
    play.event("h", execution)

    play.say(execution.scope, met=True, states={"x": as_json(1)})
    assert execution.scope.waits_for == RuleId("t2", 0)
    assert execution.scope.states == {}
    assert status_of(execution, "t1") is None
    play.say(execution.scope, met=True)

    assert status_of(execution, "t1") is TaskStatus.RUNNING
    assert status_of(execution, "t2") is TaskStatus.RUNNING
    assert set(execution.scope.states) == {"x"}


def test_a_failing_condition_is_a_failure_of_its_rule_only() -> None:
    with Workflow(name="w") as workflow:
        Operator("stream")
        task = Operator("t")
        task.action_on_condition(TaskAction.START, Hosted("h"))
        task.action_on_event_received(TaskAction.START, "h")
        Operator("other").action_on_event_received(TaskAction.START, "h")
    play = Play()
    execution = play.start(workflow)
    offset = play.event("h", execution)

    play.say(execution.scope, error="the condition took longer than 10 s")

    said = [(e.rule.task, e.rule.index, e.verdict, e.error) for e in play.evaluations if e.offset == offset]
    assert said == [
        ("t", 0, RuleVerdict.ERROR, "the condition took longer than 10 s"),
        ("other", 0, RuleVerdict.YES, None),
    ]
    assert status_of(execution, "t") is None
    assert status_of(execution, "other") is TaskStatus.RUNNING


def test_the_next_event_is_tried_again_after_a_failure() -> None:
    play = Play()
    execution = play.start(_workflow())
    play.event("h", execution)
    play.say(execution.scope, error="no")

    play.event("h", execution)
    play.say(execution.scope, met=True)

    assert status_of(execution, "t") is TaskStatus.RUNNING


def test_a_verdict_that_nobody_waits_for_is_ignored() -> None:
    play = Play()
    execution = play.start(_workflow())
    play.event("h", execution)

    for rule in (RuleId("plain", 0), RuleId("t", 3)):
        play.step(lambda rule=rule: play.engine.verdict(execution.scope, rule, Verdict(met=True)))

    assert execution.scope.waits_for == RuleId("t", 0)
    play.say(execution.scope)
    play.step(lambda: play.engine.verdict(execution.scope, RuleId("t", 0), Verdict(met=True)))
    assert status_of(execution, "t") is None


def test_a_verdict_on_an_earlier_event_does_not_count_for_the_next_one() -> None:
    """After a change of the deciding process an answer can come twice, or late."""
    play = Play()
    execution = play.start(_workflow())
    first = play.event("h", execution)
    second = play.event("h", execution)
    play.say(execution.scope, met=False, offset=first)

    play.step(lambda: play.engine.verdict(execution.scope, RuleId("t", 0), Verdict(met=True, offset=first)))
    assert status_of(execution, "t") is None
    assert _keys(execution) == ["h"]
    play.say(execution.scope, met=True, offset=second)

    assert status_of(execution, "t") is TaskStatus.RUNNING


def test_stopping_an_execution_empties_its_inbox_and_records_what_was_in_it() -> None:
    play = Play()
    execution = play.start(_workflow())
    offsets = [play.event("h", execution), play.event("k", execution)]

    play.stop(execution)

    assert _keys(execution) == []
    assert execution.scope.waits_for is None
    assert play.engine.waiting == {}
    late = {e.offset: e.outcome for e in play.evaluations if e.verdict is RuleVerdict.LATE}
    assert {offset: late.get(offset) for offset in offsets} == dict.fromkeys(
        offsets, "ignored: the execution was stopped"
    )


def test_triggers_have_an_inbox_of_their_own() -> None:
    play = Play()
    workflow = play.add_triggers(7, {70: Hosted("h"), 71: SingleEventCondition("k")})
    execution = play.start(_workflow())

    play.event("h")
    play.event("k")

    assert [parked.key for parked in workflow.scope.inbox] == ["h", "k"]
    play.say(execution.scope)
    assert status_of(execution, "plain") is TaskStatus.RUNNING
    assert play.requests == []
    play.say(workflow.scope, met=True)
    assert [r.trigger_id for r in play.requests] == [70, 71]


def test_an_execution_and_a_workflow_of_one_number_keep_their_inboxes_apart() -> None:
    play = Play()
    execution = play.start(_workflow())
    workflow = play.add_triggers(execution.id, {70: Hosted("h")})
    play.event("h")

    play.say(workflow.scope, met=True)

    assert [r.trigger_id for r in play.requests] == [70]
    assert status_of(execution, "t") is None
    play.say(execution.scope, met=True)
    assert status_of(execution, "t") is TaskStatus.RUNNING


def test_events_that_waited_for_the_triggers_of_a_removed_workflow_leave_with_it() -> None:
    play = Play()
    workflow = play.add_triggers(7, {70: Hosted("h")})
    offset = play.event("h")

    play.step(lambda: play.engine.remove_workflow(7))

    assert play.engine.waiting == {}
    assert not workflow.scope.inbox
    assert [(e.offset, e.outcome) for e in play.evaluations] == [
        (offset, "ignored: the workflow has no triggers any more")
    ]


def test_an_inbox_goes_on_when_the_trigger_that_it_waits_for_is_taken_away() -> None:
    play = Play()
    workflow = play.add_triggers(7, {70: Hosted("h"), 71: SingleEventCondition("h")})
    play.event("h")
    del workflow.triggers[70]

    play.step(lambda: play.engine.put_workflow(workflow))

    assert play.engine.waiting == {}
    assert [r.trigger_id for r in play.requests] == [71]
