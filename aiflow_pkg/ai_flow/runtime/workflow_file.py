# SPDX-License-Identifier: Apache-2.0
"""Execute a workflow file as a module, and find what it defines.

The module is known by the stem of its file, in ``sys.modules`` too, because pickles and type hints look
there; the directory of the file comes first on ``sys.path``, so that modules beside it can be imported.
Runs the user's code: only ever called in a child process that was made for it.
"""

from __future__ import annotations

import os
import sys
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ai_flow.model.workflow import Workflow


#: Code of whole files by their source: the copies that tasks execute are equal.
_compiled_ahead: dict[bytes, CodeType] = {}


def execute_workflow_file(path: str, further_directories: Iterable[str] = ()) -> ModuleType:
    """Execute the file in this process and return its module; raises whatever the file raises."""
    directory, name = os.path.split(path)
    sys.path[:0] = [directory, *further_directories]
    sys.argv = [path]
    module = ModuleType(name.removesuffix(".py"))
    module.__file__ = path
    sys.modules[module.__name__] = module
    with open(path, "rb") as file:
        source = file.read()
    ahead = _compiled_ahead.get(source)
    exec(_compile(source, path) if ahead is None else _moved(ahead, path), module.__dict__)
    return module


def compile_ahead(path: str) -> None:
    """Compile the file for the forks that will execute copies of it; they say what is wrong with it."""
    try:
        with open(path, "rb") as file:
            source = file.read()
        _compiled_ahead[source] = _compile(source, path)
    except Exception:
        return


def workflows_of(module: ModuleType) -> Sequence[Workflow]:
    """Return the workflows in the module's variables, each once, in the order of their definition."""
    from ai_flow.model.workflow import Workflow

    found = {id(value): value for value in vars(module).values() if isinstance(value, Workflow)}
    return list(found.values())


def _compile(source: bytes, path: str) -> CodeType:
    # Bytes, so that an encoding declared in the file counts.
    return compile(source, path, "exec", dont_inherit=True)


def _moved(code: CodeType, path: str) -> CodeType:
    """Return the code as if compiled from the file at ``path``: for tracebacks and ``inspect``."""
    constants = tuple(_moved(part, path) if isinstance(part, CodeType) else part for part in code.co_consts)
    return code.replace(co_filename=path, co_consts=constants)
