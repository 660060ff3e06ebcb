# SPDX-License-Identifier: Apache-2.0
"""The operator that submits a Flink job with the ``flink`` command line.

The client runs as a child process; the ids of the job and of its YARN application are read from its output.
Outside application mode the client stays until the job has ended. In application mode it returns at once, and
the cluster is asked for the state of the job until it has ended. The command lines are made in
``flink_command``.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.model.errors import InvalidOptionError
from ai_flow.model.operator import AIFlowOperator
from ai_flow.operators import commands
from ai_flow.operators.child_process import STOP_GRACE_S, ChildProcess
from ai_flow.operators.flink import flink_command
from ai_flow.operators.flink.flink_command import FlinkCommand

if TYPE_CHECKING:
    from ai_flow.model.context import Context

#: A cluster that is still coming up cannot answer yet; one that fails so often in a row will not.
_MAX_FAILED_POLLS = 60


class FlinkOperator(AIFlowOperator):
    """Submits ``application`` and waits until the job has ended.

    ``target`` is Flink's ``execution.target``: none, ``local``, ``remote``, ``yarn-per-job``,
    ``yarn-session`` or ``kubernetes-session``; with ``application_mode=True`` ``yarn-application`` or
    ``kubernetes-application``. Those on Kubernetes need ``kubernetes_cluster_id``. ``command_options`` go to
    the command line as they would in a shell. When the task is stopped, the job is cancelled, or stopped with
    a savepoint if ``stop_with_savepoint``. The command is ``executable_path``, else ``flink`` on PATH, else
    ``$FLINK_HOME/bin/flink``.

    >>> from ai_flow.model.workflow import Workflow
    >>> with Workflow(name="my_workflow") as workflow:
    ...     count = FlinkOperator(
    ...         name="count",
    ...         application="/opt/flink/examples/streaming/WordCount.jar",
    ...         target="yarn-per-job",
    ...         application_args=["--output", "/tmp/counts"],
    ...     )
    """

    def __init__(
        self,
        name: str,
        application: str,
        target: str | None = None,
        application_args: Iterable[Any] | None = None,
        executable_path: str | None = None,
        application_mode: bool = False,
        stop_with_savepoint: bool = False,
        kubernetes_cluster_id: str | None = None,
        command_options: str | None = None,
        jobs_info_poll_interval: float = 1,
        **kwargs: Any,
    ) -> None:
        _check_target(name, target, application_mode, kubernetes_cluster_id)
        if not isinstance(jobs_info_poll_interval, (int, float)) or jobs_info_poll_interval <= 0:
            raise InvalidOptionError(
                name, "jobs_info_poll_interval", jobs_info_poll_interval, "a number of seconds above zero"
            )
        self._options = tuple(commands.split_options(name, "command_options", command_options))
        super().__init__(name, **kwargs)
        self.application = application
        self.target = target
        self.application_args = list(application_args or [])
        self.executable_path = executable_path
        self.application_mode = application_mode
        self.stop_with_savepoint = stop_with_savepoint
        self.kubernetes_cluster_id = kubernetes_cluster_id
        self.command_options = command_options
        self.jobs_info_poll_interval = jobs_info_poll_interval
        self._flink: FlinkCommand | None = None
        self._client: ChildProcess | None = None
        self._job_id: str | None = None
        self._yarn_application_id: str | None = None
        self._has_ended = False

    def start(self, context: Context) -> None:
        """Submit the job."""
        if self.target == flink_command.YARN_APPLICATION:
            commands.require_program("yarn", "ask for the state of the application")
        if self.target == flink_command.KUBERNETES_APPLICATION:
            commands.require_program("kubectl", "remove the cluster of the application")
        self._flink = self._flink_command()
        command = self._flink.submit()
        self.log.info("Executing: %s", commands.shown_command(command))
        self._client = ChildProcess(command, env=self.task_options.env, on_line=self._read_client_line)

    def await_termination(self, context: Context, timeout: int | None = None) -> None:
        """Wait for the end of the job; raise if it did not end well.

        With ``timeout``, raise ``subprocess.TimeoutExpired`` after that many seconds; the job then still
        runs.
        """
        if self._client is None or self._flink is None:
            raise AIFlowException(f"Task '{self.name}' has not been started.")
        limit = _Limit(timeout)
        code = self._client.wait_for_exit(timeout)
        if code != 0:
            shown = commands.shown_command(self._client.command)
            raise AIFlowException(f"Cannot execute: {shown}. Error code is: {code}.")
        if self.target == flink_command.YARN_APPLICATION:
            self._await_yarn_application(limit)
        elif self.target == flink_command.KUBERNETES_APPLICATION:
            self._await_kubernetes_application(self._flink, limit)
        self._has_ended = True

    def stop(self, context: Context) -> None:
        """End the job, then the client; nothing happens if the job has ended or was never submitted."""
        if self._client is None or self._flink is None or self._has_ended:
            return
        if self.target == "local":
            self._client.stop()  # the job runs inside the client
            return
        if self._job_id is None:
            # The client may be in the midst of submitting: only when it is gone its last word is known.
            self._client.stop()
        try:
            self._end_job(self._flink)
        finally:
            self._client.has_ended(within_s=STOP_GRACE_S)  # an attached client ends with its job
            self._client.stop()
            if self._flink.is_kubernetes_application:
                self._delete_deployment(self._flink)

    def _flink_command(self) -> FlinkCommand:
        return FlinkCommand(
            program=commands.find_program("flink", self.executable_path, "FLINK_HOME"),
            application=self.application,
            target=self.target,
            application_args=tuple(str(argument) for argument in self.application_args),
            application_mode=self.application_mode,
            cluster_id=self.kubernetes_cluster_id,
            options=self._options,
        )

    def _read_client_line(self, line: str) -> None:
        print(commands.mask_secrets(line), flush=True)
        self._job_id = self._job_id or flink_command.job_id_in(line)
        self._yarn_application_id = self._yarn_application_id or flink_command.yarn_application_id_in(line)

    def _end_job(self, flink: FlinkCommand) -> None:
        job_id = self._job_id or self._listed_job(flink)
        if job_id is not None:
            command = flink.end_job(
                job_id, self._yarn_application_id, with_savepoint=self.stop_with_savepoint
            )
            self.log.info("Executing: %s", commands.shown_command(command))
            commands.tell(command)
        elif self.target == flink_command.YARN_APPLICATION and self._yarn_application_id is not None:
            commands.tell(["yarn", "application", "-kill", self._yarn_application_id])
        else:
            raise AIFlowException("Flink job id has not been obtained.")

    def _listed_job(self, flink: FlinkCommand) -> str | None:
        """Return the job of an application cluster, whose client never says it; None elsewhere."""
        if not self.application_mode:
            return None
        code, output = commands.ask(flink.list_jobs(self._yarn_application_id))
        jobs = flink_command.job_states_in(output) if code == 0 else {}
        alive = [job for job, state in jobs.items() if state not in flink_command.TERMINAL_STATES]
        return alive[0] if alive else None

    def _await_yarn_application(self, limit: _Limit) -> None:
        application_id = self._yarn_application_id
        if application_id is None:
            raise AIFlowException("Yarn application id has not been obtained.")

        def final_state(output: str) -> str | None:
            state = flink_command.yarn_final_state_in(output)
            return None if state == "UNDEFINED" else state

        state = self._poll(["yarn", "application", "--status", application_id], final_state, limit)
        if state != "SUCCEEDED":
            raise AIFlowException(f"Yarn application {application_id} ended in the final state {state}.")

    def _await_kubernetes_application(self, flink: FlinkCommand, limit: _Limit) -> None:
        def final_state(output: str) -> str | None:
            states = flink_command.job_states_in(output)
            state = states.get(self._job_id) if self._job_id else next(iter(states.values()), None)
            return state if state in flink_command.TERMINAL_STATES else None

        state = self._poll(flink.list_jobs(None), final_state, limit)
        self._delete_deployment(flink)
        if state != "FINISHED":
            raise AIFlowException(f"The Flink job of cluster {self.kubernetes_cluster_id} ended as {state}.")

    def _delete_deployment(self, flink: FlinkCommand) -> None:
        commands.tell(flink.delete_deployment("kubectl"))

    def _poll(self, command: list[str], final_state: Callable[[str], str | None], limit: _Limit) -> str:
        """Ask until there is a final state and return it."""
        failures = 0
        while True:
            code, output = commands.ask(command)
            state = final_state(output) if code == 0 else None
            if state is not None:
                return state
            failures = failures + 1 if code != 0 else 0
            if failures >= _MAX_FAILED_POLLS:
                shown = commands.shown_command(command)
                raise AIFlowException(
                    f"Cannot execute: {shown}. Error code is: {code}, {failures} times in a row. "
                    f"Output: {commands.mask_secrets(output.strip())}"
                )
            limit.check(command)
            time.sleep(self.jobs_info_poll_interval)


class _Limit:
    """How long all the waiting of ``await_termination`` may take together."""

    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + (timeout_s or 0)

    def check(self, command: list[str]) -> None:
        """Raise ``subprocess.TimeoutExpired`` if the time is over."""
        if self._timeout_s is not None and time.monotonic() >= self._deadline:
            raise subprocess.TimeoutExpired(command, self._timeout_s)


def _check_target(name: str, target: str | None, application_mode: bool, cluster_id: str | None) -> None:
    known = flink_command.APPLICATION_TARGETS if application_mode else flink_command.TARGETS
    if target not in known:
        command = "flink run-application" if application_mode else "flink run"
        raise AIFlowException(f"Invalid --target option: {target} set to `{command}`")
    if target is not None and target.startswith("kubernetes-") and not cluster_id:
        raise InvalidOptionError(name, "kubernetes_cluster_id", cluster_id, f"set for the target {target}")
