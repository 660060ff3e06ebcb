# SPDX-License-Identifier: Apache-2.0
"""The operator that runs a Bash command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.model.errors import InvalidOptionError
from ai_flow.model.operator import AIFlowOperator
from ai_flow.operators.child_process import ChildProcess

if TYPE_CHECKING:
    from ai_flow.model.context import Context


class BashOperator(AIFlowOperator):
    """Runs ``bash -c bash_command`` in the working directory of the workflow execution.

    Its output goes to the log of the task as it is. The task succeeds when the command exits with 0. When the
    task is stopped, the command and what it started are told to end (SIGTERM) and, after a grace, killed.

    >>> from ai_flow.model.workflow import Workflow
    >>> with Workflow(name="my_workflow") as workflow:
    ...     task = BashOperator(name="task", bash_command="test -d /", retries=1, env={"STAGE": "test"})
    >>> task.start(context=None)
    >>> task.await_termination(context=None)
    """

    def __init__(self, name: str, bash_command: str, **kwargs: Any) -> None:
        if not isinstance(bash_command, str) or "\0" in bash_command:
            raise InvalidOptionError(name, "bash_command", bash_command, "a text without zero characters")
        super().__init__(name, **kwargs)
        self.bash_command = bash_command
        self._process: ChildProcess | None = None

    def start(self, context: Context) -> None:
        """Start the command."""
        self._process = ChildProcess(["bash", "-c", self.bash_command], env=self.task_options.env)

    def await_termination(self, context: Context, timeout: int | None = None) -> None:
        """Wait for the end of the command; raise if its exit code is not 0.

        With ``timeout``, raise ``subprocess.TimeoutExpired`` after that many seconds; the command then still
        runs.
        """
        if self._process is None:
            raise AIFlowException(f"Task '{self.name}' has not been started.")
        if self._process.wait_for_exit(timeout) != 0:
            raise AIFlowException(
                "Bash command failed. The command returned a non-zero exit code. "
                f"({self._process.describe_exit()})"
            )

    def stop(self, context: Context) -> None:
        """End the command and what it started; nothing happens if it has not been started or has ended."""
        if self._process is not None:
            self._process.stop()
