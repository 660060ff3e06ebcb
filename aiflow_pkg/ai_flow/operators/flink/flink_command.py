# SPDX-License-Identifier: Apache-2.0
"""The command lines of ``flink``, and what their output says.

Everything about the different deployment targets is here, without running anything: which targets exist, how
a job is submitted to each, and which flags lead later commands to the cluster that the job runs on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

YARN_APPLICATION = "yarn-application"
KUBERNETES_APPLICATION = "kubernetes-application"
KUBERNETES_SESSION = "kubernetes-session"

APPLICATION_TARGETS = (YARN_APPLICATION, KUBERNETES_APPLICATION)
TARGETS = (None, "local", "remote", "yarn-per-job", "yarn-session", KUBERNETES_SESSION)

#: A job in one of these states will not change any more.
TERMINAL_STATES = frozenset({"FAILED", "CANCELED", "FINISHED", "SUSPENDED"})

_JOB_ID = re.compile(r"^Job has been submitted with JobID ([a-z0-9]+)")
_YARN_APPLICATION_ID = re.compile(r"(application[0-9_]+)")
_YARN_FINAL_STATE = re.compile(r"Final-State\s*:\s*(\w+)")
_LISTED_JOB = re.compile(r" : ([a-z0-9]+) : .* \(([A-Z]+)\)\s*$", re.MULTILINE)
#: Settings that say where the cluster is: what was needed to submit is needed to find the job again.
_ADDRESS_SETTING = re.compile(r"-D(rest|kubernetes|yarn|jobmanager\.rpc|high-availability|security)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlinkCommand:
    """The command lines for one job; ``program`` is the ``flink`` to run."""

    program: str
    application: str
    target: str | None
    application_args: tuple[str, ...]
    application_mode: bool
    cluster_id: str | None
    options: tuple[str, ...]

    def submit(self) -> list[str]:
        """Return the command that submits the job."""
        return [
            self.program,
            "run-application" if self.application_mode else "run",
            *(["--target", self.target] if self.target is not None else []),
            *(["-Dexecution.shutdown-on-application-finish=false"] if self.is_kubernetes_application else []),
            *self._cluster(),
            *self.options,
            self.application,
            *self.application_args,
        ]

    def list_jobs(self, yarn_application_id: str | None) -> list[str]:
        """Return the command that lists the jobs of the cluster, ended ones included."""
        return [self.program, "list", "-a", *self._where(yarn_application_id)]

    def end_job(self, job_id: str, yarn_application_id: str | None, *, with_savepoint: bool) -> list[str]:
        """Return the command that ends a job."""
        return [
            self.program,
            "stop" if with_savepoint else "cancel",
            *self._where(yarn_application_id),
            job_id,
        ]

    def delete_deployment(self, kubectl: str) -> list[str]:
        """Return the command that removes the cluster of an application on Kubernetes."""
        namespace = next(
            (o.partition("=")[2] for o in self.options if o.startswith("-Dkubernetes.namespace=")), None
        )
        return [
            kubectl,
            "delete",
            f"deployments/{self.cluster_id}",
            "--ignore-not-found",
            *(["--namespace", namespace] if namespace else []),
        ]

    @property
    def is_kubernetes_application(self) -> bool:
        return self.target == KUBERNETES_APPLICATION

    def _cluster(self) -> list[str]:
        if self.target in (KUBERNETES_SESSION, KUBERNETES_APPLICATION):
            return [f"-Dkubernetes.cluster-id={self.cluster_id}"]
        return []

    def _where(self, yarn_application_id: str | None) -> list[str]:
        """Return the flags that lead to the cluster of the job; none without a target, where Flink's own
        configuration says it.
        """
        is_on_yarn = self.target is not None and self.target.startswith("yarn-")
        return [
            *(["-t", self.target] if self.target is not None else []),
            *([f"-Dyarn.application.id={yarn_application_id}"] if is_on_yarn and yarn_application_id else []),
            *self._cluster(),
            *_address_options(self.options),
        ]


def job_id_in(line: str) -> str | None:
    """Return the id of the job that a line of ``flink run`` announces."""
    found = _JOB_ID.search(line)
    return found.group(1) if found else None


def yarn_application_id_in(line: str) -> str | None:
    """Return the id of the YARN application that a line names."""
    found = _YARN_APPLICATION_ID.search(line)
    return found.group(1) if found else None


def yarn_final_state_in(output: str) -> str | None:
    """Return the final state in the output of ``yarn application --status``."""
    found = _YARN_FINAL_STATE.search(output)
    return found.group(1) if found else None


def job_states_in(output: str) -> dict[str, str]:
    """Return the state of every job in the output of ``flink list``.

    >>> job_states_in("23.11.2026 10:00:00 : 5e20cb6b : WordCount (RUNNING)")
    {'5e20cb6b': 'RUNNING'}
    """
    return dict(_LISTED_JOB.findall(output))


def _address_options(options: Sequence[str]) -> list[str]:
    kept: list[str] = []
    for position, option in enumerate(options):
        if option in ("-m", "--jobmanager"):
            kept += options[position : position + 2]
        elif _ADDRESS_SETTING.match(option) and not option.startswith("-Dkubernetes.cluster-id="):
            kept.append(option)
    return kept
