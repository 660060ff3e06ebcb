# SPDX-License-Identifier: Apache-2.0
"""Workflows: tasks, and the rules between them.

A workflow is defined in a ``with`` block; operators made inside it become its tasks. The blocks of different
threads do not see each other. What is wrong with a definition is raised by the call that makes the mistake.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ai_flow.model.checks import checked_action, checked_name, checked_status
from ai_flow.model.errors import (
    DuplicateTaskError,
    InvalidUpstreamError,
    NestedWorkflowError,
    UnknownTaskError,
)
from ai_flow.model.internal.conditions import (
    SingleEventCondition,
    TaskStatusAllMetCondition,
    TaskStatusCondition,
)
from ai_flow.model.rule import TaskRule

if TYPE_CHECKING:
    from ai_flow.model.action import TaskAction
    from ai_flow.model.condition import Condition
    from ai_flow.model.operator import Operator
    from ai_flow.model.status import TaskStatus


class Workflow:
    """A collection of tasks and of the rules that start, stop and restart them.

    Names are unique in a namespace. aiflow finds the workflows of a file in its module-level variables. A
    task without a rule that starts it runs as soon as an execution of the workflow begins.

    >>> from ai_flow.operators.bash import BashOperator
    >>> with Workflow(name="my_workflow") as workflow:
    ...     task1 = BashOperator(name="task1", bash_command="echo I am the 1st task")
    ...     task2 = BashOperator(name="task2", bash_command="echo I am the 2nd task")
    ...     task2.start_after(task1)
    >>> list(workflow.tasks), workflow.namespace
    (['task1', 'task2'], 'default')
    """

    def __init__(self, name: str, namespace: str = "default", **kwargs: Any) -> None:
        self.name = checked_name("workflow", name)
        self.namespace = checked_name("namespace", namespace)
        #: The further keyword arguments, as they were given.
        self.config: dict[str, Any] = kwargs
        #: The tasks by name, in the order of their definition.
        self.tasks: dict[str, Operator] = {}
        #: The rules of each task that has some, in the order of their definition. Of the rules of a task, the
        #: first one that an event meets counts.
        self.rules: dict[str, list[TaskRule]] = {}

    def __enter__(self) -> Workflow:
        WorkflowContextManager.push_context_managed_workflow(self)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        WorkflowContextManager.pop_context_managed_workflow()

    def __repr__(self) -> str:
        return f"<Workflow {self.namespace}.{self.name}: {len(self.tasks)} tasks>"

    def action_on_condition(self, task_name: str, action: TaskAction, condition: Condition) -> None:
        """Take ``action`` on a task when ``condition`` is met."""
        if task_name not in self.tasks:
            raise UnknownTaskError(self.name, task_name, self.tasks)
        self.rules.setdefault(task_name, []).append(TaskRule(condition, action))

    def action_on_event_received(self, task_name: str, event_key: str, action: TaskAction) -> None:
        """Take ``action`` on a task at every event with the key ``event_key``."""
        self.action_on_condition(task_name, action, SingleEventCondition(event_key))

    def action_on_task_status(
        self, task_name: str, action: TaskAction, upstream_task_status_dict: Mapping[Operator, TaskStatus]
    ) -> None:
        """Take ``action`` on a task when an upstream task becomes its status and all others have theirs."""
        checked_action(action)
        if not isinstance(upstream_task_status_dict, Mapping):
            raise self._wrong_upstream(
                task_name, f"{upstream_task_status_dict!r} is not a dict of tasks and statuses"
            )
        if not upstream_task_status_dict:
            raise self._wrong_upstream(task_name, "no upstream task is named")
        conditions = [
            TaskStatusCondition(
                workflow_name=self.name,
                task_name=self._checked_upstream(task_name, upstream),
                namespace=self.namespace,
                expect_status=checked_status(status),
            )
            for upstream, status in upstream_task_status_dict.items()
        ]
        self.action_on_condition(task_name, action, TaskStatusAllMetCondition(conditions))

    def _add_task(self, task: Operator) -> None:
        if task.name in self.tasks:
            raise DuplicateTaskError(self.name, task.name)
        self.tasks[task.name] = task

    def _checked_upstream(self, task_name: str, upstream: object) -> str:
        """Return the name of ``upstream`` if it is a task of this workflow."""
        from ai_flow.model.operator import Operator

        if isinstance(upstream, str):
            known = "" if upstream in self.tasks else ", and the workflow has no task of that name"
            raise self._wrong_upstream(task_name, f"{upstream!r} is a name: give the operator itself{known}")
        if not isinstance(upstream, Operator):
            raise self._wrong_upstream(task_name, f"{upstream!r} is not an operator")
        if upstream.workflow is not self:
            raise self._wrong_upstream(
                task_name,
                f"task '{upstream.name}' belongs to workflow '{upstream.workflow.name}'. "
                "Let it send an event, and use action_on_event_received",
            )
        if self.tasks.get(upstream.name) is not upstream:
            raise self._wrong_upstream(
                task_name, f"task '{upstream.name}' is no longer a task of this workflow"
            )
        return upstream.name

    def _wrong_upstream(self, task_name: str, reason: str) -> InvalidUpstreamError:
        return InvalidUpstreamError(self.name, task_name, reason)


class WorkflowContextManager:
    """Knows whose ``with`` block the current thread is in: operators made there become its tasks."""

    _of_thread = threading.local()

    @classmethod
    def push_context_managed_workflow(cls, workflow: Workflow) -> None:
        """Enter the block of ``workflow``; raise ``NestedWorkflowError`` inside another block."""
        outer = cls.get_current_workflow()
        if outer is not None:
            raise NestedWorkflowError(workflow.name, outer.name)
        cls._of_thread.workflow = workflow

    @classmethod
    def pop_context_managed_workflow(cls) -> Workflow | None:
        """Leave the current block and return its workflow, None outside any."""
        workflow = cls.get_current_workflow()
        cls._of_thread.workflow = None
        return workflow

    @classmethod
    def get_current_workflow(cls) -> Workflow | None:
        """Return the workflow whose block the current thread is in, None outside any."""
        return getattr(cls._of_thread, "workflow", None)
