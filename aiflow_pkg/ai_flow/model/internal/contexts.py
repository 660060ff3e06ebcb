# SPDX-License-Identifier: Apache-2.0
"""The three kinds of ``Context`` and the one of the task that this process runs.

A condition of a task rule gets a ``WorkflowExecutionContext``, a condition of a workflow trigger a
``WorkflowContext``, an operator a ``TaskExecutionContext``. Where states and statuses come from is up to
whoever evaluates conditions: it hands in a ``States`` and a mapping. ``StatesInMemory`` serves to try out
conditions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.model.context import Context
from ai_flow.model.state import State, StateDescriptor, ValueState, ValueStateDescriptor

if TYPE_CHECKING:
    from ai_flow.model.status import TaskStatus
    from ai_flow.model.task_execution import TaskExecutionKey
    from ai_flow.model.workflow import Workflow
    from ai_flow.model.workflow_execution import WorkflowExecution


class States(Protocol):
    """The states of one scope: of a workflow execution, or of a workflow's triggers."""

    def value_state(self, name: str) -> ValueState:
        """Return the state called ``name``, new if it was never set. The same name gives the same state."""
        ...


class StatesInMemory:
    """States that live in ``values``, for trying out a condition without aiflow.

    >>> states = StatesInMemory({"num_state": 40})
    >>> state = states.value_state("num_state")
    >>> state.update(state.value() + 2)
    >>> states.values
    {'num_state': 42}
    """

    def __init__(self, values: Mapping[str, object] | None = None) -> None:
        self.values: dict[str, object] = dict(values or {})

    def value_state(self, name: str) -> ValueState:
        """Return the state called ``name``."""
        return _ValueInMemory(self.values, name)


class _ScopedContext(Context):
    """A context with states."""

    def __init__(self, states: States | None) -> None:
        self._scope = states if states is not None else StatesInMemory()

    def get_state(self, state_descriptor: StateDescriptor) -> State:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not isinstance(state_descriptor, ValueStateDescriptor):
            raise AIFlowException("Now AIFlow only support value state.")
        return self._scope.value_state(state_descriptor.name)


class WorkflowContext(_ScopedContext):
    """What a condition of a workflow trigger sees; its states outlive executions."""

    def __init__(
        self, namespace: str | None = None, workflow: Workflow | None = None, *, states: States | None = None
    ) -> None:
        super().__init__(states)
        self.namespace = namespace
        self.workflow = workflow


class WorkflowExecutionContext(_ScopedContext):
    """What a condition of a task rule sees; states and statuses are those of the workflow execution.

    >>> from ai_flow.model.status import TaskStatus
    >>> context = WorkflowExecutionContext(task_statuses={"task1": TaskStatus.SUCCESS})
    >>> context.get_task_status("task1"), context.get_task_status("task2")
    (<TaskStatus.SUCCESS: 'SUCCESS'>, None)
    """

    def __init__(
        self,
        workflow: Workflow | None = None,
        workflow_execution: WorkflowExecution | None = None,
        *,
        states: States | None = None,
        task_statuses: Mapping[str, TaskStatus] | None = None,
    ) -> None:
        super().__init__(states)
        self.workflow = workflow
        self.workflow_execution = workflow_execution
        self._task_statuses = task_statuses or {}

    def get_task_status(self, task_name: str) -> TaskStatus | None:
        return self._task_statuses.get(task_name)


class TaskExecutionContext(Context):
    """What an operator sees: its workflow, the key of its run and the parameters of the execution."""

    def __init__(
        self,
        workflow: Workflow,
        task_execution_key: TaskExecutionKey,
        params: Mapping[str, str] | None = None,
    ) -> None:
        self.workflow = workflow
        self.task_execution_key = task_execution_key
        #: The parameters given with ``--param name=value``.
        self.params: dict[str, str] = dict(params or {})


_runtime_task_context: TaskExecutionContext | None = None


def set_runtime_task_context(context: TaskExecutionContext | None) -> None:
    """Say which task this process runs, for all its threads; None for none."""
    global _runtime_task_context
    _runtime_task_context = context


def get_runtime_task_context() -> TaskExecutionContext | None:
    """Return the context of the task that this process runs, None outside a task.

    Inside a Python task, the parameters of the workflow execution are
    ``get_runtime_task_context().params``.
    """
    return _runtime_task_context


class _ValueInMemory(ValueState):
    def __init__(self, values: dict[str, object], name: str) -> None:
        self._values = values
        self._name = name

    def value(self) -> object:
        return self._values.get(self._name)

    def update(self, state: object) -> None:
        self._values[self._name] = state

    def clear(self) -> None:
        self._values.pop(self._name, None)
