# SPDX-License-Identifier: Apache-2.0
"""What all commands share: how groups find their commands, and the options that every command takes.

A group knows the names and one-line texts of its commands and imports a command's module only when that
command is invoked or its own help is asked for. So ``aiflow --help`` and ``aiflow version`` stay as
quick as click itself, however heavy the commands become.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from ai_flow.cli import exit_codes

#: Every command answers to both.
HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


@dataclass(slots=True)
class Invocation:
    """What is true for one start of the program, whatever the command."""

    debug: bool = False


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command is, and the line that ``--help`` of its group shows for it."""

    target: str
    short_help: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, name = self.target.partition(":")
        return getattr(importlib.import_module(module), name)


def take_debug(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    """Switch debugging on; both ``aiflow --debug run`` and ``aiflow run --debug`` do."""
    if value:
        context.ensure_object(Invocation).debug = True


def debug_option(*, hidden: bool) -> click.Option:
    """Return the option ``--debug``; it is listed once, in the help of the whole program."""
    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        hidden=hidden,
        callback=take_debug,
        help="Show tracebacks and debug logs; also after the command.",
    )


class AiflowCommand(click.Command):
    """A command that also takes ``-h`` and ``--debug``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options["context_settings"] = HELP_OPTIONS | (options.get("context_settings") or {})
        super().__init__(*args, **options)
        self.params.append(debug_option(hidden=True))


class LazyGroup(click.Group):
    """A group whose commands are imported when they are needed."""

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand], **options: Any) -> None:
        options["context_settings"] = HELP_OPTIONS | (options.get("context_settings") or {})
        super().__init__(*args, **options)
        self._lazy = lazy

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; without anything to parse show the help, which is no success: nothing was done."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(exit_codes.MISTAKE)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they were given: most used first."""
        return [*self._lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None when there is none of that name."""
        lazy = self._lazy.get(cmd_name)
        return lazy.load() if lazy is not None else super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of ``args``; raise ``UsageError`` naming the closest ones when there is none."""
        name = args[0]
        # click itself answers to what looks like an unknown option.
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            close = difflib.get_close_matches(name, self.list_commands(ctx), n=2)
            meant = " or ".join(f"'{match}'" for match in close)
            ctx.fail(f"There is no command '{name}'." + (f" Did you mean {meant}?" if meant else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing those that are lazy."""
        rows = [(name, command.short_help) for name, command in self._lazy.items()]
        for name in super().list_commands(ctx):
            command = super().get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, command.get_short_help_str(limit=80)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)
