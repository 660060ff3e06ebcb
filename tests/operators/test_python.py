# SPDX-License-Identifier: Apache-2.0
"""``PythonOperator``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.model.context import Context
from ai_flow.model.errors import InvalidOptionError
from ai_flow.operators.python import PythonOperator


def test_the_callable_is_called_in_start_with_all_arguments(context: Context) -> None:
    calls: list[object] = []

    def work(*args: object, **kwargs: object) -> str:
        calls.append((args, kwargs))
        return "dropped"

    task = PythonOperator("task", work, op_args=(1, "two"), op_kwargs={"three": 3})

    assert task.start(context) is None  # type: ignore[func-returns-value]
    task.await_termination(context)

    assert calls == [((1, "two"), {"three": 3})]


def test_an_exception_of_the_callable_is_not_touched(context: Context) -> None:
    def fail() -> None:
        raise KeyError("missing")

    with pytest.raises(KeyError, match="missing"):
        PythonOperator("task", fail).start(context)


def test_a_coroutine_function_is_run_to_its_end(context: Context) -> None:
    done: list[str] = []

    async def work(word: str) -> None:
        await asyncio.sleep(0)
        done.append(word)

    PythonOperator("task", work, op_args=["done"]).start(context)

    assert done == ["done"]


@pytest.mark.parametrize("thing", [None, "print", 5])
def test_a_non_callable_is_refused(thing: object) -> None:
    with pytest.raises(AIFlowException, match="`python_callable` param must be callable"):
        PythonOperator("task", thing)  # type: ignore[arg-type]


def test_a_generator_function_is_refused_because_calling_it_runs_nothing() -> None:
    def produce() -> Iterator[int]:
        yield 1

    with pytest.raises(InvalidOptionError, match="without 'yield'"):
        PythonOperator("task", produce)


def test_arguments_of_the_wrong_type_are_refused() -> None:
    with pytest.raises(InvalidOptionError, match="op_args must be a list of arguments, found 'one'"):
        PythonOperator("a", print, op_args="one")
    with pytest.raises(InvalidOptionError, match="op_kwargs must be a dict"):
        PythonOperator("b", print, op_kwargs=[("end", "")])  # type: ignore[arg-type]


def test_a_refused_operator_is_no_task_of_the_workflow() -> None:
    from ai_flow.model.workflow import WorkflowContextManager

    with pytest.raises(AIFlowException):
        PythonOperator("task", None)  # type: ignore[arg-type]

    workflow = WorkflowContextManager.get_current_workflow()
    assert workflow is not None and workflow.tasks == {}
