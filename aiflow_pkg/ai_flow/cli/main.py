# SPDX-License-Identifier: Apache-2.0
"""The command line ``aiflow``: its groups and commands, and the one place where their errors are shown.

Nothing here may import more than click: what a command needs it imports itself. The exit code is what the
command returned; errors become one sentence (``failures``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from ai_flow import __version__
from ai_flow.cli import exit_codes
from ai_flow.cli.commands import Invocation, LazyCommand, LazyGroup, debug_option

_COMMANDS = {
    "run": LazyCommand("ai_flow.cli.run.command:run", "Run the workflows of a file to their end."),
    "version": LazyCommand("ai_flow.cli.version_command:version", "Show the version."),
}

cli = LazyGroup(
    name="aiflow",
    lazy=_COMMANDS,
    help="Run event-driven workflows that mix streaming and batch tasks.\n\n"
    "A first run needs no server and no set-up: aiflow run workflow.py",
    epilog="'aiflow COMMAND --help' tells more about a command. "
    "What was run is kept in $AIFLOW_HOME, by default ~/aiflow.",
    params=[debug_option(hidden=False)],
)
cli = click.version_option(__version__, prog_name="aiflow", message="%(prog)s %(version)s")(cli)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit code."""
    invocation = Invocation()
    try:
        code = cli.main(
            args=list(arguments) if arguments is not None else None,
            prog_name="aiflow",
            standalone_mode=False,
            obj=invocation,
        )
        return code if isinstance(code, int) else exit_codes.SUCCESS
    except (KeyboardInterrupt, click.Abort):
        return exit_codes.of_signal(2)
    except BrokenPipeError:
        _forget_stdout()
        return exit_codes.of_signal(13)
    except Exception as error:
        return _fail(error, invocation)


def _fail(error: Exception, invocation: Invocation) -> int:
    from ai_flow.cli import failures

    failure = failures.describe(error)
    failures.report(error, failure, debug=invocation.debug)
    return failure.exit_code


def _forget_stdout() -> None:
    """Keep the interpreter from flushing, at its end, into a pipe that nobody reads."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
