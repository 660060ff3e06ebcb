# SPDX-License-Identifier: Apache-2.0
"""How a command that cannot be carried out says so: one sentence, a hint, an exit code, no traceback.

Whatever is the user's to mend is an ``AIFlowException``, a ``NotificationError`` (the store and the log) or
an ``ExecutorError`` (the interpreter of the tasks); those exit with ``MISTAKE`` unless a command says
otherwise. Everything else is a defect of aiflow: it is named in one line too, and ``--debug`` shows the
traceback.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import click

from ai_flow.cli import exit_codes
from ai_flow.common.exception.exceptions import AIFlowException


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a command was not carried out, for people and for programs."""

    code: str
    message: str
    hint: str | None
    exit_code: int


def describe(error: Exception) -> Failure:
    """Return what to say about ``error``."""
    if isinstance(error, click.ClickException):
        return Failure(
            code="usage",
            message=error.format_message(),
            hint=_usage_hint(error),
            exit_code=exit_codes.MISTAKE,
        )
    if isinstance(error, _expected()):
        hint = getattr(error, "hint", None)
        # NotificationError adds its hint to its text; here both are wanted apart.
        message = getattr(error, "message", None) or str(error)
        return Failure(
            code=getattr(error, "code", "error"),
            message=_sentence(str(message)),
            hint=_sentence(hint) if hint else None,
            exit_code=exit_codes.MISTAKE,
        )
    if isinstance(error, OSError):
        what = f"Cannot use {error.filename}" if error.filename is not None else "Cannot go on"
        return Failure(
            code="operating_system",
            message=f"{what}: {error.strerror or error}.",
            hint=None,
            exit_code=exit_codes.MISTAKE,
        )
    return Failure(
        code="defect",
        message=f"This is a defect of aiflow: {type(error).__name__}: {error}",
        hint="Run the command again with --debug to see where it happened.",
        exit_code=exit_codes.DEFECT,
    )


def report(error: Exception, failure: Failure, *, debug: bool) -> None:
    """Print a failure to stderr, with ``debug`` behind the traceback of its error."""
    if debug:
        import traceback

        traceback.print_exception(error)
        # An error of a workflow file was raised in another process, and brings what that one saw.
        print(getattr(error, "traceback", None) or "", file=sys.stderr)
    lines = [f"Error: {failure.message}"]
    if failure.hint:
        lines.append(f"Hint: {failure.hint}")
    try:
        print("\n".join(lines), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass  # nobody reads it any more; the exit code says it too


def _expected() -> tuple[type[Exception], ...]:
    # Imported late: a command that does well needs none of them.
    from ai_flow.executor.errors import ExecutorError
    from notification_service.errors import NotificationError

    return AIFlowException, NotificationError, ExecutorError


def _usage_hint(error: click.ClickException) -> str | None:
    context = getattr(error, "ctx", None)
    return f"'{context.command_path} --help' tells how it is used." if context is not None else None


def _sentence(text: str) -> str:
    """Return ``text`` as a sentence; a text that ends with code shown from a file stays as it is."""
    text = text.strip()
    if text.partition(" ")[0].isalpha():  # and not the name of a file
        text = text[0].upper() + text[1:]
    return text if "\n" in text or text.endswith((".", "!", "?")) else text + "."
