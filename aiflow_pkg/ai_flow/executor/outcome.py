# SPDX-License-Identifier: Apache-2.0
"""What the records of an attempt mean: one place that turns wait status, cause and the task's own word into
an outcome.

The rules, strongest first: an end that we caused is that end, unless the task had finished well before it
noticed; a bad exit status beats a success file; a Python task that says nothing has not succeeded,
whatever its exit status. Pure: the same records give the same outcome in a report, after a restart and in
a test.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

from ai_flow.executor.attempt import AttemptFinished, Outcome
from ai_flow.runtime.attempt_start import SETUP_FAILED_EXIT_CODE
from ai_flow.runtime.attempts import STOPPED, SUPERVISOR_GONE, TIMED_OUT
from ai_flow.runtime.out_of_memory import CERTAIN, LIKELY

Record = Mapping[str, Any]


def finished_attempt(exit_record: Record, outcome_record: Record | None) -> AttemptFinished:
    """Return the end of the attempt that the records tell of."""
    status = int(exit_record["status"])
    exit_code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    killed_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    outcome, reason = _judge(exit_record, outcome_record, exit_code, killed_by)
    return AttemptFinished(
        attempt_id=exit_record["attempt_id"],
        outcome=outcome,
        reason=reason,
        exit_code=exit_code,
        signal=killed_by,
        started_at_ms=exit_record["started_at_ms"],
        finished_at_ms=exit_record["finished_at_ms"],
        max_rss_bytes=exit_record["max_rss_bytes"],
        cpu_s=exit_record["cpu_s"],
    )


def _judge(
    exit_record: Record, said: Record | None, exit_code: int | None, killed_by: int | None
) -> tuple[Outcome, str | None]:
    said_success = said is not None and said["outcome"] == Outcome.SUCCESS
    if exit_record["cause"] is not None and not (exit_code == 0 and said_success):
        return _caused(exit_record)
    if killed_by is not None:
        return Outcome.FAILED, _killed(killed_by, exit_record["out_of_memory"])
    if exit_code != 0:
        return Outcome.FAILED, _bad_exit(exit_code, said)
    if exit_record["kind"] != "python" or said_success:
        return Outcome.SUCCESS, None
    if said is not None:
        return Outcome.FAILED, said["reason"]
    return (
        Outcome.FAILED,
        "the process ended with exit code 0 before the operator had finished (os._exit in its code?)",
    )


def _caused(exit_record: Record) -> tuple[Outcome, str | None]:
    cause = exit_record["cause"]
    if cause == TIMED_OUT:
        return Outcome.FAILED, f"timed out after {exit_record['timeout_s']:g} s"
    if cause == SUPERVISOR_GONE:
        return Outcome.LOST, "the process that supervised it was gone, so it was ended"
    assert cause == STOPPED
    return Outcome.STOPPED, None


def _killed(number: int, out_of_memory: str | None) -> str:
    if out_of_memory == CERTAIN:
        return "killed: out of memory"
    by = f"killed by signal {number} ({_signal_name(number)})"
    if out_of_memory == LIKELY:
        return f"{by}, probably out of memory: the kernel ended a process of this machine for that meanwhile"
    return by


def _bad_exit(exit_code: int | None, said: Record | None) -> str:
    if said is None:
        return f"exit code {exit_code}"
    if said["outcome"] == Outcome.SUCCESS:
        return f"exit code {exit_code} after the operator had finished"
    if said["outcome"] == Outcome.STOPPED:
        return "stopped by a SIGTERM that did not come from aiflow"
    if exit_code in (1, SETUP_FAILED_EXIT_CODE):
        return str(said["reason"])
    return f"exit code {exit_code}: {said['reason']}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "no name"
