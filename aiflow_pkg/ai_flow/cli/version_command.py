# SPDX-License-Identifier: Apache-2.0
"""`aiflow version`."""

from __future__ import annotations

import click

from ai_flow import __version__
from ai_flow.cli.commands import AiflowCommand


@click.command(cls=AiflowCommand)
def version() -> None:
    """Show the version."""
    click.echo(__version__)
