# SPDX-License-Identifier: Apache-2.0
"""`aiflow run` from the file to the exit code, each time in a process of its own."""

from __future__ import annotations

import sys

import pytest

from ai_flow.common.home import Home
from tests.cli.program import Program

pytestmark = pytest.mark.slow

_OK = """
with Workflow(name="fine") as workflow:
    first = BashOperator(name="first", bash_command="echo I am the 1st task.")
    second = PythonOperator(name="second", python_callable=lambda: print("I am the 2nd."))
    second.start_after(first)
"""

_WAITS = """
with Workflow(name="waits") as workflow:
    first = BashOperator(name="first", bash_command="true")
    second = BashOperator(name="second", bash_command="true")
    second.action_on_event_received(TaskAction.START, "a key")
"""


def test_a_run_tells_what_happens_and_where_the_logs_are(program: Program) -> None:
    result = program.run("run", program.write(_OK))

    assert result.code == 0
    assert result.stderr == ""
    lines = result.lines
    assert lines[:2] == ["first started", "first | I am the 1st task."]
    assert lines[2].startswith("first succeeded (")
    assert lines[3:5] == ["second started", "second | I am the 2nd."]
    assert lines[5].startswith("second succeeded (")
    assert lines[6].startswith("fine #1 SUCCESS in ")
    assert lines[6].endswith(": 2 succeeded")
    assert lines[7] == f"  logs: {program.home}/logs/fine/1"
    assert Home(program.home).log_of("fine", 1, "first", 1, 1).read_text() == "I am the 1st task.\n"


def test_a_failure_is_told_with_its_tries_and_the_end_of_its_log(program: Program) -> None:
    file = program.write("""
        with Workflow(name="w") as workflow:
            bad = BashOperator(name="bad", bash_command="echo trying; exit 3", retries=1, retry_delay=0.1)
            after = BashOperator(name="after", bash_command="true")
            after.start_after(bad)
    """)

    result = program.run("run", file)

    assert result.code == 1
    lines = result.lines
    assert "bad failed (exit code 3), try 1 of 2, next in 0.1 s" in lines
    assert "bad started (try 2 of 2)" in lines
    assert "bad failed (exit code 3), try 2 of 2" in lines
    assert any(line.startswith("w #1 FAILED in ") for line in lines)
    assert "  bad failed in try 2 of 2: exit code 3" in lines
    assert lines[lines.index(f"  the end of {program.home}/logs/w/1/bad/1.2.log:") + 1] == "    | trying"
    assert any(line.startswith("  after never started: ") for line in lines)


def test_after_a_failure_the_rest_is_stopped_unless_told_to_keep_going(program: Program) -> None:
    file = program.write("""
        with Workflow(name="w") as workflow:
            BashOperator(name="bad", bash_command="exit 1")
            BashOperator(name="good", bash_command="sleep 0.7; echo made it")
    """)

    stopped = program.run("run", file)
    kept_going = program.run("run", file, "--keep-going")

    assert (stopped.code, kept_going.code) == (1, 1)
    assert "good | made it" not in stopped.lines
    assert any(line.startswith("good was stopped") for line in stopped.lines)
    assert "good | made it" in kept_going.lines


def test_a_stop_by_a_rule_is_success(program: Program) -> None:
    file = program.write("""
        from ai_flow.model.status import TaskStatus
        with Workflow(name="w") as workflow:
            stream = BashOperator(name="stream", bash_command="while true; do sleep 0.05; done")
            batch = BashOperator(name="batch", bash_command="true")
            stream.action_on_task_status(TaskAction.STOP, {batch: TaskStatus.SUCCESS})
    """)

    result = program.run("run", file)

    assert result.code == 0, result.stdout
    assert any(line.startswith("stream was stopped") for line in result.lines)


def test_the_timeout_stops_everything_and_exits_124(program: Program) -> None:
    file = program.write("""
        with Workflow(name="w") as workflow:
            BashOperator(name="long", bash_command="sleep 60")
    """)

    result = program.run("run", file, "--timeout", "0.5")

    assert result.code == 124
    assert "stopping: timed out after 0.5 s" in result.lines
    assert any(line.startswith("w #1 STOPPED in ") for line in result.lines)


def test_an_event_that_cannot_come_is_a_failure_that_names_its_key(program: Program) -> None:
    result = program.run("run", program.write(_WAITS))

    assert result.code == 1
    assert "waits #1 is waiting for 'a key'" in result.lines
    assert any(line.startswith("  second never started: ") and "'a key'" in line for line in result.lines)


def test_an_event_that_comes_in_time_goes_on(program: Program) -> None:
    sender = program.write(
        """
        from notification_service.client.embedded_notification_client import EmbeddedNotificationClient
        from notification_service.model.event import Event
        import sys
        client = EmbeddedNotificationClient(sys.argv[1], "default", "test")
        client.send_event(Event("a key", "a value"))
        client.close()
        """,
        "sender.py",
        imports=False,
    )
    file = program.write(_WAITS)
    command = f"{sys.executable} {sender} sqlite:///{program.home}/aiflow.db"
    with program.start("run", file, "--wait-events", "30") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if b"is waiting for" in line:
                break

        import subprocess

        subprocess.run(command.split(), check=True, env=program.variables(), timeout=30)
        rest = process.stdout.read().decode()

    assert process.returncode == 0, rest
    assert "second succeeded" in rest


def test_one_workflow_of_a_file_can_be_chosen(program: Program) -> None:
    file = program.write("""
        with Workflow(name="one") as first:
            BashOperator(name="a", bash_command="echo from one")
        with Workflow(name="two") as second:
            BashOperator(name="a", bash_command="echo from two")
    """)

    both = program.run("run", file)
    chosen = program.run("run", file, "--workflow", "two")
    unknown = program.run("run", file, "--workflow", "three")

    assert (both.code, chosen.code, unknown.code) == (0, 0, 2)
    assert {"one.a | from one", "two.a | from two"} <= set(both.lines)
    assert "a | from two" in chosen.lines
    assert "from one" not in chosen.stdout
    assert unknown.stderr.startswith("Error: There is no workflow 'three' in ")
    assert "'one', 'two'" in unknown.stderr


def test_parameters_reach_tasks_of_both_kinds(program: Program) -> None:
    file = program.write("""
        def show():
            from ai_flow.model.internal.contexts import get_runtime_task_context
            print("python has", get_runtime_task_context().params)
        with Workflow(name="w") as workflow:
            BashOperator(name="b", bash_command='echo "bash has $AIFLOW_PARAM_epochs and $AIFLOW_PARAM_text"')
            PythonOperator(name="p", python_callable=show)
    """)

    result = program.run("run", file, "--param", "epochs=3", "-p", "text=a = b, c")

    assert result.code == 0
    assert "b | bash has 3 and a = b, c" in result.lines
    assert "p | python has {'epochs': '3', 'text': 'a = b, c'}" in result.lines


def test_files_are_put_beside_the_workflow_file(program: Program) -> None:
    (program.directory / "data").mkdir()
    (program.directory / "data" / "rows.csv").write_text("1,2,3\n")
    (program.directory / "note.txt").write_text("noted\n")
    file = program.write("""
        with Workflow(name="w") as workflow:
            BashOperator(name="b", bash_command="cat data/rows.csv note.txt")
    """)

    result = program.run("run", file, "--files", "data,note.txt")

    assert result.code == 0, result.stdout
    assert {"b | 1,2,3", "b | noted"} <= set(result.lines)


def test_quiet_leaves_out_what_tasks_write(program: Program) -> None:
    result = program.run("run", program.write(_OK), "--quiet")

    assert result.code == 0
    assert " | " not in result.stdout
    assert "first started" in result.lines


def test_output_that_is_not_utf_8_is_shown_decently(program: Program) -> None:
    file = program.write(r"""
        with Workflow(name="w") as workflow:
            BashOperator(name="odd", bash_command=r"printf 'caf\xe9\n\033[2Jclear\nno newline'")
    """)

    result = program.run("run", file)

    assert result.code == 0
    assert {"odd | caf\ufffd", "odd | clear", "odd | no newline"} <= set(result.lines)
    assert "\x1b" not in result.stdout


def test_very_much_output_is_cut_but_its_end_is_shown(program: Program) -> None:
    file = program.write("""
        with Workflow(name="w") as workflow:
            BashOperator(name="flood", bash_command="yes 0123456789 | head -n 5000000; echo THE END")
    """)

    result = program.run("run", file)

    assert result.code == 0
    assert len(result.stdout) < 40_000_000
    assert "left out here: they are in" in result.stdout
    assert result.lines[-4] == "flood | THE END"
    assert Home(program.home).log_of("w", 1, "flood", 1, 1).stat().st_size == 55_000_008


def test_a_reader_that_goes_away_does_not_end_the_run(program: Program) -> None:
    file = program.write("""
        with Workflow(name="w") as workflow:
            a = BashOperator(name="a", bash_command="echo one; sleep 0.5; echo two")
            b = BashOperator(name="b", bash_command="echo three")
            b.start_after(a)
    """)
    with program.start("run", file) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()

    assert (process.returncode, errors) == (0, b"")
    assert Home(program.home).log_of("w", 1, "b", 1, 1).read_text() == "three\n"
