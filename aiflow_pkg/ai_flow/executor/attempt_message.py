# SPDX-License-Identifier: Apache-2.0
"""An ``AttemptSpec`` as its fork server gets it, with the environment that the task will see.

Pure. The operator's own ``env`` goes over the environment of the server, and what the task needs to find
us goes over that.
"""

from __future__ import annotations

import json
from typing import Any

from ai_flow.executor.attempt import AttemptSpec
from ai_flow.executor.run_directory import RunDirectory
from ai_flow.runtime.process_table import ATTEMPT_VARIABLE

#: What the process of an attempt becomes.
BASH, NOTHING, FORK, SPAWN = "bash", "nothing", "fork", "spawn"


def attempt_message(
    spec: AttemptSpec,
    directory: RunDirectory,
    *,
    run: str,
    boot_id: str,
    environment: dict[str, str],
    token: str,
) -> dict[str, Any]:
    """Return the launch request; a Python task's carries its part of the pinned graph too."""
    message = {
        "attempt_id": spec.attempt_id,
        "attempts_dir": str(directory.attempts),
        "store_id": directory.store_id,
        "boot_id": boot_id,
        "run": run,
        "kind": spec.kind,
        "log_path": str(spec.log_path),
        "log_root": str(spec.log_path.parent.parent),
        "bundle_dir": str(spec.bundle_dir),
        "stem": spec.entry.partition("/")[0],
        "working_dir": str(spec.working_dir),
        "env": {**spec.env, **environment, **task_environment(spec, token)},
        "grace_s": spec.stop_grace_s,
        "timeout_s": spec.timeout_s,
        "token": token,
    }
    if run == BASH:
        message["bash_command"] = spec.bash_command
    elif run != NOTHING:
        message |= _python_part(spec)
    return message


def task_environment(spec: AttemptSpec, token: str) -> dict[str, str]:
    """Return what the environment of the task says about the task."""
    return {
        ATTEMPT_VARIABLE: spec.attempt_id,
        "AIFLOW_TOKEN": token,
        "AIFLOW_WORKFLOW_NAME": spec.workflow_name,
        "AIFLOW_NAMESPACE": spec.namespace,
        "AIFLOW_WORKFLOW_EXECUTION_ID": str(spec.workflow_execution_id),
        "AIFLOW_TASK_NAME": spec.task_name,
        "AIFLOW_SEQUENCE_NUMBER": str(spec.sequence_number),
        "AIFLOW_TRY_NUMBER": str(spec.try_number),
        "AIFLOW_PARAMS": json.dumps(dict(spec.params)),
        # A name with an equals sign cannot be in an environment; AIFLOW_PARAMS has it all the same.
        **{f"AIFLOW_PARAM_{name}": value for name, value in spec.params.items() if "=" not in name},
    }


def _python_part(spec: AttemptSpec) -> dict[str, Any]:
    return {
        "entry": spec.entry,
        "namespace": spec.namespace,
        "workflow_name": spec.workflow_name,
        "workflow_execution_id": spec.workflow_execution_id,
        "task_name": spec.task_name,
        "sequence_number": spec.sequence_number,
        "try_number": spec.try_number,
        "task": dict(spec.task),
        "task_names": list(spec.task_names),
        "params": dict(spec.params),
    }
