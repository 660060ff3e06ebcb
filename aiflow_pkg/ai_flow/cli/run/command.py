# SPDX-License-Identifier: Apache-2.0
"""`aiflow run`: the command, its options and its exit code.

The imports at the top are part of the time from Enter to the first task; what only some runs need is
imported where it is needed.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import click

from ai_flow.cli import exit_codes, process_log
from ai_flow.cli.commands import AiflowCommand, Invocation
from ai_flow.cli.parameters import Seconds
from ai_flow.cli.run import request
from ai_flow.cli.run.display import Display
from ai_flow.cli.run.log_tail import Limits
from ai_flow.cli.run.view import LastingStream, View
from ai_flow.common.home import Home, aiflow_home
from ai_flow.model.status import WorkflowStatus
from ai_flow.server.run_session import RunOptions, RunResult, RunSession

#: A person reads along: more than this would only scroll by.
_TERMINAL_LIMITS = Limits(per_look=64 << 10, ahead=1 << 20, kept=64 << 10)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_EPILOG = """\b
Example:
  aiflow run train.py --param epochs=3 --timeout 600

\b
Exit codes:
  0    every execution ended in SUCCESS; stops by a workflow's own rules count as that
  1    one FAILED, or waited for an event that cannot come any more
  2    a mistake in the command or in the workflow file; nothing was run
  3    somebody stopped one
  124  the time of --timeout was over
  130  Ctrl-C (143 for SIGTERM, 129 for SIGHUP)
"""


@click.command(cls=AiflowCommand, epilog=_EPILOG)
@click.argument("file")
@click.option("-w", "--workflow", metavar="NAME", help="Run only this one of the file's workflows.")
@click.option(
    "-f",
    "--files",
    metavar="A,B",
    multiple=True,
    help="Files and directories to put beside the workflow file. Modules that it imports from its own "
    "directory are found without.",
)
@click.option(
    "-p",
    "--param",
    metavar="NAME=VALUE",
    multiple=True,
    help="A parameter: $AIFLOW_PARAM_NAME in a Bash task, the params of the runtime context in a "
    "Python task.",
)
@click.option("--timeout", metavar="S", type=Seconds(), help="Stop everything after S seconds.")
@click.option(
    "--wait-events",
    metavar="S",
    type=Seconds(zero=True),
    default=0.0,
    help="When only an event from outside can start a task, wait S seconds for it; by default not at all.",
)
@click.option(
    "--until-idle",
    is_flag=True,
    help="Also run executions of this home that nobody runs, such as those started by triggers, "
    "until there are none.",
)
@click.option("--keep-going", is_flag=True, help="After a failure, let everything else run that still can.")
@click.option(
    "--parallelism",
    metavar="N",
    type=click.IntRange(1, 10_000),
    default=10,
    help="Run at most N tasks at a time; by default 10.",
)
@click.option(
    "--stop-grace",
    metavar="S",
    type=Seconds(zero=True),
    default=10.0,
    help="Give a stopped task S seconds to end before it is killed; by default 10.",
)
@click.option(
    "--python", metavar="PATH", help="The Python that runs the tasks; by default the one that runs aiflow."
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json: print one JSON document to stdout at the end, and everything else to stderr.",
)
@click.option("-q", "--quiet", is_flag=True, help="Do not show what the tasks write; it is in their logs.")
@click.pass_context
def run(
    context: click.Context,
    file: str,
    workflow: str | None,
    files: Sequence[str],
    param: Sequence[str],
    timeout: float | None,
    wait_events: float,
    until_idle: bool,
    keep_going: bool,
    parallelism: int,
    stop_grace: float,
    python: str | None,
    output: str,
    quiet: bool,
) -> int:
    """Run the workflows of FILE to their end, with no server.

    The tasks run here and end with this command: Ctrl-C stops them, a second Ctrl-C at once. What was run is
    kept in $AIFLOW_HOME.
    """
    debug = context.ensure_object(Invocation).debug
    home = aiflow_home()
    display = _display(output, quiet)
    try:
        options = RunOptions(
            file=request.workflow_file(file),
            files=request.extra_files(files),
            params=request.parameters(param),
            python=request.python_of_tasks(python),
            workflow=workflow,
            timeout_s=timeout,
            wait_events_s=wait_events,
            until_idle=until_idle,
            keep_going=keep_going,
            parallelism=parallelism,
            stop_grace_s=stop_grace,
        )
        process_log.configure(debug=debug)
        result = _run(options, home, display)
    except Exception as error:
        return _fail(error, display, home, output, debug=debug)
    code = exit_code(result)
    if output == "json":
        from ai_flow.cli.run import document

        _print_document(document.of_run(display.history, result, home, code))
    return code


def exit_code(result: RunResult) -> int:
    """Return what the process exits with after a run."""
    if result.signal is not None:
        return exit_codes.of_signal(result.signal)
    if result.timed_out:
        return exit_codes.TIMED_OUT
    ends = {execution.status for execution in result.executions}
    # One that somebody else started may well go on, waiting for events, when this run ends.
    if WorkflowStatus.FAILED in {execution.status for execution in result.others}:
        return exit_codes.FAILED
    if ends - {WorkflowStatus.SUCCESS, WorkflowStatus.STOPPED}:
        return exit_codes.FAILED
    return exit_codes.STOPPED if WorkflowStatus.STOPPED in ends else exit_codes.SUCCESS


def _run(options: RunOptions, home: Home, display: Display) -> RunResult:
    _make(home)
    session = RunSession(options, home, display)
    try:
        with _signals_noted(session):
            return session.run()
    finally:
        display.close()


def _make(home: Home) -> None:
    try:
        home.make()
    except OSError as error:
        raise request.HomeError(home, error) from error


@contextmanager
def _signals_noted(session: RunSession) -> Iterator[None]:
    """Have signals noted by the session; those that are ignored (``nohup``) stay ignored."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    heard = [number for number in _SIGNALS if before[number] is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, lambda signum, _frame: session.note_signal(signum))
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _display(output: str, quiet: bool) -> Display:
    import os

    stream = LastingStream(sys.stderr if output == "json" else sys.stdout)
    is_terminal = output != "json" and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def make_view() -> View:
        if is_terminal:
            from ai_flow.cli.run.table_view import TableView

            return TableView(stream)
        from ai_flow.cli.run.plain_view import PlainView

        return PlainView(stream)

    return Display(make_view, _TERMINAL_LIMITS if is_terminal else None, shows_output=not quiet)


def _fail(error: Exception, display: Display, home: Home, output: str, *, debug: bool) -> int:
    """Report an error; once there are executions it is not a mistake in the command any more."""
    from ai_flow.cli import failures

    failure = failures.describe(error)
    if display.history.executions and failure.exit_code == exit_codes.MISTAKE:
        failure = replace(failure, exit_code=exit_codes.FAILED)
    failures.report(error, failure, debug=debug)
    if output == "json":
        from ai_flow.cli.run import document

        _print_document(document.of_failure(failure, display.history, home))
    return failure.exit_code


def _print_document(content: object) -> None:
    import json

    # Whoever asked for it must learn when it could not be written: nothing is swallowed here.
    sys.stdout.write(json.dumps(content, indent=2) + "\n")
    sys.stdout.flush()
