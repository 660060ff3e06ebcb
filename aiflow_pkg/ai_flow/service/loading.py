# SPDX-License-Identifier: Apache-2.0
"""Loads the file of an upload: executes it in a child and collects what has to be stored of it.

The caller's process never executes the file: it may be the very script that asks for the upload. The child
is started with the caller's own Python, which is the user's. Everything here also works inside a task, so
only the standard library is needed; what is made of the result is told by ``ai_flow.service.upload``.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ai_flow.executor.launch import child_command, child_environment
from ai_flow.runtime.attempt_files import read_record
from ai_flow.service.errors import InvalidArgumentError, UploadError

#: A workflow file defines tasks; one that takes this long does their work.
LOAD_LIMIT_S = 60.0
_SHOWN_OUTPUT_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFile:
    """A workflow file and what it defines, as plain data; all paths are absolute."""

    path: str
    #: The digest of the file before it was loaded: it must not change until its copy is made.
    sha256: str
    #: Artifacts (files or directories) and the modules beside the file that it imports.
    files: Sequence[str]
    #: What ``ai_flow.runtime.describe`` says of each workflow.
    workflows: Sequence[Mapping[str, Any]]
    #: The modules from elsewhere that it imports.
    imports: Sequence[str]
    #: The version of the Python that loaded it, such as "3.11".
    python: str

    def to_data(self) -> dict[str, Any]:
        """Return it as data that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> LoadedFile:
        """Return what ``to_data`` was made from."""
        try:
            return cls(**data)
        except TypeError as error:
            raise InvalidArgumentError("loaded", sorted(data), "a loaded workflow file") from error


def load_workflow_file(
    path: str | os.PathLike[str],
    artifacts: Sequence[str | os.PathLike[str]] | None = None,
    python: str | None = None,
    *,
    limit_s: float = LOAD_LIMIT_S,
) -> LoadedFile:
    """Execute a workflow file in a child of ``python`` (that of this process, if None).

    Raise ``UploadError`` when it fails.
    """
    file = _checked_file(path)
    files = _checked_artifacts(artifacts, file)
    digest = digest_of(file)
    result = _execute(file, files, python or sys.executable, limit_s)
    error = result.get("error")
    if error is not None:
        raise _refusal(file, error)
    return LoadedFile(
        path=file,
        sha256=digest,
        files=list(dict.fromkeys([*files, *result["helpers"]])),
        workflows=result["workflows"],
        imports=result["imports"],
        python=result["python"],
    )


def digest_of(file: str | os.PathLike[str]) -> str:
    """Return the SHA-256 digest of a file's content."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _checked_file(path: object) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidArgumentError("workflow_file_path", path, "the path of a workflow file")
    file = os.path.abspath(os.fspath(path))
    if not os.path.exists(file):
        raise UploadError.missing(file)
    if not os.path.isfile(file) or not file.endswith(".py"):
        raise UploadError(
            file, f"Cannot load {file}: a workflow file is a Python file, its name ends in .py."
        )
    if not os.access(file, os.R_OK):
        raise UploadError(file, f"Cannot load {file}: it is not readable for this user.")
    return file


def _checked_artifacts(artifacts: object, file: str) -> list[str]:
    if artifacts is None:
        return []
    if not isinstance(artifacts, (list, tuple)):
        raise InvalidArgumentError("artifacts", artifacts, "a list of paths")
    paths: list[str] = []
    for artifact in artifacts:
        if not isinstance(artifact, (str, os.PathLike)):
            raise InvalidArgumentError("artifacts", artifact, "a list of paths")
        path = os.path.abspath(os.fspath(artifact))
        if not os.path.exists(path):
            raise UploadError(file, f"The artifact {path} does not exist, failed to upload {file}.")
        paths.append(path)
    return paths


def _execute(file: str, files: Sequence[str], python: str, limit_s: float) -> dict[str, Any]:
    """Run the loader in a child and return its result."""
    with tempfile.TemporaryDirectory(prefix="aiflow-load-") as scratch:
        result, output = os.path.join(scratch, "result"), os.path.join(scratch, "output")
        request = {"path": file, "files": list(files), "result": result}
        command = child_command(python, "ai_flow.runtime.loader:load_and_exit", request)
        with open(output, "wb") as log:
            end = _run(command, log.fileno(), limit_s)
        record = read_record(result)
        if record is not None and end is None:
            return record
        return {"error": {"message": f"{end or 'it ended its process'}{_last_lines(output)}"}}


def _run(command: Sequence[str], log: int, limit_s: float) -> str | None:
    """Run the child to its end; return how it failed, None if it may have succeeded."""
    child = subprocess.Popen(
        command,
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        code = child.wait(timeout=limit_s)
    except subprocess.TimeoutExpired:
        return f"it did not come to its end within {limit_s:g} s"
    finally:
        if child.returncode is None:  # too slow, or this process was interrupted
            _kill_group(child.pid)
            child.wait()
    if code == 0:
        return None
    return f"its process was killed by signal {-code}" if code < 0 else f"its process exited with code {code}"


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _last_lines(output: str) -> str:
    text = Path(output).read_text("utf-8", errors="replace").rstrip()
    if not text:
        return ""
    return "\n    " + "\n    ".join(text.splitlines()[-_SHOWN_OUTPUT_LINES:])


def _refusal(file: str, error: Mapping[str, Any]) -> UploadError:
    """Return the loader's error in one sentence, with the line that is to blame."""
    message, kind = str(error["message"]), error.get("type")
    if kind == "WorkflowFileError" and error.get("traceback") is None:
        # Raised by the loader about what the file defines, not by the file.
        if "defines no workflow" in message:
            return UploadError.no_workflow(file)
        return UploadError(file, f"{message}.")
    what = f"{kind}: {message}" if kind else message
    line, text = error.get("line"), error.get("text")
    place = (
        f" ({error.get('file') or file}, line {line}{f': {text.strip()}' if text else ''})" if line else ""
    )
    refusal = UploadError(file, f"Cannot load {file}: {what}{place}")
    refusal.traceback = error.get("traceback")
    return refusal
