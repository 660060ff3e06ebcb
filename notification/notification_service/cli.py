# SPDX-License-Identifier: Apache-2.0
"""The command ``notification``: look at the events of a store, count, send and follow them.

Without ``-s`` the store of ``$AIFLOW_HOME`` is meant, and inside a task its supervisor. A mistake of the user
gets one sentence on stderr and exit code 2, trouble with the log one and exit code 1; a traceback comes only
with ``--debug``.

Only ``click`` is imported at the start, so help and version are quick; what a command needs comes with it
(``event_commands``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from notification_service import __version__

EXIT_SUCCESS = 0
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


class _LazyEvents(click.Group):
    """The event commands, imported when one is named or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["count", "list", "listen", "send"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from notification_service.event_commands import COMMANDS

        return COMMANDS.get(cmd_name)


_SETTINGS = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=_SETTINGS)
@click.version_option(__version__, prog_name="notification", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Look at events and send them."""
    ctx.obj = debug


@cli.command()
def version() -> None:
    """Show the version."""
    click.echo(__version__)


cli.add_command(_LazyEvents("event", help="Manages events."))


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code: object = cli.main(args=words, prog_name="notification", standalone_mode=False)
        return code if isinstance(code, int) else EXIT_SUCCESS
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has enough; say nothing about it at exit either
        return EXIT_FAILED
    except Exception as error:
        return _fail(error, debug="--debug" in words)


def _fail(error: Exception, *, debug: bool) -> int:
    from notification_service.errors import NotificationError

    if debug or not isinstance(error, NotificationError):
        raise error
    click.echo(f"Error: {error.message}", err=True)
    if error.hint:
        click.echo(error.hint, err=True)
    return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
