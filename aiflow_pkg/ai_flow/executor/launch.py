# SPDX-License-Identifier: Apache-2.0
"""Every command line of a child process, and the way it is started.

Children run in the user's Python, which need not have this package installed. So a boot script, and never
``PYTHONPATH`` (tasks would inherit it), makes the SDK importable: a finder in front that knows our
packages only, so that neither an older installation wins nor the supervisor's other packages leak in. A
directory that holds nothing but the SDK goes to the end of ``sys.path`` too, for processes that
multiprocessing starts.

``child_command`` is the only place that builds such a command line: a packed program, whose
``sys.executable`` is no Python, needs a change here and nowhere else.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ai_flow.executor.errors import InterpreterError
from ai_flow.runtime.process_table import ATTEMPT_VARIABLE, AttemptMark

_PACKAGES = ("ai_flow", "notification_service")
#: Pure Python, needed for states and triggers, and often missing in the user's Python.
_FALLBACKS = ("cloudpickle",)
_SHARED_DIRECTORIES = ("site-packages", "dist-packages")
_RESOLVE_LIMIT_S = 30.0
#: What a task of another aiflow around us was told about itself.
_TASK_VARIABLES = ("AIFLOW_SOCKET", "AIFLOW_TOKEN", "AIFLOW_PARAMS")
_TASK_VARIABLE_PREFIXES = ("AIFLOW_PARAM_",)

_BOOT = """\
import sys, json
boot = json.loads(sys.argv[1])
finder = [f for f in sys.meta_path if getattr(f, "__name__", "") == "PathFinder"][0]
class Only:
    def __init__(self, roots): self.roots = roots
    def find_spec(self, name, path=None, target=None):
        return finder.find_spec(name, [self.roots[name]]) if name in self.roots else None
if sys.path and sys.path[0] == "": del sys.path[0]
sys.meta_path.insert(0, Only(boot["packages"]))
sys.meta_path.append(Only(boot["fallbacks"]))
sys.path += boot["path"]
arguments = sys.argv[2:]
del sys.argv[1:]
module = __import__(boot["module"], fromlist=["x"])
getattr(module, boot["function"])(*([boot["config"]] if boot["config"] is not None else []), *arguments)
"""


def child_command(
    python: str, function: str, config: Mapping[str, Any] | None = None, *, bare: bool = False
) -> list[str]:
    """Return the command line that calls ``module:function(config, *arguments)`` in a fresh ``python``.

    What is appended to it arrives as string arguments. ``bare`` leaves out everything that a
    child needs which imports only the SDK and the standard library: half of the start of an interpreter.
    """
    module, _, name = function.partition(":")
    roots = _sdk_roots()
    boot = {
        "packages": roots,
        "fallbacks": {} if bare else _fallback_roots(),
        "path": [] if bare else sorted({root for root in roots.values() if _is_ours_alone(root)}),
        "module": module,
        "function": name,
        "config": config,
    }
    return [python, *(["-I", "-S"] if bare else []), "-c", _BOOT, json.dumps(boot)]


@functools.lru_cache(maxsize=16)
def resolve_interpreter(python: str) -> str:
    """Return the real interpreter behind ``python``: a shim of pyenv costs 80 ms at every start."""
    path = _find_program(python)
    if path == sys.executable or not _is_script(path):
        return path
    try:
        found = subprocess.run(
            [path, "-c", "import sys; print(sys.executable)"],
            capture_output=True,
            text=True,
            timeout=_RESOLVE_LIMIT_S,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise InterpreterError(path, f"it does not run: {error}") from error
    if not found:
        raise InterpreterError(path, "it does not say where the interpreter is")
    return found


def child_environment(*, attempt_mark: bool = False) -> dict[str, str]:
    """Return our environment without what it says about a task around us.

    With ``attempt_mark`` there is a placeholder for the id of the attempt that a fork of the child becomes.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in _TASK_VARIABLES and not name.startswith(_TASK_VARIABLE_PREFIXES)
    }
    if attempt_mark:
        environment[ATTEMPT_VARIABLE] = AttemptMark.PLACEHOLDER
    return environment


def start_process(
    command: list[str], environment: Mapping[str, str], log_path: Path, keep: Mapping[int, int]
) -> int:
    """Start ``command`` with output to ``log_path`` and return its pid; ``keep``: its descriptors to ours."""
    actions: list[tuple[Any, ...]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log_path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        *((os.POSIX_SPAWN_DUP2, ours, theirs) for theirs, ours in keep.items()),
    ]
    return os.posix_spawn(command[0], command, dict(environment), file_actions=actions)


def _find_program(python: str) -> str:
    if os.sep in python:
        if os.access(python, os.X_OK):
            return os.path.abspath(python)
        raise InterpreterError(python, "there is no such program")
    for directory in os.get_exec_path():
        path = os.path.join(directory, python)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return os.path.abspath(path)
    raise InterpreterError(python, "there is no such program on PATH")


def _is_script(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


@functools.cache
def _sdk_roots() -> dict[str, str]:
    """Return, for each of our packages, the directory that holds it."""
    return {name: _root_of(name) for name in _PACKAGES}


@functools.cache
def _fallback_roots() -> dict[str, str]:
    return {name: _root_of(name) for name in _FALLBACKS if importlib.util.find_spec(name) is not None}


def _root_of(package: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {package} is not installed")
    return os.path.dirname(os.path.abspath(spec.submodule_search_locations[0]))


def _is_ours_alone(root: str) -> bool:
    return os.path.basename(root) not in _SHARED_DIRECTORIES
