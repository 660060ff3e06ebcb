# SPDX-License-Identifier: Apache-2.0
"""Defining workflows, tasks and rules, and the mistakes one can make."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import Any

import cloudpickle
import pytest

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.model.action import TaskAction
from ai_flow.model.condition import Condition
from ai_flow.model.context import Context
from ai_flow.model.errors import (
    DuplicateTaskError,
    InvalidActionError,
    InvalidConditionError,
    InvalidEventKeyError,
    InvalidOptionError,
    InvalidStatusError,
    InvalidUpstreamError,
    NestedWorkflowError,
    TaskOutsideWorkflowError,
    UnknownTaskError,
)
from ai_flow.model.internal.conditions import SingleEventCondition, TaskStatusAllMetCondition
from ai_flow.model.operator import AIFlowOperator, Operator
from ai_flow.model.status import TaskStatus
from ai_flow.model.workflow import Workflow, WorkflowContextManager
from notification_service.model.event import Event


class Never(Condition):
    def is_met(self, event: Event, context: Context) -> bool:
        return False


def test_tasks_and_rules_are_kept_in_the_order_of_their_definition() -> None:
    with Workflow("w", namespace="team", owner="me") as workflow:
        b = Operator("b")
        a = Operator("a", colour="red")
        a.start_after(b)
        a.action_on_event_received(TaskAction.STOP, "enough")

    assert workflow.name == "w" and workflow.namespace == "team" and workflow.config == {"owner": "me"}
    assert list(workflow.tasks.items()) == [("b", b), ("a", a)]
    assert a.workflow is workflow and a.config == {"colour": "red"}
    assert [rule.action for rule in workflow.rules["a"]] == [TaskAction.START, TaskAction.STOP]
    assert list(workflow.rules) == ["a"]


def test_a_status_rule_knows_every_upstream_and_its_status() -> None:
    with Workflow("w", namespace="team") as workflow:
        a, b, c = Operator("a"), Operator("b"), Operator("c")
        c.action_on_task_status(TaskAction.RESTART, {a: TaskStatus.SUCCESS, b: TaskStatus.FAILED})

    [rule] = workflow.rules["c"]
    assert isinstance(rule.condition, TaskStatusAllMetCondition)
    assert [(part.task_name, part.expect_status) for part in rule.condition.conditions] == [
        ("a", TaskStatus.SUCCESS),
        ("b", TaskStatus.FAILED),
    ]
    assert rule.condition.expect_event_keys == [
        "[task_status_change].team.w.a",
        "[task_status_change].team.w.b",
    ]


@pytest.mark.parametrize(
    "collect",
    [list, tuple, set, iter, lambda tasks: dict.fromkeys(tasks, 1), lambda tasks: (task for task in tasks)],
    ids=["list", "tuple", "set", "iterator", "dict", "generator"],
)
def test_start_after_takes_any_collection(collect: Callable[[list[Operator]], Any]) -> None:
    with Workflow("w") as workflow:
        a, b, c = Operator("a"), Operator("b"), Operator("c")
        c.start_after(collect([a, b]))

    [rule] = workflow.rules["c"]
    assert rule.action is TaskAction.START
    assert set(rule.condition.expect_event_keys) == {
        "[task_status_change].default.w.a",
        "[task_status_change].default.w.b",
    }


def test_start_after_takes_a_single_task_and_names_a_repeated_one_once() -> None:
    with Workflow("w") as workflow:
        a, b, c = Operator("a"), Operator("b"), Operator("c")
        b.start_after(a)
        c.start_after([a, a])

    assert workflow.rules["b"][0].condition.expect_event_keys == ["[task_status_change].default.w.a"]
    assert workflow.rules["c"][0].condition.expect_event_keys == ["[task_status_change].default.w.a"]


def test_bare_values_of_actions_and_statuses_are_accepted() -> None:
    with Workflow("w") as workflow:
        a, b = Operator("a"), Operator("b")
        b.action_on_task_status("STOP", {a: "FAILED"})  # type: ignore[arg-type,dict-item]

    [rule] = workflow.rules["b"]
    assert rule.action is TaskAction.STOP
    assert isinstance(rule.condition, TaskStatusAllMetCondition)
    assert rule.condition.conditions[0].expect_status is TaskStatus.FAILED


def test_rules_can_be_added_after_the_block() -> None:
    with Workflow("w") as workflow:
        a, b = Operator("a"), Operator("b")

    b.start_after(a)

    assert len(workflow.rules["b"]) == 1


def test_a_block_can_be_entered_again() -> None:
    workflow = Workflow("w")
    with workflow:
        Operator("a")
    with workflow:
        Operator("b")

    assert list(workflow.tasks) == ["a", "b"]


def test_two_tasks_of_one_name_are_refused_and_the_first_stays() -> None:
    with Workflow("w") as workflow:
        first = Operator("task")
        with pytest.raises(DuplicateTaskError, match="Workflow 'w' already has a task 'task'"):
            Operator("task")

    assert workflow.tasks == {"task": first}


def test_a_task_outside_a_workflow_is_refused() -> None:
    with pytest.raises(TaskOutsideWorkflowError, match="Task 'task' belongs to no workflow"):
        Operator("task")


def test_workflows_do_not_nest_and_the_outer_one_stays_usable() -> None:
    with Workflow("outer") as outer:
        with pytest.raises(NestedWorkflowError) as raised, Workflow("inner"):
            pass
        Operator("task")

    assert str(raised.value) == "Sub-workflows are not allowed to be defined in a Workflow."
    assert isinstance(raised.value, AIFlowException)
    assert raised.value.hint is not None and "'outer'" in raised.value.hint
    assert list(outer.tasks) == ["task"]


def test_an_error_in_a_block_leaves_the_block() -> None:
    with pytest.raises(KeyError), Workflow("w"):
        raise KeyError

    assert WorkflowContextManager.get_current_workflow() is None


def test_threads_define_workflows_independently() -> None:
    barrier = threading.Barrier(4)
    workflows: list[Workflow] = []

    def define(number: int) -> None:
        with Workflow(f"w{number}") as workflow:
            barrier.wait()
            Operator(f"task{number}")
            barrier.wait()
        workflows.append(workflow)

    threads = [threading.Thread(target=define, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted((w.name, *w.tasks) for w in workflows) == [(f"w{n}", f"task{n}") for n in range(4)]


@pytest.mark.parametrize(
    ("upstream", "reason"),
    [
        ("a", "'a' is a name: give the operator itself"),
        ("nobody", "has no task of that name"),
        (["a"], "'a' is a name"),
        (5, "5 is not an operator"),
        (None, "None is not an operator"),
        ([[]], "is not an operator"),
        ([], "no upstream task is named"),
    ],
)
def test_an_upstream_that_is_no_task_is_refused(upstream: Any, reason: str) -> None:
    with Workflow("w") as workflow:
        Operator("a")
        b = Operator("b")
        with pytest.raises(InvalidUpstreamError) as raised:
            b.start_after(upstream)

    assert "Task 'b' of workflow 'w' cannot follow that upstream" in str(raised.value)
    assert reason in str(raised.value)
    assert workflow.rules == {}


def test_an_upstream_of_another_workflow_is_refused() -> None:
    with Workflow("first"):
        foreign = Operator("foreign")
    with Workflow("second"):
        task = Operator("task")
        with pytest.raises(InvalidUpstreamError, match="task 'foreign' belongs to workflow 'first'"):
            task.start_after(foreign)


def test_statuses_must_come_in_a_dict() -> None:
    with Workflow("w"):
        a, b = Operator("a"), Operator("b")
        with pytest.raises(InvalidUpstreamError, match="is not a dict"):
            b.action_on_task_status(TaskAction.STOP, [a])  # type: ignore[arg-type]


def test_unknown_actions_and_statuses_are_refused() -> None:
    with Workflow("w"):
        a, b = Operator("a"), Operator("b")
        with pytest.raises(InvalidActionError, match=r"'BEGIN' is not an action: use TaskAction\.START"):
            b.action_on_event_received("BEGIN", "key")  # type: ignore[arg-type]
        with pytest.raises(InvalidStatusError, match=r"'DONE' is not a status .* TaskStatus\.SUCCESS"):
            b.action_on_task_status(TaskAction.START, {a: "DONE"})  # type: ignore[dict-item]


@pytest.mark.parametrize("key", ["", None, 5, "k" * 1025])
def test_an_impossible_event_key_is_refused(key: Any) -> None:
    with Workflow("w"), pytest.raises(InvalidEventKeyError, match="cannot be the key of an event"):
        Operator("task").action_on_event_received(TaskAction.START, key)


def test_a_rule_for_an_unknown_task_is_refused() -> None:
    workflow = Workflow("w")
    with workflow:
        Operator("a")

    with pytest.raises(UnknownTaskError, match=r"Workflow 'w' has no task 'b' .* its tasks: 'a'"):
        workflow.action_on_event_received("b", "key", TaskAction.START)


class WithoutKeys(Never):
    def __init__(self) -> None:
        pass


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("key", "is not an instance"),
        (Never, "the class Never"),
        (Never([]), "expects no event"),
        (WithoutKeys(), "does not call super"),
    ],
)
def test_a_condition_that_cannot_be_evaluated_is_refused(condition: Any, reason: str) -> None:
    with Workflow("w"), pytest.raises(InvalidConditionError, match=reason):
        Operator("task").action_on_condition(TaskAction.START, condition)


def test_a_condition_keeps_its_keys_when_given_a_text_by_mistake() -> None:
    with pytest.raises(InvalidConditionError, match=r"write \['num_event'\]"):
        Never("num_event")


def test_workflows_survive_pickling() -> None:
    with Workflow("w") as workflow:
        a, b = Operator("a", retries=1), Operator("b")
        b.start_after(a)
        b.action_on_condition(TaskAction.STOP, SingleEventCondition("key"))

    copy = cloudpickle.loads(cloudpickle.dumps(workflow))

    assert list(copy.tasks) == ["a", "b"]
    assert copy.tasks["a"].workflow is copy and copy.tasks["a"].retries == 1
    assert [rule.condition.expect_event_keys for rule in copy.rules["b"]][1] == ["key"]


def test_errors_survive_pickling_with_their_attributes() -> None:
    error = DuplicateTaskError("w", "task")
    error.hint = "a hint"

    copy = pickle.loads(pickle.dumps(error))

    assert str(copy) == str(error)
    assert (copy.workflow_name, copy.task_name, copy.hint, copy.code) == (
        "w",
        "task",
        "a hint",
        "duplicate_task",
    )


def test_the_attributes_of_a_users_operator_do_not_clash_with_options() -> None:
    class Deploy(AIFlowOperator):
        def __init__(self, name: str, env: str, **kwargs: Any) -> None:
            self.env = env
            super().__init__(name, **kwargs)
            self.timeout = "soon"

        def start(self, context: Context) -> None:
            pass

    with Workflow("w"):
        task = Deploy("task", env="production", retries=2)

    assert task.env == "production" and task.timeout == "soon"
    assert task.retries == 2
    assert task.task_options.env == {} and task.task_options.timeout is None


def test_an_operator_without_start_cannot_be_made() -> None:
    class Nothing(AIFlowOperator):
        pass

    with Workflow("w"), pytest.raises(TypeError, match="abstract"):
        Nothing("task")  # type: ignore[abstract]


def test_the_other_methods_of_an_operator_are_optional() -> None:
    class Work(AIFlowOperator):
        def start(self, context: Context) -> None:
            pass

    with Workflow("w"):
        task = Work(task_name="task")

    context = Context()
    task.start(context)
    task.await_termination(context, timeout=1)
    task.stop(context)
    assert task.get_metrics(context) == {}
    assert task.log.name == "aiflow.task.operator"


def test_an_invalid_option_leaves_no_task_behind() -> None:
    with Workflow("w") as workflow, pytest.raises(InvalidOptionError):
        Operator("task", retries=-1)

    assert workflow.tasks == {}
