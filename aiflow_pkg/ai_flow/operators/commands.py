# SPDX-License-Identifier: Apache-2.0
"""What the operators that drive command-line programs share: finding a program, asking it, hiding secrets."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.model.errors import InvalidOptionError

_SECRET = re.compile(r"(?i)(\S*(?:secret|password)[^\s=]*(?:=|\s+))(\"[^\"]*\"|'[^']*'|[^\s\"']\S*)")
_MASK = "******"


def mask_secrets(text: str) -> str:
    """Return ``text`` with what follows a word that contains 'secret' or 'password' made unreadable.

    >>> mask_secrets("--conf spark.some.secret=abc --password 'a b' app.jar")
    '--conf spark.some.secret=****** --password ****** app.jar'
    """
    return _SECRET.sub(rf"\1{_MASK}", text)


def shown_command(command: Sequence[str]) -> str:
    """Return a command line fit for a log: quoted where needed, without secrets."""
    shown = _without_secret_values(command)
    return mask_secrets(" ".join(shlex.quote(part) if re.search(r"\s|^$", part) else part for part in shown))


def split_options(task_name: str, option: str, text: str | None) -> list[str]:
    """Split the text of further options as a shell would."""
    try:
        return shlex.split(text or "")
    except ValueError as error:
        raise InvalidOptionError(
            task_name, option, mask_secrets(text or ""), f"options as in a shell ({error})"
        ) from None


def find_program(name: str, path: str | None, home_variable: str) -> str:
    """Return the program to run: ``path`` if given, else the one on PATH, else the one in the home that
    ``home_variable`` names; raise if there is none.
    """
    if path is not None:
        return path
    found = shutil.which(name)
    if found is not None:
        return found
    home = os.environ.get(home_variable)
    if not home:
        raise AIFlowException(
            f"Cannot find {name} command: it is not on PATH, and {home_variable} is not set."
        )
    in_home = os.path.join(home, "bin", name)
    if not os.access(in_home, os.X_OK):
        raise AIFlowException(f"Cannot find {name} command at {in_home}.")
    return in_home


def require_program(name: str, purpose: str) -> str:
    """Return the program ``name`` on PATH; raise if there is none."""
    found = shutil.which(name)
    if found is None:
        raise AIFlowException(f"Cannot find {name} command on PATH: it is needed to {purpose}.")
    return found


def ask(command: Sequence[str]) -> tuple[int, str]:
    """Run a command to its end; return its exit code and all its output."""
    answer = subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return answer.returncode, answer.stdout.decode("utf-8", errors="replace")


def tell(command: Sequence[str]) -> None:
    """Run a command that must succeed; raise with its output if it does not."""
    code, output = ask(command)
    if code != 0:
        raise AIFlowException(
            f"Cannot execute: {shown_command(command)}. Error code is: {code}. "
            f"Output: {mask_secrets(output.strip())}"
        )


def _without_secret_values(command: Sequence[str]) -> list[str]:
    """Mask the argument that follows a secret's name, and the value behind a secret's name and '='.

    Done on the arguments, not on the text: a value may contain spaces and quotes.
    """
    shown: list[str] = []
    follows_secret = False
    for argument in command:
        name, equals, _ = argument.partition("=")
        is_secret = re.search("(?i)secret|password", name) is not None and " " not in name
        shown.append(_MASK if follows_secret else f"{name}={_MASK}" if is_secret and equals else argument)
        follows_secret = is_secret and not equals
    return shown
