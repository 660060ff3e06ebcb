# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with an executor before any attempt is; an attempt's failure is an outcome, not an
exception.

ExecutorError
+-- InterpreterError    the user's Python cannot be used
+-- ServerStartError    a guard or fork server cannot be started
"""

from __future__ import annotations


class ExecutorError(Exception):
    """The executor cannot do what was asked."""

    code = "executor"
    hint: str | None = None


class InterpreterError(ExecutorError):
    """The Python that is to run the tasks cannot be used."""

    code = "interpreter"
    hint = "name a Python 3.10 or newer"

    def __init__(self, python: str, found: str) -> None:
        super().__init__(f"cannot run tasks with the Python {python}: {found}")
        self.python = python


class ServerStartError(ExecutorError):
    """A guard or fork server cannot be started."""

    code = "server_start"

    def __init__(self, name: str, error: OSError) -> None:
        super().__init__(f"cannot start the process {name} that runs tasks: {error.strerror or error}")
        self.name = name
