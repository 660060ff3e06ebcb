# SPDX-License-Identifier: Apache-2.0
"""The operator that runs SQL with ``spark-sql``, in client mode: the child process is the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.model.errors import InvalidOptionError
from ai_flow.model.operator import AIFlowOperator
from ai_flow.operators import commands
from ai_flow.operators.child_process import ChildProcess

if TYPE_CHECKING:
    from ai_flow.model.context import Context


class SparkSqlOperator(AIFlowOperator):
    """Runs ``sql``: the statements of a file if it ends in ``.sql`` or ``.hql``, else the text itself.

    The command is ``executable_path``, else ``spark-sql`` on PATH, else ``$SPARK_HOME/bin/spark-sql``.

    >>> from ai_flow.model.workflow import Workflow
    >>> with Workflow(name="my_workflow") as workflow:
    ...     count = SparkSqlOperator(name="count", sql="SELECT count(*) FROM visits", master="local[2]")
    >>> count.application_name
    'spark_sql_task_count'
    """

    def __init__(
        self,
        name: str,
        sql: str,
        master: str = "yarn",
        application_name: str | None = None,
        executable_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(sql, str) or not sql.strip():
            raise InvalidOptionError(name, "sql", sql, "a statement or the name of a .sql or .hql file")
        super().__init__(name, **kwargs)
        self.sql = sql
        self.master = master
        self.application_name = application_name or f"spark_sql_task_{name}"
        self.executable_path = executable_path
        self._process: ChildProcess | None = None

    def start(self, context: Context) -> None:
        """Start ``spark-sql``."""
        program = commands.find_program("spark-sql", self.executable_path, "SPARK_HOME")
        is_file = self.sql.strip().endswith((".sql", ".hql"))
        command = [program, "--master", self.master, "--name", self.application_name]
        command += ["-f", self.sql.strip()] if is_file else ["-e", self.sql]
        self.log.info("Executing: %s", commands.shown_command(command))
        self._process = ChildProcess(command, env=self.task_options.env, on_line=_show)

    def await_termination(self, context: Context, timeout: int | None = None) -> None:
        """Wait for its end; raise if its exit code is not 0.

        With ``timeout``, raise ``subprocess.TimeoutExpired`` after that many seconds; it then still runs.
        """
        if self._process is None:
            raise AIFlowException(f"Task '{self.name}' has not been started.")
        code = self._process.wait_for_exit(timeout)
        if code != 0:
            shown = commands.mask_secrets(self.sql)
            raise AIFlowException(f"Cannot execute '{shown}' on {self.master}. Process exit code: {code}.")

    def stop(self, context: Context) -> None:
        """End it; nothing happens if it has ended or was never started."""
        if self._process is not None:
            self._process.stop()


def _show(line: str) -> None:
    print(commands.mask_secrets(line), flush=True)
