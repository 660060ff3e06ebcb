# SPDX-License-Identifier: Apache-2.0
"""What `aiflow run` was asked to do, checked before anything is written or started."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.common.home import Home

#: A parameter is also a variable of a shell, ``AIFLOW_PARAM_<name>``.
_PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_OLDEST_PYTHON = (3, 10)
#: A shim may have to find its interpreter first; a program that is no Python may wait for input.
_VERSION_LIMIT_S = 10.0


class RunRequestError(AIFlowException):
    """Something that the command line names cannot be used."""

    code = "usage"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class HomeError(AIFlowException):
    """The home cannot be made or entered."""

    code = "home"
    hint = "Set AIFLOW_HOME to a directory that you may write to."

    def __init__(self, home: Home, error: OSError) -> None:
        where = f" ({error.filename})" if error.filename not in (None, str(home.root)) else ""
        super().__init__(f"Cannot use the home {home.root}: {error.strerror}{where}.")
        self.home = home


def workflow_file(name: str) -> Path:
    """Return the path of the workflow file; raise ``RunRequestError`` when it cannot be one."""
    path = Path(os.path.abspath(name))
    if not path.exists():
        raise RunRequestError(f"There is no file '{name}'.", _near_misses(path))
    if path.is_dir():
        raise RunRequestError(f"'{name}' is a directory: name the workflow file in it.", _python_files(path))
    if path.suffix != ".py":
        raise RunRequestError(f"'{name}' is not a Python file: the name of a workflow file ends in .py.")
    _check_readable(path, name)
    return path


def extra_files(lists: Iterable[str]) -> list[Path]:
    """Return the files and directories of comma-separated lists."""
    found: list[Path] = []
    for name in (name.strip() for names in lists for name in names.split(",")):
        if not name:
            continue
        path = Path(os.path.abspath(name))
        if not path.exists():
            raise RunRequestError(f"There is no file '{name}', which --files names.")
        _check_readable(path, name)
        found.append(path)
    return found


def parameters(assignments: Iterable[str]) -> dict[str, str]:
    """Return what the ``name=value`` texts say."""
    found: dict[str, str] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise RunRequestError(
                f"The parameter '{assignment}' has no value.",
                "Write --param name=value; the value may be empty.",
            )
        if not _PARAMETER_NAME.fullmatch(name):
            raise RunRequestError(
                f"'{name}' cannot be the name of a parameter.",
                "A name has letters, digits and '_', and does not begin with a digit.",
            )
        if name in found:
            raise RunRequestError(f"The parameter '{name}' is given twice.", "Leave one of the two out.")
        found[name] = value
    return found


def python_of_tasks(option: str | None) -> str:
    """Return the interpreter that is to run the tasks; raise ``InterpreterError`` when it cannot be used."""
    from ai_flow.executor.launch import resolve_interpreter

    if option is None and not getattr(sys, "frozen", False):
        return resolve_interpreter(sys.executable)
    path = resolve_interpreter(option or _users_python())
    _check_version(path)
    return path


def _users_python() -> str:
    environment = os.environ.get("VIRTUAL_ENV")
    return os.path.join(environment, "bin", "python") if environment else "python3"


def _check_version(python: str) -> None:
    """Ask a Python that is not our own for its version: it may be too old, or no Python at all."""
    import subprocess

    from ai_flow.executor.errors import InterpreterError

    try:
        answer = subprocess.run(
            [python, "-I", "-S", "-c", "import sys; print(*sys.version_info[:2])"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_LIMIT_S,
        )
        version = tuple(int(part) for part in answer.stdout.split())
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise InterpreterError(python, "it is no Python that runs") from error
    if len(version) != 2:
        raise InterpreterError(python, "it is no Python that runs")
    if version < _OLDEST_PYTHON:
        raise InterpreterError(python, f"its version is {version[0]}.{version[1]}")


def _check_readable(path: Path, name: str) -> None:
    try:
        if path.is_dir():
            os.listdir(path)
        else:
            with path.open("rb") as file:
                file.read(1)
    except OSError as error:
        raise RunRequestError(f"'{name}' cannot be read: {error.strerror}.") from error


def _near_misses(path: Path) -> str | None:
    if not path.parent.is_dir():
        return f"There is no directory '{path.parent}' either."
    import difflib

    try:
        names = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.py")], n=2)
    except OSError:
        return None
    return f"Near to it: {', '.join(names)}." if names else None


def _python_files(directory: Path) -> str | None:
    names = sorted(path.name for path in directory.glob("*.py"))[:5]
    return f"Python files in it: {', '.join(names)}." if names else None
