# SPDX-License-Identifier: Apache-2.0
"""Mistakes in the definition of a workflow; each is raised on the line that makes it.

AIFlowException
└── DefinitionError
    ├── InvalidNameError               a workflow, namespace or task cannot be called that
    ├── InvalidEventKeyError           an event cannot have that key
    ├── NestedWorkflowError            ``with Workflow(...)`` inside another one
    ├── TaskOutsideWorkflowError       an operator made outside ``with Workflow(...)``
    ├── DuplicateTaskError             two tasks of one name in a workflow
    ├── UnknownTaskError               a rule for a task that the workflow does not have
    ├── InvalidUpstreamError           a rule that follows something that is not a task of its workflow
    ├── InvalidConditionError          a condition that cannot be evaluated
    ├── InvalidActionError             an action that is none
    ├── InvalidStatusError             a status that is none
    ├── InvalidOptionError             an option of an operator has a wrong value
    └── InvalidPeriodicExpressionError a periodic expression cannot be understood
"""

from __future__ import annotations

from collections.abc import Iterable

from ai_flow.common.exception.exceptions import AIFlowException


class DefinitionError(AIFlowException):
    """A workflow file defines something that cannot be."""

    code = "definition"


class InvalidNameError(DefinitionError):
    """Names become parts of file paths and of event keys, so not every text can be one."""

    code = "invalid_name"

    def __init__(self, what: str, name: object, reason: str) -> None:
        super().__init__(
            f"{name!r} cannot be the name of a {what}: {reason}. "
            "A name is 1 to 240 bytes of printable characters without '/' and '\\'; "
            "it does not begin with '-', and does not begin or end with a space."
        )
        self.what = what
        self.name = name


class InvalidEventKeyError(DefinitionError):
    """The key of an event is a text of 1 to 1024 characters."""

    code = "invalid_event_key"

    def __init__(self, key: object, reason: str) -> None:
        shown = repr(key)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        super().__init__(
            f"{shown} cannot be the key of an event: {reason}. A key is a text of 1 to 1024 characters."
        )
        self.key = key


class NestedWorkflowError(DefinitionError):
    """A workflow is defined inside another."""

    code = "nested_workflow"

    def __init__(self, name: str, outer: str) -> None:
        super().__init__("Sub-workflows are not allowed to be defined in a Workflow.")
        self.hint = f"End the 'with' block of workflow '{outer}' before the one of workflow '{name}' begins."
        self.name = name
        self.outer = outer


class TaskOutsideWorkflowError(DefinitionError):
    """An operator was made outside of a workflow."""

    code = "task_outside_workflow"

    def __init__(self, task_name: str) -> None:
        super().__init__(
            f"Task '{task_name}' belongs to no workflow: make it inside a 'with Workflow(name=...):' block."
        )
        self.task_name = task_name


class DuplicateTaskError(DefinitionError):
    """Two tasks of a workflow have one name."""

    code = "duplicate_task"

    def __init__(self, workflow_name: str, task_name: str) -> None:
        super().__init__(
            f"Workflow '{workflow_name}' already has a task '{task_name}': give the second one another name."
        )
        self.workflow_name = workflow_name
        self.task_name = task_name


class UnknownTaskError(DefinitionError):
    """A rule is for a task that is not in the workflow."""

    code = "unknown_task"

    def __init__(self, workflow_name: str, task_name: object, known: Iterable[str]) -> None:
        self.workflow_name = workflow_name
        self.task_name = task_name
        tasks = ", ".join(f"'{name}'" for name in known) or "none"
        super().__init__(
            f"Workflow '{workflow_name}' has no task {task_name!r} to make a rule for; its tasks: {tasks}."
        )


class InvalidUpstreamError(DefinitionError):
    """A rule follows something that is not a task of its own workflow."""

    code = "invalid_upstream"

    def __init__(self, workflow_name: str, task_name: str, reason: str) -> None:
        super().__init__(
            f"Task '{task_name}' of workflow '{workflow_name}' cannot follow that upstream: {reason}."
        )
        self.workflow_name = workflow_name
        self.task_name = task_name


class InvalidConditionError(DefinitionError):
    """A condition can never be evaluated."""

    code = "invalid_condition"

    def __init__(self, condition: str, reason: str) -> None:
        super().__init__(f"The condition {condition} cannot be used: {reason}.")
        self.condition = condition


class InvalidActionError(DefinitionError):
    """An action is not a ``TaskAction``."""

    code = "invalid_action"

    def __init__(self, action: object) -> None:
        super().__init__(
            f"{action!r} is not an action: use TaskAction.START, TaskAction.RESTART or TaskAction.STOP."
        )
        self.action = action


class InvalidStatusError(DefinitionError):
    """A status is not a ``TaskStatus``."""

    code = "invalid_status"

    def __init__(self, status: object, known: Iterable[str]) -> None:
        super().__init__(
            f"{status!r} is not a status of a task: use one of TaskStatus.{', TaskStatus.'.join(known)}."
        )
        self.status = status


class InvalidOptionError(DefinitionError):
    """An option of an operator has a value that it cannot have."""

    code = "invalid_option"

    def __init__(self, task_name: str, option: str, value: object, wanted: str) -> None:
        super().__init__(f"Task '{task_name}': {option} must be {wanted}, found {value!r}.")
        self.task_name = task_name
        self.option = option
        self.value = value


class InvalidPeriodicExpressionError(DefinitionError):
    """A periodic expression cannot be understood."""

    code = "invalid_periodic_expression"

    def __init__(self, expression: object, reason: str, task_name: str | None = None) -> None:
        of_task = f" of task '{task_name}'" if task_name else ""
        super().__init__(
            f"The periodic expression {expression!r}{of_task} is not valid: {reason}. "
            "Write 'cron@' and five crontab fields, such as 'cron@0 * * * *', "
            "or 'interval@' and days, hours, minutes, seconds, such as 'interval@0 0 10 0'."
        )
        self.expression = expression
        self.reason = reason
        self.task_name = task_name
