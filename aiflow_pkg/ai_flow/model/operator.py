# SPDX-License-Identifier: Apache-2.0
"""Operators: the templates of tasks.

``Operator`` is a task with rules and options that does nothing when it runs; ``AIFlowOperator`` is the base
of those that do something, the ones in ``ai_flow.operators`` and those of users. A task is run in a process
of its own: ``start``, then ``await_termination``; ``stop`` when it is told to stop.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from ai_flow.model.action import TaskAction
from ai_flow.model.checks import checked_name
from ai_flow.model.errors import TaskOutsideWorkflowError
from ai_flow.model.options import TaskOptions, read_options
from ai_flow.model.status import TaskStatus
from ai_flow.model.workflow import Workflow, WorkflowContextManager

if TYPE_CHECKING:
    from ai_flow.model.condition import Condition
    from ai_flow.model.context import Context

_T = TypeVar("_T")


class OperatorConfigItem:
    """The names of the keyword arguments that every operator understands."""

    #: ``cron@`` and five crontab fields, or ``interval@`` and days, hours, minutes, seconds.
    PERIODIC_EXPRESSION = "periodic_expression"
    #: How often a failed run is tried again (0).
    RETRIES = "retries"
    #: Seconds, or a timedelta, before the second try (0).
    RETRY_DELAY = "retry_delay"
    #: By what the delay grows from try to try (1).
    RETRY_BACKOFF = "retry_backoff"
    #: Seconds, or a timedelta, that the delay never exceeds (none).
    RETRY_MAX_DELAY = "retry_max_delay"
    #: Seconds, or a timedelta, after which a try is ended and counts as failed (none).
    TIMEOUT = "timeout"
    #: Variables added to the environment of the task's process (none).
    ENV = "env"


class _Option(Generic[_T]):
    """Shows one of the checked options as an attribute.

    It gives way to an attribute of the same name that a user's subclass sets, before or after the constructor
    of ``Operator``: what the scheduler goes by is ``task_options``.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, operator: None, owner: type) -> _Option[_T]: ...

    @overload
    def __get__(self, operator: Operator, owner: type) -> _T: ...

    def __get__(self, operator: Operator | None, owner: type) -> _T | _Option[_T]:
        return self if operator is None else cast("_T", getattr(operator.task_options, self._name))


class Operator:
    """A task of a workflow, made inside the ``with`` block of that workflow under a name not yet used there.

    The keyword arguments are kept in ``config``; ``OperatorConfigItem`` lists those that every operator
    understands. A plain ``Operator`` does nothing when it runs and succeeds: a point where others meet.

    >>> from ai_flow.model.workflow import Workflow
    >>> with Workflow(name="my_workflow") as workflow:
    ...     first = Operator(name="first")
    ...     second = Operator(name="second", retries=3, retry_delay=10, retry_backoff=2, timeout=600)
    ...     second.start_after(first)
    >>> second.retries, second.retry_delay, second.config["timeout"]
    (3, 10.0, 600)
    """

    retries = _Option[int]("retries")
    retry_delay = _Option[float]("retry_delay")
    retry_backoff = _Option[float]("retry_backoff")
    retry_max_delay = _Option["float | None"]("retry_max_delay")
    timeout = _Option["float | None"]("timeout")
    env = _Option["Mapping[str, str]"]("env")
    periodic_expression = _Option["str | None"]("periodic_expression")

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.name = checked_name("task", name)
        #: The keyword arguments, as they were given.
        self.config: dict[str, Any] = kwargs
        #: The keyword arguments that aiflow understands, checked; durations in seconds.
        self.task_options: TaskOptions = read_options(self.name, kwargs)
        workflow = WorkflowContextManager.get_current_workflow()
        if workflow is None:
            raise TaskOutsideWorkflowError(self.name)
        #: The workflow that the task belongs to.
        self.workflow: Workflow = workflow
        workflow._add_task(self)  # the other half of the same pair

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def action_on_condition(self, action: TaskAction, condition: Condition) -> None:
        """Take ``action`` when ``condition`` is met."""
        self.workflow.action_on_condition(self.name, action, condition)

    def action_on_event_received(self, action: TaskAction, event_key: str) -> None:
        """Take ``action`` at every event with the key ``event_key``."""
        self.workflow.action_on_event_received(self.name, event_key, action)

    def action_on_task_status(
        self, action: TaskAction, upstream_task_status_dict: Mapping[Operator, TaskStatus]
    ) -> None:
        """Take ``action`` when one of the upstream tasks becomes its status and all others have theirs.

        >>> from ai_flow.model.workflow import Workflow
        >>> with Workflow(name="my_workflow") as workflow:
        ...     work, watch = Operator(name="work"), Operator(name="watch")
        ...     watch.action_on_task_status(TaskAction.STOP, {work: TaskStatus.SUCCESS})
        """
        self.workflow.action_on_task_status(self.name, action, upstream_task_status_dict)

    def start_after(self, tasks: Operator | Iterable[Operator]) -> None:
        """Start when ``tasks``, one or several, have all succeeded.

        It starts again whenever one of them succeeds again while the latest runs of the others are successes.
        """
        if isinstance(tasks, (Operator, str)) or not isinstance(tasks, Iterable):
            upstream = [cast("Operator", tasks)]
        else:
            upstream = list(tasks)
        for task in upstream:
            # Before it becomes the key of a dict: what is no operator may not even be hashable.
            self.workflow._checked_upstream(self.name, task)
        self.action_on_task_status(TaskAction.START, dict.fromkeys(upstream, TaskStatus.SUCCESS))


class AIFlowOperator(Operator, ABC):
    """The base of the operators that do something.

    A subclass defines ``start``; it may define ``await_termination`` if ``start`` returns before the work is
    done, and ``stop`` if there is something to clean up. Raising an exception in either means failure.

    >>> from ai_flow.model.workflow import Workflow
    >>> class Greet(AIFlowOperator):
    ...     def __init__(self, name, whom, **kwargs):
    ...         super().__init__(name, **kwargs)
    ...         self.whom = whom
    ...     def start(self, context):
    ...         print(f"Hello, {self.whom}.")
    >>> with Workflow(name="my_workflow") as workflow:
    ...     greet = Greet("greet", whom="world", retries=1)
    >>> greet.start(context=None)
    Hello, world.
    """

    #: Writes to the log of the task.
    log = logging.getLogger("aiflow.task.operator")

    def __init__(self, task_name: str, **kwargs: Any) -> None:
        super().__init__(task_name, **kwargs)

    @abstractmethod
    def start(self, context: Context) -> None:
        """Begin the work. It may also do all of it."""

    def stop(self, context: Context) -> None:
        """End the work early. Called when the task is told to stop; the process ends afterwards."""

    def await_termination(self, context: Context, timeout: int | None = None) -> None:
        """Wait until the work is done, or for ``timeout`` seconds; raise if it failed."""

    def get_metrics(self, context: Context) -> dict[str, Any]:
        """Return numbers about the work; aiflow does not ask for them."""
        return {}
