# SPDX-License-Identifier: Apache-2.0
"""What `aiflow run -o json` prints: one document, of one shape whatever happened.

    format        1
    exit_code     of the process
    signal        name of the signal that ended it, or null
    timed_out     whether --timeout ended it
    error         null, or {code, message, hint}: nothing was run
    home          directory
    executions    [{id, workflow, namespace, status, reason, waits_for, begin_date, end_date, duration_s,
                    logs, tasks, never_started, rule_failures}]
    tasks         [{name, status, sequence_number, try_number, tries_allowed, tries_seen, reason,
                    begin_date, end_date, duration_s, log, tries}]
                  a task that never started has only its name
    tries         [{sequence_number, try_number, status, reason, begin_date, end_date, duration_s, log}]
                  the latest 1000; a try that another one follows has the status FAILED
    never_started [{task, reason}]
    rule_failures [{task, rule, event_offset, error, time}]
    trigger_failures [{workflow, trigger, event_offset, error, time}], with --until-idle

Ids are numbers, what is absent is null, times are ISO 8601 with an offset, paths are absolute.
"""

from __future__ import annotations

import signal
from typing import Any

from ai_flow.cli.failures import Failure
from ai_flow.cli.run.history import ExecutionHistory, RunHistory, TaskHistory, Try
from ai_flow.cli.text import iso_time
from ai_flow.common.home import Home
from ai_flow.model.status import TaskStatus
from ai_flow.server.run_session import RunResult

FORMAT = 1


def of_run(history: RunHistory, result: RunResult, home: Home, exit_code: int) -> dict[str, Any]:
    """Return the document of a run that took place."""
    return {
        "format": FORMAT,
        "exit_code": exit_code,
        "signal": signal.Signals(result.signal).name if result.signal is not None else None,
        "timed_out": result.timed_out,
        "error": None,
        "home": str(home.root),
        "executions": [_execution(execution) for execution in history.executions],
        "trigger_failures": _trigger_failures(history),
    }


def of_failure(failure: Failure, history: RunHistory, home: Home | None) -> dict[str, Any]:
    """Return the document of a run that could not take place, or not to its end."""
    return {
        "format": FORMAT,
        "exit_code": failure.exit_code,
        "signal": None,
        "timed_out": False,
        "error": {"code": failure.code, "message": failure.message, "hint": failure.hint},
        "home": str(home.root) if home is not None else None,
        "executions": [_execution(execution) for execution in history.executions],
        "trigger_failures": _trigger_failures(history),
    }


def _trigger_failures(history: RunHistory) -> list[dict[str, Any]]:
    return [
        {
            "workflow": failure.workflow,
            "trigger": failure.trigger_id,
            "event_offset": failure.event_offset,
            "error": failure.error,
            "time": iso_time(failure.failed_at_ms),
        }
        for failure in history.trigger_failures
    ]


def _execution(execution: ExecutionHistory) -> dict[str, Any]:
    progress = execution.progress
    return {
        "id": progress.id,
        "workflow": progress.workflow,
        "namespace": progress.namespace,
        "status": progress.status.value,
        "reason": progress.reason,
        "waits_for": progress.waits_for,
        **_times(progress.begin_at_ms, progress.end_at_ms),
        "logs": str(progress.logs),
        "tasks": [_task(task) for task in execution.tasks.values()],
        "never_started": [{"task": task, "reason": why} for task, why in progress.never_started.items()],
        "rule_failures": [
            {
                "task": failure.task,
                "rule": failure.rule_index,
                "event_offset": failure.event_offset,
                "error": failure.error,
                "time": iso_time(failure.failed_at_ms),
            }
            for failure in progress.rule_failures
        ],
    }


def _task(task: TaskHistory) -> dict[str, Any]:
    latest = task.latest
    return {
        "name": task.name,
        "status": task.status.value if task.status is not None else None,
        "sequence_number": latest.sequence_number if latest else None,
        "try_number": latest.try_number if latest else None,
        "tries_allowed": latest.tries if latest else None,
        "tries_seen": task.tries_seen,
        "reason": latest.reason if latest else None,
        **(_times(latest.began_ms, latest.ended_ms) if latest else _times(None, None)),
        "log": str(latest.log_path) if latest else None,
        "tries": [_try(attempt) for attempt in task.tries],
    }


def _try(attempt: Try) -> dict[str, Any]:
    status = TaskStatus.FAILED if attempt.status is TaskStatus.RETRYING else attempt.status
    return {
        "sequence_number": attempt.sequence_number,
        "try_number": attempt.try_number,
        "status": status.value,
        "reason": attempt.reason,
        **_times(attempt.began_ms, attempt.ended_ms),
        "log": str(attempt.log_path),
    }


def _times(began_ms: int | None, ended_ms: int | None) -> dict[str, Any]:
    took_s = (ended_ms - began_ms) / 1000 if began_ms is not None and ended_ms is not None else None
    return {
        "begin_date": iso_time(began_ms),
        "end_date": iso_time(ended_ms),
        "duration_s": took_s,
    }
