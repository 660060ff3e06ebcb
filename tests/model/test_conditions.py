# SPDX-License-Identifier: Apache-2.0
"""The conditions that come with aiflow, and the contexts that conditions get."""

from __future__ import annotations

from typing import Any

import pytest

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.common.util.mock_context import set_mock_runtime_context
from ai_flow.model.action import TaskAction
from ai_flow.model.condition import Condition
from ai_flow.model.context import Context
from ai_flow.model.errors import InvalidConditionError, InvalidNameError, InvalidStatusError
from ai_flow.model.internal.conditions import (
    MeetAllCondition,
    MeetAnyCondition,
    SingleEventCondition,
    TaskStatusAllMetCondition,
    TaskStatusCondition,
    match_events,
)
from ai_flow.model.internal.contexts import (
    StatesInMemory,
    TaskExecutionContext,
    WorkflowContext,
    WorkflowExecutionContext,
    get_runtime_task_context,
)
from ai_flow.model.internal.events import TaskStatusChangedEvent
from ai_flow.model.rule import TaskRule, WorkflowRule
from ai_flow.model.state import StateDescriptor, ValueStateDescriptor
from ai_flow.model.status import TaskStatus
from ai_flow.model.task_execution import TaskExecutionKey
from ai_flow.model.workflow import Workflow
from notification_service.model.event import Event


class Says(Condition):
    """Met when the value of the event says so; counts its calls in a state."""

    def is_met(self, event: Event, context: Context) -> bool:
        state = context.get_state(ValueStateDescriptor("calls of " + ",".join(self.expect_event_keys)))
        state.update((state.value() or 0) + 1)  # type: ignore[operator]
        return event.value == "yes"


def became(task: str, status: TaskStatus, workflow: str = "w") -> Event:
    return TaskStatusChangedEvent("default", 1, workflow, task, status)


def test_keys_match_exactly() -> None:
    assert match_events(["a", "b"], Event("a", None))
    assert not match_events(["a*", "*", "A"], Event("a", None))


def test_all_forgets_what_it_saw_once_it_has_fired() -> None:
    states = StatesInMemory()
    context = WorkflowExecutionContext(states=states)
    condition = MeetAllCondition("all", [SingleEventCondition("a"), SingleEventCondition("b")])

    verdicts = [condition.is_met(Event(key, None), context) for key in "aabbab"]

    assert verdicts == [False, False, True, False, True, False]
    assert states.values == {"all": [False, True]}


def test_all_goes_by_the_latest_verdict_of_each() -> None:
    context = WorkflowExecutionContext(states=StatesInMemory())
    condition = MeetAllCondition("all", [Says(["a"]), Says(["b"])])

    events = [("a", "yes"), ("a", "no"), ("b", "yes"), ("a", "yes")]
    verdicts = [condition.is_met(Event(key, value), context) for key, value in events]

    assert verdicts == [False, False, False, True]


def test_all_begins_anew_when_its_conditions_have_changed() -> None:
    context = WorkflowExecutionContext(states=StatesInMemory({"all": [True]}))
    condition = MeetAllCondition("all", [SingleEventCondition("a"), SingleEventCondition("b")])

    assert condition.is_met(Event("a", None), context) is False


def test_any_lets_every_condition_see_its_event() -> None:
    states = StatesInMemory()
    context = WorkflowExecutionContext(states=states)
    condition = MeetAnyCondition([SingleEventCondition("a"), Says(["a", "b"]), Says(["c"])])

    verdicts = [condition.is_met(Event(key, "no"), context) for key in ("a", "b", "c")]

    assert verdicts == [True, False, False]
    assert states.values == {"calls of a,b": 2, "calls of c": 1}
    assert condition.expect_event_keys == ["a", "b", "c"]


def test_a_verdict_that_is_no_bool_is_an_error_inside_a_combination_too() -> None:
    class Vague(Condition):
        def is_met(self, event: Event, context: Context) -> Any:
            return "yes"

    context = WorkflowExecutionContext(states=StatesInMemory())
    with pytest.raises(InvalidConditionError, match=r"Vague .* is_met returned 'yes', not True or False"):
        MeetAnyCondition([Vague(["a"])]).is_met(Event("a", None), context)


@pytest.mark.parametrize("make", [MeetAnyCondition, lambda parts: MeetAllCondition("all", parts)])
@pytest.mark.parametrize("parts", [[], None, SingleEventCondition("a"), ["a"], [Says([])]])
def test_a_combination_of_nothing_or_of_no_conditions_is_refused(make: Any, parts: Any) -> None:
    with pytest.raises(InvalidConditionError):
        make(parts)


def test_all_needs_a_name_for_its_state() -> None:
    with pytest.raises(InvalidNameError):
        MeetAllCondition("", [SingleEventCondition("a")])


def test_a_task_status_condition_goes_by_the_event() -> None:
    condition = TaskStatusCondition("w", "a", "default", TaskStatus.FAILED)
    context = WorkflowExecutionContext()

    assert condition.is_met(became("a", TaskStatus.FAILED), context) is True
    assert condition.is_met(became("a", TaskStatus.SUCCESS), context) is False
    assert condition.is_met(became("b", TaskStatus.FAILED), context) is False
    for foreign in (None, "", "no json", "5", "null", "[]", "{}"):
        event = Event(condition.expect_event_keys[0], "TASK_STATUS_CHANGED", context=foreign)
        assert condition.is_met(event, context) is False


def test_all_statuses_are_met_when_the_last_task_becomes_its_status() -> None:
    condition = TaskStatusAllMetCondition(
        [
            TaskStatusCondition("w", "a", "default", TaskStatus.SUCCESS),
            TaskStatusCondition("w", "b", "default", TaskStatus.FAILED),
        ]
    )
    a_succeeded = WorkflowExecutionContext(task_statuses={"a": TaskStatus.SUCCESS})

    assert condition.is_met(became("b", TaskStatus.FAILED), a_succeeded) is True
    assert condition.is_met(became("b", TaskStatus.SUCCESS), a_succeeded) is False
    assert condition.is_met(became("a", TaskStatus.SUCCESS), a_succeeded) is False
    assert condition.is_met(became("b", TaskStatus.FAILED), WorkflowExecutionContext()) is False


def test_an_event_into_another_status_does_not_meet_statuses_that_already_hold() -> None:
    condition = TaskStatusAllMetCondition([TaskStatusCondition("w", "a", "default", TaskStatus.SUCCESS)])
    context = WorkflowExecutionContext(task_statuses={"a": TaskStatus.SUCCESS})

    assert condition.is_met(became("a", TaskStatus.RUNNING), context) is False


def test_a_status_condition_with_an_unknown_status_is_refused() -> None:
    with pytest.raises(InvalidStatusError):
        TaskStatusCondition("w", "a", "default", "DONE")  # type: ignore[arg-type]


def test_rules_give_their_action_when_their_condition_is_met() -> None:
    context = WorkflowExecutionContext(states=StatesInMemory())
    rule = TaskRule(Says(["a"]), TaskAction.RESTART)
    trigger = WorkflowRule(Says(["a"]))

    assert rule.trigger(Event("a", "yes"), context) is TaskAction.RESTART
    assert rule.trigger(Event("a", "no"), context) is None
    assert trigger.trigger(Event("a", "yes"), context) is True
    assert trigger.trigger(Event("a", "no"), context) is False


@pytest.mark.parametrize("context", [WorkflowExecutionContext(), WorkflowContext()])
def test_states_are_found_by_name_and_can_be_cleared(context: Context) -> None:
    state = context.get_state(ValueStateDescriptor(name="n"))
    assert state.value() is None

    state.update([1])
    assert context.get_state(ValueStateDescriptor(name="n")).value() == [1]
    assert context.get_state(ValueStateDescriptor(name="m")).value() is None

    state.clear()
    assert context.get_state(ValueStateDescriptor(name="n")).value() is None


def test_other_kinds_of_state_are_refused() -> None:
    with pytest.raises(AIFlowException) as raised:
        WorkflowExecutionContext().get_state(StateDescriptor("n"))

    assert str(raised.value) == "Now AIFlow only support value state."


def test_a_trigger_knows_no_task_status() -> None:
    assert WorkflowContext("default", None).get_task_status("a") is None


def test_an_operator_has_parameters_but_neither_states_nor_statuses() -> None:
    workflow, key = Workflow("w"), TaskExecutionKey(1, "a", 2)

    context = TaskExecutionContext(workflow, key, params={"day": "monday"})

    assert context.workflow is workflow and context.task_execution_key == key
    assert context.params == {"day": "monday"}
    assert context.get_state(ValueStateDescriptor("n")) is None
    assert context.get_task_status("a") is None


@pytest.mark.usefixtures("no_task")
def test_a_process_can_pretend_to_be_a_task() -> None:
    assert get_runtime_task_context() is None

    set_mock_runtime_context()

    context = get_runtime_task_context()
    assert context is not None
    assert context.workflow.name == "mock_workflow"
    assert context.task_execution_key == TaskExecutionKey(1, "mock_task", 1)
