# SPDX-License-Identifier: Apache-2.0
"""The operator that submits a Spark application with ``spark-submit``.

In client mode the application's driver is the child process itself. In cluster mode the driver runs on YARN
or Kubernetes and the child process only watches it: its output names the application, which is what has to be
killed when the task is stopped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.model.errors import InvalidOptionError
from ai_flow.model.operator import AIFlowOperator
from ai_flow.operators import commands
from ai_flow.operators.child_process import ChildProcess

if TYPE_CHECKING:
    from ai_flow.model.context import Context

_YARN_APPLICATION_ID = re.compile(r"(application_[0-9]+_[0-9]+)")
_DRIVER_POD = re.compile(r"(?i)pod name: (\S+)")
_DRIVER_EXIT_CODE = re.compile(r"(?i)exit code: ([0-9]+)")


class SparkSubmitOperator(AIFlowOperator):
    """Submits ``application`` and waits until it has ended.

    ``master`` is ``yarn``, ``local[...]``, ``spark://...``, ``mesos://...`` or ``k8s://...``; ``deploy_mode``
    is ``client`` or, on YARN and Kubernetes, ``cluster``. Kubernetes needs ``k8s_namespace``. ``env_vars``
    reach the driver, and on YARN or in client mode also the submitting process. ``submit_options`` go to the
    command line as they would in a shell. The command is ``executable_path``, else ``spark-submit`` on PATH,
    else ``$SPARK_HOME/bin/spark-submit``.

    >>> from ai_flow.model.workflow import Workflow
    >>> with Workflow(name="my_workflow") as workflow:
    ...     pi = SparkSubmitOperator(
    ...         name="pi",
    ...         application="/opt/spark/examples/jars/spark-examples.jar",
    ...         application_args=[100],
    ...         master="local[2]",
    ...         submit_options="--class org.apache.spark.examples.SparkPi",
    ...     )
    >>> pi.application_name
    'spark_submit_task_pi'
    """

    def __init__(
        self,
        name: str,
        application: str,
        application_args: Iterable[Any] | None = None,
        executable_path: str | None = None,
        master: str = "yarn",
        deploy_mode: str = "client",
        application_name: str | None = None,
        submit_options: str | None = None,
        k8s_namespace: str | None = None,
        env_vars: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        _check_deployment(name, master, deploy_mode, k8s_namespace)
        if not isinstance(env_vars, (Mapping, type(None))):
            raise InvalidOptionError(name, "env_vars", env_vars, "a mapping of names to values")
        self._options = commands.split_options(name, "submit_options", submit_options)
        super().__init__(name, **kwargs)
        self.application = application
        self.application_args = list(application_args or [])
        self.executable_path = executable_path
        self.master = master
        self.deploy_mode = deploy_mode
        self.application_name = application_name or f"spark_submit_task_{name}"
        self.submit_options = submit_options
        self.k8s_namespace = k8s_namespace
        self.env_vars: dict[str, str] = {key: str(value) for key, value in (env_vars or {}).items()}
        self._process: ChildProcess | None = None
        self._has_ended = False
        self._yarn_application_id: str | None = None
        self._driver_pod: str | None = None
        self._driver_exit_code = 0

    def start(self, context: Context) -> None:
        """Submit the application."""
        command = self._submit_command()
        self.log.info("Executing: %s", commands.shown_command(command))
        reaches_client = self.master == "yarn" or (
            self.deploy_mode == "client" and not self._is_on_kubernetes
        )
        env = {**self.task_options.env, **(self.env_vars if reaches_client else {})}
        self._process = ChildProcess(command, env=env, on_line=self._read_line)

    def await_termination(self, context: Context, timeout: int | None = None) -> None:
        """Wait for the end of the application; raise if it did not end well.

        With ``timeout``, raise ``subprocess.TimeoutExpired`` after that many seconds; the application then
        still runs.
        """
        if self._process is None:
            raise AIFlowException(f"Task '{self.name}' has not been started.")
        # On Kubernetes in cluster mode the client exits with 0 whatever became of the driver.
        code = self._process.wait_for_exit(timeout) or self._driver_exit_code
        if code != 0:
            shown = commands.shown_command(self._process.command)
            raise AIFlowException(f"Cannot execute: {shown}. Error code is: {code}.")
        self._has_ended = True

    def stop(self, context: Context) -> None:
        """End the application; nothing happens if it has ended or was never submitted."""
        if self._process is None or self._has_ended:
            return
        # First the client: only when it is gone its last word, the id of the application, is known.
        self._process.stop()
        if self.deploy_mode == "cluster":
            self._kill_on_cluster()

    @property
    def _is_on_kubernetes(self) -> bool:
        return self.master.startswith("k8s://")

    def _program(self) -> str:
        return commands.find_program("spark-submit", self.executable_path, "SPARK_HOME")

    def _submit_command(self) -> list[str]:
        command = [self._program(), "--master", self.master, "--deploy-mode", self.deploy_mode]
        command += ["--name", self.application_name]
        prefix = self._driver_env_prefix()
        if prefix is not None:
            for key, value in self.env_vars.items():
                command += ["--conf", f"{prefix}.{key}={value}"]
        if self._is_on_kubernetes:
            command += ["--conf", f"spark.kubernetes.namespace={self.k8s_namespace}"]
        arguments = [str(argument) for argument in self.application_args]
        return [*command, *self._options, self.application, *arguments]

    def _driver_env_prefix(self) -> str | None:
        if self.master == "yarn":
            return "spark.yarn.appMasterEnv"
        return "spark.kubernetes.driverEnv" if self._is_on_kubernetes else None

    def _read_line(self, line: str) -> None:
        print(commands.mask_secrets(line), flush=True)
        if self.deploy_mode != "cluster":
            return
        if self.master == "yarn" and (found := _YARN_APPLICATION_ID.search(line)):
            self._yarn_application_id = found.group(1)
        if self._is_on_kubernetes and (found := _DRIVER_POD.search(line)):
            self._driver_pod = found.group(1)
        if self._is_on_kubernetes and (found := _DRIVER_EXIT_CODE.search(line)):
            self._driver_exit_code = int(found.group(1))

    def _kill_on_cluster(self) -> None:
        if self._yarn_application_id is not None:
            commands.tell(["yarn", "application", "-kill", self._yarn_application_id])
        elif self._driver_pod is not None:
            driver = f"{self.k8s_namespace}:{self._driver_pod}"
            commands.tell([self._program(), "--master", self.master, "--kill", driver])
        else:
            raise AIFlowException("Spark application id has not been obtained.")


def _check_deployment(name: str, master: str, deploy_mode: str, k8s_namespace: str | None) -> None:
    if deploy_mode not in ("client", "cluster"):
        raise InvalidOptionError(name, "deploy_mode", deploy_mode, "'client' or 'cluster'")
    if deploy_mode == "cluster" and master.startswith("spark://"):
        raise AIFlowException("Only client mode is supported with standalone cluster.")
    if deploy_mode == "cluster" and master.startswith("mesos://"):
        raise AIFlowException("Only client mode is supported with mesos cluster.")
    if master.startswith("k8s://") and not k8s_namespace:
        raise AIFlowException("Param k8s_namespace must be set when submit to k8s.")
