# SPDX-License-Identifier: Apache-2.0
"""The exceptions of aiflow.

    AIFlowException                  the root: catch this one
    ├── AIFlowConfigException        a configuration file or option is missing or wrong
    ├── AIFlowYAMLException          a YAML file cannot be read
    ├── AIFlowDBException            the store cannot be opened or used
    ├── AIFlowK8sException           Kubernetes refused something
    ├── TaskFailedException          a task ended badly
    └── TaskForceStoppedException    a task was told to stop

Definition-time mistakes are in ``ai_flow.model.errors``. Every exception survives pickling, so that it can
travel from a child process to its parent with all its attributes.
"""

from __future__ import annotations

from typing import Any, ClassVar


class AIFlowException(Exception):
    """The root of everything that aiflow raises on purpose.

    >>> try:
    ...     raise AIFlowConfigException("The port is not a number.")
    ... except AIFlowException as error:
    ...     print(error)
    The port is not a number.
    """

    #: A stable word for programs; the message is for people and may change.
    code: ClassVar[str] = "error"
    #: What to do about it, when the message does not say it already.
    hint: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__.copy())


class AIFlowConfigException(AIFlowException):
    """A configuration is missing or wrong."""

    code = "config"


class AIFlowDBException(AIFlowException):
    """The store cannot be opened or used."""

    code = "database"


class AIFlowYAMLException(AIFlowException):
    """A YAML file cannot be read."""

    code = "yaml"


class AIFlowK8sException(AIFlowException):
    """Kubernetes refused something."""

    code = "kubernetes"


class TaskFailedException(AIFlowException):
    """A task ended badly."""

    code = "task_failed"


class TaskForceStoppedException(AIFlowException):
    """A task was told to stop."""

    code = "task_stopped"


def _restore(kind: type[AIFlowException], args: tuple[Any, ...], state: dict[str, Any]) -> AIFlowException:
    # The default way would call the constructor with the message, but our constructors take ids.
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error
