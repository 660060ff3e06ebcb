# SPDX-License-Identifier: Apache-2.0
"""The operator that calls a Python function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.model.errors import InvalidOptionError
from ai_flow.model.operator import AIFlowOperator

if TYPE_CHECKING:
    from ai_flow.model.context import Context


class PythonOperator(AIFlowOperator):
    """Calls ``python_callable`` with ``op_args`` and ``op_kwargs``, in a process of its own.

    The task succeeds when the call returns, whatever it returns, and fails when it raises. A coroutine
    function is run to its end.

    >>> from ai_flow.model.workflow import Workflow
    >>> def greet(whom, greeting="Hello"):
    ...     print(f"{greeting}, {whom}.")
    >>> with Workflow(name="my_workflow") as workflow:
    ...     task = PythonOperator("task", greet, op_args=["world"], op_kwargs={"greeting": "Good morning"})
    >>> task.start(context=None)
    Good morning, world.
    """

    def __init__(
        self,
        name: str,
        python_callable: Callable[..., Any],
        op_args: Iterable[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not callable(python_callable):
            raise AIFlowException("`python_callable` param must be callable")
        if inspect.isgeneratorfunction(python_callable) or inspect.isasyncgenfunction(python_callable):
            raise InvalidOptionError(
                name,
                "python_callable",
                python_callable,
                "a function without 'yield': calling this one runs nothing",
            )
        if isinstance(op_args, (str, bytes)) or not isinstance(op_args, (Iterable, type(None))):
            raise InvalidOptionError(name, "op_args", op_args, "a list of arguments")
        if not isinstance(op_kwargs, (Mapping, type(None))):
            raise InvalidOptionError(name, "op_kwargs", op_kwargs, "a dict of arguments by name")
        super().__init__(name, **kwargs)
        self.python_callable = python_callable
        self.op_args: list[Any] = list(op_args or [])
        self.op_kwargs: dict[str, Any] = dict(op_kwargs or {})

    def start(self, context: Context) -> None:
        """Make the call and wait for its end."""
        result = self.python_callable(*self.op_args, **self.op_kwargs)
        if inspect.iscoroutine(result):
            import asyncio

            asyncio.run(result)
