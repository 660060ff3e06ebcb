# SPDX-License-Identifier: Apache-2.0
"""The options that every operator understands."""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from typing import Any

import pytest

from ai_flow.model.errors import InvalidOptionError, InvalidPeriodicExpressionError
from ai_flow.model.operator import Operator, OperatorConfigItem
from ai_flow.model.options import TaskOptions
from ai_flow.model.workflow import Workflow


def make(**kwargs: Any) -> Operator:
    with Workflow("w"):
        return Operator("task", **kwargs)


def test_without_options_a_task_runs_once_and_without_limit() -> None:
    task = make()

    assert task.task_options == TaskOptions()
    assert (task.retries, task.retry_delay, task.retry_backoff) == (0, 0.0, 1.0)
    assert (task.retry_max_delay, task.timeout, task.periodic_expression) == (None, None, None)
    assert task.env == {} and task.config == {}


def test_options_are_checked_and_kept_as_given_in_config() -> None:
    given = {
        "retries": 3,
        "retry_delay": timedelta(minutes=1),
        "retry_backoff": 2,
        "retry_max_delay": 600,
        "timeout": timedelta(hours=1),
        "env": OrderedDict(STAGE="test"),
        "periodic_expression": "interval@0 1 0 0",
        "colour": "red",
    }

    task = make(**given)

    assert task.config == given
    assert (task.retries, task.retry_delay, task.retry_backoff) == (3, 60.0, 2.0)
    assert (task.retry_max_delay, task.timeout) == (600.0, 3600.0)
    assert task.env == {"STAGE": "test"} and type(task.env) is dict
    assert task.periodic_expression == "interval@0 1 0 0"


def test_none_means_not_given_where_there_may_be_none() -> None:
    task = make(retry_max_delay=None, timeout=None, env=None, periodic_expression=None, retry_delay=None)

    assert task.task_options == TaskOptions()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("retries", value) for value in (-1, 1.0, True, "3", None, 1_000_001)],
        *[("retry_backoff", value) for value in (0.5, 0, -1, True, "2", None, float("nan"), float("inf"))],
        *[
            (option, value)
            for option in ("retry_delay", "retry_max_delay", "timeout")
            for value in (-1, "5", True, [], float("nan"), float("inf"), 1e12, timedelta(seconds=-1))
        ],
        ("timeout", 0),
        ("timeout", timedelta(0)),
        ("env", "STAGE=test"),
        ("env", ["STAGE"]),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_wanted(option: str, value: Any) -> None:
    with pytest.raises(InvalidOptionError) as raised:
        make(**{option: value})

    assert f"Task 'task': {option} must be " in str(raised.value)
    assert f"found {value!r}" in str(raised.value)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"": "x"}, "a name in env must be a text without '=', found ''"),
        ({"A=B": "x"}, "a name in env"),
        ({"A\0": "x"}, "a name in env"),
        ({5: "x"}, "a name in env"),
        ({"AIFLOW_SOCKET": "x"}, "does not begin with AIFLOW_"),
        ({"PORT": 8080}, r"env\['PORT'\] must be a text"),
        ({"PORT": "80\0"}, r"env\['PORT'\] must be a text without zero"),
    ],
)
def test_variables_that_no_process_can_have_are_refused(env: Any, message: str) -> None:
    with pytest.raises(InvalidOptionError, match=message):
        make(env=env)


def test_the_value_of_a_variable_is_not_shown() -> None:
    with pytest.raises(InvalidOptionError) as raised:
        make(env={"PASSWORD": b"hunter2"})

    assert "hunter2" not in str(raised.value)


def test_a_wrong_periodic_expression_names_its_task() -> None:
    with pytest.raises(InvalidPeriodicExpressionError, match="of task 'task' is not valid: it has no '@'"):
        make(periodic_expression="every day")


def test_the_names_of_all_options_are_listed() -> None:
    listed = {value for name, value in vars(OperatorConfigItem).items() if name.isupper()}

    assert listed == set(TaskOptions.__dataclass_fields__)
