# SPDX-License-Identifier: Apache-2.0
"""`aiflow run -o json`: one document on stdout, the same shape whatever happened, real types in it."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.cli.program import Program

pytestmark = pytest.mark.slow

_TOP = ["format", "exit_code", "signal", "timed_out", "error", "home", "executions", "trigger_failures"]


def test_the_document_tells_everything_that_happened(program: Program) -> None:
    file = program.write("""
        with Workflow(name="w") as workflow:
            bad = BashOperator(name="bad", bash_command="echo no; exit 3", retries=1)
            good = BashOperator(name="good", bash_command="echo yes")
            after = BashOperator(name="after", bash_command="true")
            after.start_after([bad, good])
    """)

    result = program.run("run", file, "-o", "json", "--keep-going")

    document = result.document
    assert result.code == document["exit_code"] == 1
    assert list(document) == _TOP
    assert (document["signal"], document["timed_out"], document["error"]) == (None, False, None)
    assert document["home"] == str(program.home)
    (execution,) = document["executions"]
    assert (execution["id"], execution["workflow"], execution["namespace"]) == (1, "w", "default")
    assert execution["status"] == "FAILED"
    assert "exit code 3" in execution["reason"]
    assert execution["waits_for"] is None
    assert execution["logs"] == f"{program.home}/logs/w/1"
    bad, good, after = execution["tasks"]
    assert (bad["status"], bad["try_number"], bad["tries_allowed"]) == ("FAILED", 2, 2)
    assert [(attempt["try_number"], attempt["status"]) for attempt in bad["tries"]] == [
        (1, "FAILED"),
        (2, "FAILED"),
    ]
    assert bad["tries"][0]["log"] == f"{program.home}/logs/w/1/bad/1.log"
    assert bad["log"] == f"{program.home}/logs/w/1/bad/1.2.log"
    assert (good["status"], good["reason"], good["sequence_number"]) == ("SUCCESS", None, 1)
    assert (after["status"], after["begin_date"], after["tries"]) == (None, None, [])
    assert [entry["task"] for entry in execution["never_started"]] == ["after"]
    began, ended = (datetime.fromisoformat(good[name]) for name in ("begin_date", "end_date"))
    assert began.tzinfo is not None
    assert good["duration_s"] == pytest.approx((ended - began).total_seconds())


def test_progress_goes_to_stderr(program: Program) -> None:
    file = program.write("""
        with Workflow(name="w") as workflow:
            BashOperator(name="a", bash_command="echo hello")
    """)

    result = program.run("run", file, "-o", "json")

    assert result.document["exit_code"] == 0
    assert "a | hello\n" in result.stderr


def test_a_timeout_is_in_the_document(program: Program) -> None:
    file = program.write("""
        with Workflow(name="w") as workflow:
            BashOperator(name="a", bash_command="sleep 60")
    """)

    result = program.run("run", file, "-o", "json", "--timeout", "0.3")

    assert result.code == result.document["exit_code"] == 124
    assert result.document["timed_out"] is True
    assert result.document["executions"][0]["status"] == "STOPPED"


def test_a_bad_file_is_a_document_with_an_error(program: Program) -> None:
    result = program.run("run", program.write("def oops(:\n    pass\n"), "-o", "json")

    assert list(result.document) == _TOP
    assert result.code == result.document["exit_code"] == 2
    assert "SyntaxError" in result.document["error"]["message"]
    assert result.document["executions"] == []


def test_a_document_that_cannot_be_written_is_an_error(program: Program) -> None:
    file = program.write("""
        with Workflow(name="w") as workflow:
            BashOperator(name="a", bash_command="true")
    """)
    with open("/dev/full", "wb") as full, program.start("run", file, "-o", "json", stdout=full) as process:
        assert process.stderr is not None
        errors = process.stderr.read().decode()

    assert process.returncode not in (0, None)
    assert "Error: " in errors
