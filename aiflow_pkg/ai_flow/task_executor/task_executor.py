# SPDX-License-Identifier: Apache-2.0
"""The interface of a task executor, and the place where executors are found by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from ai_flow.common.exception.exceptions import AIFlowException


class TaskExecutor(ABC):
    """Starts and stops tasks somewhere."""

    @abstractmethod
    def schedule_task(self, command: Any) -> None:
        """Do what ``command`` says: start, stop or restart a task."""

    @abstractmethod
    def start(self) -> None:
        """Become ready for commands."""

    @abstractmethod
    def stop(self) -> None:
        """Take no further commands and let go of everything."""


class TaskExecutorFactory:
    """Makes task executors by name; names are compared without regard to case.

    >>> class Nowhere(TaskExecutor):
    ...     def schedule_task(self, command): pass
    ...     def start(self): pass
    ...     def stop(self): pass
    >>> TaskExecutorFactory.register("nowhere", Nowhere)
    >>> type(TaskExecutorFactory.get_task_executor("Nowhere")).__name__
    'Nowhere'
    >>> TaskExecutorFactory.get_task_executor("elsewhere")
    Traceback (most recent call last):
      ...
    ai_flow.common.exception.exceptions.AIFlowException: Invalid task executor type: elsewhere
    """

    _makers: ClassVar[dict[str, Callable[[], TaskExecutor]]] = {}

    @classmethod
    def register(cls, name: str, maker: Callable[[], TaskExecutor]) -> None:
        """Let ``maker`` make the executors called ``name``; a later call replaces an earlier one."""
        cls._makers[name.lower()] = maker

    @classmethod
    def get_task_executor(cls, executor_type: str) -> TaskExecutor:
        """Return a new executor of the type; raise if nobody registered it."""
        maker = cls._makers.get(executor_type.lower())
        if maker is None:
            raise AIFlowException(f"Invalid task executor type: {executor_type}")
        return maker()
