# SPDX-License-Identifier: Apache-2.0
"""What makes a rule met, which rules are tried, and what a failing one does (behaviour 1.3 and 3.1)."""

from __future__ import annotations

import json

import pytest

from ai_flow.engine.graph import (
    AllOf,
    AnyOf,
    Condition,
    OfUser,
    OnEvent,
    OnStatuses,
    OnTaskStatus,
    UnknownGraphFormatError,
    parse_condition,
    parse_graph,
)
from ai_flow.engine.rules import Consideration, Happening, consider, states_seen_by_host
from ai_flow.engine.world import RuleId, StateValue, Verdict
from ai_flow.model.action import TaskAction
from ai_flow.model.internal.conditions import MeetAllCondition, MeetAnyCondition, SingleEventCondition
from ai_flow.model.operator import Operator
from ai_flow.model.status import TaskStatus
from ai_flow.model.workflow import Workflow
from ai_flow.runtime.describe import describe_workflow
from tests.engine.play import Hosted, Play, as_json, graph_of, run_of, status_of

RULE = RuleId("t", 0)


def _met(
    condition: Condition,
    key: str,
    states: dict[str, StateValue],
    *,
    reported: str | None = None,
) -> bool:
    """Evaluate one condition and keep what it remembers in ``states``."""
    happening = Happening(key=key, statuses={}, reported_status=reported)
    result = consider([[(RULE, condition)]], happening, states, {})
    assert isinstance(result, Consideration)
    for name, value in result.states.items():
        if value is None:
            states.pop(name, None)
        else:
            states[name] = value
    return result.considered[0].verdict.value == "yes"


def _all(*keys: str, name: str = "all") -> AllOf:
    return AllOf(name, tuple(OnEvent(key) for key in keys), keys)


def test_meet_all_is_met_when_every_part_was() -> None:
    states: dict[str, StateValue] = {}

    assert [_met(_all("a", "b"), key, states) for key in ("a", "a", "b")] == [False, False, True]


def test_meet_all_starts_again_from_nothing_after_it_fired() -> None:
    states: dict[str, StateValue] = {}
    fired = [_met(_all("a", "b"), key, states) for key in ("a", "b", "a", "a", "b", "b", "a")]

    assert fired == [False, True, False, False, True, False, True]
    assert states == {}


def test_a_part_of_meet_all_can_become_untrue_again() -> None:
    part = OnTaskStatus("s", TaskStatus.SUCCESS)
    condition = AllOf("all", (part, OnEvent("k")), ("s", "k"))
    states: dict[str, StateValue] = {}

    _met(condition, "s", states, reported="SUCCESS")
    _met(condition, "s", states, reported="FAILED")

    assert not _met(condition, "k", states)
    assert _met(condition, "s", states, reported="SUCCESS")


def test_meet_any_is_met_by_each_of_its_parts() -> None:
    condition = AnyOf((OnEvent("a"), OnTaskStatus("s", TaskStatus.SUCCESS)), ("a", "s"))

    assert _met(condition, "a", {})
    assert _met(condition, "s", {}, reported="SUCCESS")
    assert not _met(condition, "s", {}, reported="FAILED")


def test_meet_any_around_meet_all_lets_every_part_see_the_event() -> None:
    inner = _all("a", "b", name="inner")
    condition = AnyOf((OnEvent("a"), inner), ("a", "b"))
    states: dict[str, StateValue] = {}

    assert _met(condition, "a", states)
    assert _met(condition, "b", states), "the inner condition has seen 'a' although the outer fired on it"


def test_meet_all_around_meet_any() -> None:
    either = AnyOf((OnEvent("a"), OnEvent("b")), ("a", "b"))
    condition = AllOf("outer", (either, OnEvent("c")), ("a", "b", "c"))
    states: dict[str, StateValue] = {}

    assert [_met(condition, key, states) for key in ("b", "c", "c", "a")] == [False, True, False, True]


def test_nested_meet_all_conditions_keep_apart_what_they_remember() -> None:
    inner = _all("a", "b", name="inner")
    condition = AllOf("outer", (inner, OnEvent("c")), ("a", "b", "c"))
    states: dict[str, StateValue] = {}

    assert [_met(condition, key, states) for key in ("a", "c", "b")] == [False, False, True]


def test_two_meet_all_conditions_of_one_name_share_their_memory() -> None:
    """State is per execution and name, whoever asks (behaviour 1.3)."""
    states: dict[str, StateValue] = {}
    first, second = _all("a", "b", name="shared"), _all("a", "b", name="shared")

    _met(first, "a", states)

    assert _met(second, "b", states)


@pytest.mark.parametrize(
    "strange",
    [
        StateValue("json", '"text"'),
        StateValue("json", "[true]"),
        StateValue("json", "not json"),
        StateValue("pickle", b"\x80"),
    ],
)
def test_meet_all_starts_anew_where_its_name_holds_something_else(strange: StateValue) -> None:
    states = {"all": strange}

    assert [_met(_all("a", "b"), key, states) for key in ("b", "a")] == [False, True]


def test_the_first_met_rule_of_a_task_wins_and_later_ones_are_not_evaluated() -> None:
    rules: list[tuple[RuleId, Condition]] = [
        (RuleId("t", 0), OnTaskStatus("k", TaskStatus.FAILED)),
        (RuleId("t", 1), OnEvent("k")),
        (RuleId("t", 2), _all("k", "other")),
    ]

    result = consider([rules], Happening(key="k", statuses={}), {}, {})

    assert isinstance(result, Consideration)
    assert [(said.rule.index, said.verdict.value) for said in result.considered] == [(0, "no"), (1, "yes")]
    assert result.states == {}, "a rule that was not evaluated remembers nothing"


def test_every_task_is_tried_whatever_the_others_said() -> None:
    targets: list[list[tuple[RuleId, Condition]]] = [
        [(RuleId(task, 0), OnEvent("k"))] for task in ("a", "b", "c")
    ]

    result = consider(targets, Happening(key="k", statuses={}), {}, {})

    assert isinstance(result, Consideration)
    assert [said.rule.task for said in result.considered] == ["a", "b", "c"]


def test_a_failing_condition_ends_its_task_for_the_event_and_no_other() -> None:
    failing = OfUser("Mine", ("k",))
    targets: list[list[tuple[RuleId, Condition]]] = [
        [(RuleId("a", 0), failing), (RuleId("a", 1), OnEvent("k"))],
        [(RuleId("b", 0), OnEvent("k"))],
    ]

    result = consider(
        targets, Happening(key="k", statuses={}), {}, {RuleId("a", 0): Verdict(error="ValueError: no")}
    )

    assert isinstance(result, Consideration)
    said = [(s.rule.task, s.rule.index, s.verdict.value, s.error) for s in result.considered]
    assert said == [("a", 0, "error", "ValueError: no"), ("b", 0, "yes", None)]


def test_a_missing_verdict_is_asked_for_in_order_and_changes_nothing() -> None:
    rules: list[tuple[RuleId, Condition]] = [
        (RuleId("t", 0), _all("k", "other")),
        (RuleId("t", 1), OfUser("A", ("k",))),
        (RuleId("t", 2), OfUser("B", ("k",))),
    ]
    happening, states = Happening(key="k", statuses={}), dict[str, StateValue]()
    verdicts: dict[RuleId, Verdict] = {}

    assert consider([rules], happening, states, verdicts) == RuleId("t", 1)
    verdicts[RuleId("t", 1)] = Verdict(met=False, states={"x": as_json(1)})
    assert consider([rules], happening, states, verdicts) == RuleId("t", 2)
    assert states == {}


def test_a_condition_behind_one_that_was_met_is_not_asked_for() -> None:
    rules: list[tuple[RuleId, Condition]] = [
        (RuleId("t", 0), OnEvent("k")),
        (RuleId("t", 1), OfUser("A", ("k",))),
    ]

    assert isinstance(consider([rules], Happening(key="k", statuses={}), {}, {}), Consideration)


def test_the_next_host_sees_the_states_after_the_verdicts_before_it() -> None:
    states = {"kept": as_json(1), "changed": as_json(1), "cleared": as_json(1)}
    verdict = Verdict(states={"changed": as_json(2), "cleared": None, "new": as_json(3)})

    seen = states_seen_by_host(states, [verdict])

    assert {name: json.loads(value.data) for name, value in seen.items()} == {
        "kept": 1,
        "changed": 2,
        "new": 3,
    }


@pytest.mark.parametrize(
    ("changed", "others", "met"),
    [
        (("a", TaskStatus.SUCCESS), {"b": TaskStatus.FAILED}, True),
        (("a", TaskStatus.FAILED), {"b": TaskStatus.FAILED}, False),
        (("a", TaskStatus.SUCCESS), {"b": TaskStatus.SUCCESS}, False),
        (("a", TaskStatus.SUCCESS), {}, False),
        (("b", TaskStatus.FAILED), {"a": TaskStatus.SUCCESS}, True),
        (("c", TaskStatus.SUCCESS), {"a": TaskStatus.SUCCESS, "b": TaskStatus.FAILED}, False),
        (None, {"a": TaskStatus.SUCCESS, "b": TaskStatus.FAILED}, False),
    ],
)
def test_status_rules_fire_on_the_transition_into_the_expected_status(
    changed: tuple[str, TaskStatus] | None, others: dict[str, TaskStatus], met: bool
) -> None:
    condition = OnStatuses({"a": TaskStatus.SUCCESS, "b": TaskStatus.FAILED}, ("ka", "kb"))
    happening = Happening(key="ka", statuses=others, status_change=changed)

    result = consider([[(RULE, condition)]], happening, {}, {})

    assert isinstance(result, Consideration)
    assert (result.considered[0].verdict.value == "yes") is met


def test_an_event_starts_a_task_each_time_it_comes() -> None:
    with Workflow(name="w") as workflow:
        Operator("stream")
        Operator("t").action_on_event_received(TaskAction.START, "k")
    play = Play()
    execution = play.start(workflow)

    for number in (1, 2, 3):
        play.event("k", execution)
        assert run_of(execution, "t").sequence_number == number
        play.end(execution, "t")


def test_states_of_conditions_survive_between_events_of_an_execution_only() -> None:
    with Workflow(name="w") as workflow:
        Operator("t").action_on_condition(
            TaskAction.START,
            MeetAllCondition("both", [SingleEventCondition("a"), SingleEventCondition("b")]),
        )
    play = Play()
    first, second = play.start(workflow), play.start(workflow)

    play.event("a", first)
    play.event("b", second)
    assert status_of(first, "t") is None
    assert status_of(second, "t") is None
    play.event("b", first)

    assert status_of(first, "t") is TaskStatus.RUNNING
    assert first.scope.states == {}


def test_a_start_that_is_ignored_keeps_what_its_condition_remembered() -> None:
    with Workflow(name="w") as workflow:
        Operator("t").action_on_condition(
            TaskAction.START, MeetAllCondition("m", [SingleEventCondition("a"), SingleEventCondition("b")])
        )
    play = Play()
    execution = play.start(workflow)
    for key in "ab":
        play.event(key, execution)

    for key in "ab":
        play.event(key, execution)

    assert play.outcomes_of("t") == ["started", "ignored: alive"]
    assert execution.scope.states == {}


def test_the_same_rules_decide_in_the_graph_as_in_the_file() -> None:
    with Workflow(name="w", namespace="n") as workflow:
        a, b = Operator("a"), Operator("b")
        b.action_on_task_status(TaskAction.START, {a: TaskStatus.SUCCESS})
        b.action_on_condition(TaskAction.STOP, MeetAnyCondition([SingleEventCondition("k"), Hosted("h")]))

    graph = graph_of(workflow)

    key = "[task_status_change].n.w.a"
    assert graph.tasks["b"].rules[0].condition == OnStatuses({"a": TaskStatus.SUCCESS}, (key,))
    assert graph.tasks["b"].rules[1].condition == OfUser("MeetAnyCondition", ("k", "h"))
    assert sorted(graph.listened_keys()) == sorted([key, "k", "h"])
    assert graph.task_of_status_key(key) == "a"
    assert list(graph.rules_for("h")) == ["b"]


def test_a_graph_of_another_format_is_refused_with_a_way_out() -> None:
    description = describe_workflow(Workflow(name="w")) | {"format": 2}

    with pytest.raises(UnknownGraphFormatError, match=r"format 2.*upload the workflow again"):
        parse_graph(description)


def test_an_unknown_kind_of_condition_is_refused() -> None:
    with pytest.raises(ValueError, match="'none'"):
        parse_condition({"type": "none", "conditions": []}, "default", "w")
