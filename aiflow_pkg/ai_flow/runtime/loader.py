# SPDX-License-Identifier: Apache-2.0
"""Load a workflow file: execute it in place, describe what it defines, and say what it imported.

Runs in a child that was made for it and ends with it. The result is a record in a file, also when the
file cannot be used: then it is one structured error, with the line of the user's file that is to blame.
What the file prints goes to the log of the child.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ai_flow.runtime.attempt_files import write_record
from ai_flow.runtime.workflow_file import execute_workflow_file, workflows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from ai_flow.model.workflow import Workflow

Message = dict[str, Any]

_OWN = frozenset({"ai_flow", "notification_service", "ai_flow_ha"})
#: A module that is imported after a change of the environment may read it: it is not imported ahead of that.
_CHANGES_ENVIRONMENT = frozenset({"environ", "putenv", "unsetenv", "setenv"})


class WorkflowFileError(Exception):
    """The file runs, but what it defines cannot be used."""


def load_and_exit(request: Message) -> NoReturn:
    """Load ``request["path"]`` and end the process; the result is in ``request["result"]``."""
    exit_code = 0
    try:
        write_record(request["result"], _load(request["path"], request["files"]))
    except BaseException:
        traceback.print_exc()
        exit_code = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass
        # Threads that the file started must not keep the process.
        os._exit(exit_code)


def imports_at_the_top(path: str, files: Sequence[str]) -> list[str]:
    """Return the modules from elsewhere that the file imports before it does anything else."""
    names: list[str] = []
    for statement in _statements(path):
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            names += _imported_names(statement)
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            break
    beside = _Beside(path, files)
    return [name for name in dict.fromkeys(names) if not beside.has(name)]


def _load(path: str, files: Sequence[str]) -> Message:
    beside = _Beside(path, files)
    try:
        os.chdir(os.path.dirname(path))
        module = execute_workflow_file(path, beside.further_directories)
        workflows = _described(module, path)
    except BaseException as error:
        return {"error": _error(error, path)}
    return {
        "workflows": workflows,
        "imports": _imports(path, beside),
        "helpers": beside.imported_files(),
        "python": ".".join(map(str, sys.version_info[:2])),
    }


def _described(module: ModuleType, path: str) -> list[Message]:
    from ai_flow.runtime.describe import describe_workflow

    workflows = workflows_of(module)
    if not workflows:
        raise WorkflowFileError(
            f"{os.path.basename(path)} defines no workflow: it needs a Workflow in a module-level variable, "
            "as in: with Workflow(name='my_workflow') as workflow: ..."
        )
    _check_names(workflows, path)
    return [describe_workflow(workflow) for workflow in workflows]


def _check_names(workflows: Sequence[Workflow], path: str) -> None:
    seen: set[tuple[str, str]] = set()
    for workflow in workflows:
        key = (workflow.namespace, workflow.name)
        if key in seen:
            raise WorkflowFileError(
                f"{os.path.basename(path)} defines two workflows named {workflow.name!r} in the namespace "
                f"{workflow.namespace!r}: give each a name of its own"
            )
        seen.add(key)


class _Beside:
    """The modules that travel with the workflow file: those in its directory, and the files named with it."""

    def __init__(self, path: str, files: Sequence[str]) -> None:
        self._path = path
        self._directory = os.path.dirname(path)
        self._files = {Path(file).stem: file for file in files if file.endswith(".py")}
        self._files |= {os.path.basename(file): file for file in files if os.path.isdir(file)}
        directories = dict.fromkeys(os.path.dirname(file) for file in files)
        self.further_directories = [directory for directory in directories if directory != self._directory]

    def has(self, module: str) -> bool:
        """Tell whether the module is found here, and not in an installed package."""
        top = module.partition(".")[0]
        found = sys.modules.get(top)
        if found is not None:
            return self._is_here(top, found)
        return top in self._files or any(
            os.path.exists(os.path.join(self._directory, name))
            for name in (f"{top}.py", f"{top}/__init__.py")
        )

    def imported_files(self) -> list[str]:
        """Return the files beside the workflow file that it needs: modules, and packages as a whole."""
        files: list[str] = []
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if "." in name or not self._is_here(name, module) or file == self._path:
                continue
            if hasattr(module, "__path__"):
                for directory in module.__path__:
                    files += map(str, sorted(Path(directory).rglob("*.py")))
            elif file is not None:
                files.append(file)
        return list(dict.fromkeys(files))

    def _is_here(self, top: str, module: ModuleType) -> bool:
        """Compare whole places, not prefixes: a virtual environment may lie beside the file too."""
        places = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", [])]
        ours = {os.path.join(self._directory, name) for name in (f"{top}.py", top, f"{top}/__init__.py")}
        ours |= {file for stem, file in self._files.items() if stem == top}
        ours.add(self._path)
        return any(place in ours for place in places)


def _imports(path: str, beside: _Beside) -> list[str]:
    """Return the modules from elsewhere that the workflow file and the files beside it have imported."""
    names: list[str] = []
    for file in (path, *beside.imported_files()):
        for statement in _statements(file):
            if _changes_environment(statement):
                break
            for part in _executed_at_import(statement):
                names += _imported_names(part)
    elsewhere = [name for name in names if name in sys.modules and not beside.has(name)]
    return [name for name in dict.fromkeys(elsewhere) if name.partition(".")[0] not in _OWN]


def _statements(path: str) -> list[ast.stmt]:
    try:
        with open(path, "rb") as file:
            return ast.parse(file.read(), path).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # whoever executes it reports it


def _imported_names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
        submodules = [f"{statement.module}.{alias.name}" for alias in statement.names]
        return [statement.module, *(name for name in submodules if name in sys.modules)]
    return []


def _executed_at_import(statement: ast.stmt) -> Iterator[ast.stmt]:
    """Yield the statement and those inside it, but not those inside functions and classes."""
    yield statement
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.stmt):
            yield from _executed_at_import(child)
        elif isinstance(child, ast.ExceptHandler):
            for inner in child.body:
                yield from _executed_at_import(inner)


def _changes_environment(statement: ast.stmt) -> bool:
    if isinstance(
        statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    ):
        return False
    return any(
        (isinstance(node, ast.Attribute) and node.attr in _CHANGES_ENVIRONMENT)
        or (isinstance(node, ast.Name) and node.id in _CHANGES_ENVIRONMENT)
        for node in ast.walk(statement)
    )


def _error(error: BaseException, path: str) -> Message:
    """Return what is wrong and the line that is to blame, preferably one of the user's own files."""
    file, line, text = _place(error, path)
    return {
        "type": type(error).__name__,
        "message": _message(error),
        "file": file,
        "line": line,
        "text": text,
        "traceback": None if isinstance(error, WorkflowFileError) else _user_traceback(error),
    }


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the file calls sys.exit({'' if error.code is None else repr(error.code)}) while it is loaded"
    if isinstance(error, SyntaxError):
        return str(error.msg)
    try:
        return str(error)
    except Exception as broken:
        return f"its message could not be made: {type(broken).__name__}"


def _place(error: BaseException, path: str) -> tuple[str, int | None, str | None]:
    if isinstance(error, SyntaxError) and error.filename:
        text = error.text if error.text is not None else linecache.getline(error.filename, error.lineno or 0)
        return error.filename, error.lineno, text.rstrip("\n") or None
    if isinstance(error, WorkflowFileError):
        return path, None, None
    directory = os.path.dirname(path) + os.sep
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(directory)
    ]
    own = [frame for frame in frames if frame.filename == path] or frames
    if not own:
        return path, None, None
    line = linecache.getline(own[-1].filename, own[-1].lineno or 0).rstrip("\n")
    return own[-1].filename, own[-1].lineno, line or None


def _user_traceback(error: BaseException) -> str:
    """Return the traceback from the user's file on, without our own frames above it."""
    shown = error.__traceback__
    while shown is not None and shown.tb_frame.f_code.co_filename.startswith(_RUNTIME):
        shown = shown.tb_next
    return "".join(traceback.format_exception(type(error), error, shown))


_RUNTIME = os.path.dirname(os.path.abspath(__file__)) + os.sep
