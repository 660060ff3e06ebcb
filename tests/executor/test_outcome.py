# SPDX-License-Identifier: Apache-2.0
"""What wait status, cause and the task's own word make together."""

from __future__ import annotations

from typing import Any

import pytest

from ai_flow.executor.attempt import Outcome
from ai_flow.executor.outcome import finished_attempt

_SUCCESS = {"outcome": "SUCCESS", "reason": None}
_FAILED = {"outcome": "FAILED", "reason": "ValueError: no"}
_STOPPED = {"outcome": "STOPPED", "reason": None}


def judge(status: int, said: dict[str, Any] | None = None, **fields: Any) -> tuple[str, str | None]:
    record = {
        "attempt_id": "a",
        "kind": "python",
        "timeout_s": 5.0,
        "status": status,
        "cause": None,
        "out_of_memory": None,
        "started_at_ms": 1,
        "finished_at_ms": 2,
        "max_rss_bytes": 3,
        "cpu_s": 0.1,
        **fields,
    }
    report = finished_attempt(record, said)
    return report.outcome.value, report.reason


def exited(code: int) -> int:
    return code << 8


@pytest.mark.parametrize(
    ("status", "said", "fields", "expected"),
    [
        (exited(0), None, {"kind": "bash"}, ("SUCCESS", None)),
        (exited(0), _SUCCESS, {}, ("SUCCESS", None)),
        (exited(0), _FAILED, {}, ("FAILED", "ValueError: no")),
        (exited(1), _FAILED, {}, ("FAILED", "ValueError: no")),
        (exited(1), None, {}, ("FAILED", "exit code 1")),
        (exited(7), _FAILED, {}, ("FAILED", "exit code 7: ValueError: no")),
        (exited(7), _SUCCESS, {}, ("FAILED", "exit code 7 after the operator had finished")),
        (11, _SUCCESS, {}, ("FAILED", "killed by signal 11 (SIGSEGV)")),
        (exited(143), _STOPPED, {"cause": "stop"}, ("STOPPED", None)),
        (exited(143), _STOPPED, {}, ("FAILED", "stopped by a SIGTERM that did not come from aiflow")),
        (exited(1), _FAILED, {"cause": "stop"}, ("STOPPED", None)),
        (9, None, {"cause": "stop"}, ("STOPPED", None)),
        (exited(0), _SUCCESS, {"cause": "stop"}, ("SUCCESS", None)),
        (exited(0), None, {"cause": "stop", "kind": "bash"}, ("STOPPED", None)),
        (9, None, {"cause": "timeout"}, ("FAILED", "timed out after 5 s")),
        (exited(0), _SUCCESS, {"cause": "timeout"}, ("SUCCESS", None)),
        (9, None, {"out_of_memory": "certain"}, ("FAILED", "killed: out of memory")),
        (
            9,
            None,
            {"out_of_memory": "likely"},
            (
                "FAILED",
                "killed by signal 9 (SIGKILL), probably out of memory: the kernel ended a process of this "
                "machine for that meanwhile",
            ),
        ),
        (
            15,
            None,
            {"cause": "supervisor gone"},
            ("LOST", "the process that supervised it was gone, so it was ended"),
        ),
    ],
)
def test_strongest_word_counts(
    status: int, said: dict[str, Any] | None, fields: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    assert judge(status, said, **fields) == expected


def test_every_outcome_is_a_plain_word() -> None:
    assert [str(outcome) for outcome in Outcome] == ["SUCCESS", "FAILED", "STOPPED", "LOST"]
