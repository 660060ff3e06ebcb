# SPDX-License-Identifier: Apache-2.0
"""The first acts of an attempt's own process: become a session, win the marker, find its place, and begin.

Called in a fresh fork, in this order because each step protects the next: the session makes the process
group that a stop ends; the marker makes sure that nobody else runs the attempt and that nobody has
declared it lost; only then is anything touched that another run of the task could see. Nothing here
returns: the process becomes bash, a fresh Python, or calls ``run_python``.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time

from ai_flow.runtime.attempt_files import AttemptFiles
from ai_flow.runtime.process_table import read_process
from ai_flow.runtime.working_copy import DIRECTORY_MODE, make_working_copy, own_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from ai_flow.runtime.process_table import AttemptMark

    Spec = dict[str, Any]

#: The marker was there already. Never an outcome: the marker tells it from a task's own code.
LOST_MARKER_EXIT_CODE = 117
#: The task could not be begun; the outcome file says why.
SETUP_FAILED_EXIT_CODE = 118
_LOG_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND
#: What Python or a fork server changed and what ``exec`` does not put back.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGXFSZ", "SIGCHLD")


def begin_attempt(
    spec: Spec, run_python: Callable[[Spec], None] | None = None, mark: AttemptMark | None = None
) -> NoReturn:
    """Become the process of the attempt that ``spec`` describes.

    ``run_python`` runs it in this interpreter; ``mark`` then shows whose process this is.
    """
    files = AttemptFiles(spec["attempts_dir"], spec["attempt_id"])
    try:
        reset_signals()
        os.setsid()
        if mark is not None:
            mark.write(spec["attempt_id"])
        if not files.create_marker(marker_of(spec, os.getpid(), _create_time())):
            os._exit(LOST_MARKER_EXIT_CODE)
        _take_place(spec)
        _become_task(spec, files, run_python)
    except BaseException as error:
        report_failed_start(files, error)
    os._exit(SETUP_FAILED_EXIT_CODE)


def marker_of(spec: Spec, pid: int, created: int) -> Spec:
    """Return the content of the marker; without a pid it is the guard that starts the attempt."""
    return {
        "attempt_id": spec["attempt_id"],
        "pid": pid,
        "created": created,
        "boot_id": spec["boot_id"],
        "server": spec["server"],
        "started_at_ms": time.time_ns() // 1_000_000,
        "kind": spec["kind"],
        "token": spec["token"],
    }


def reset_signals() -> None:
    """Undo what Python and a fork server set up for themselves."""
    signal.set_wakeup_fd(-1)
    for name in _SIGNALS:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def prepare_log(spec: Spec) -> None:
    """Make sure that the attempt's log exists, in a directory of this store."""
    own_directory(spec["log_root"], spec["store_id"])
    os.close(_open_log(spec["log_path"]))


def redirect_output(log_path: str) -> None:
    """Make ``log_path`` standard output and error of this process; standard input is empty already."""
    log = _open_log(log_path)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def report_failed_start(files: AttemptFiles, error: BaseException) -> None:
    """Leave the reason in the outcome file and, if it is there, in the log."""
    reason = f"the task could not be started: {why_not_started(error)}"
    try:
        files.write_outcome("FAILED", reason)
        os.write(2, f"[aiflow] {reason}\n".encode(errors="replace"))
    except OSError:
        pass


def _create_time() -> int:
    process = read_process(os.getpid())
    return process.created if process is not None else 0


def _open_log(path: str) -> int:
    try:
        return os.open(path, _LOG_FLAGS, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), DIRECTORY_MODE, exist_ok=True)
        return os.open(path, _LOG_FLAGS, 0o600)


def _take_place(spec: Spec) -> None:
    """Make the log and the working directory those of this process."""
    own_directory(spec["log_root"], spec["store_id"])
    redirect_output(spec["log_path"])
    os.chdir(make_working_copy(spec["bundle_dir"], spec["stem"], spec["working_dir"], spec["store_id"]))


def _become_task(spec: Spec, files: AttemptFiles, run_python: Callable[[Spec], None] | None) -> None:
    if spec["run"] == "fork" and run_python is not None:
        run_python(spec)
        return
    environment = {**os.environ, **spec["env"]}
    if spec["run"] == "bash":
        os.execvpe("bash", ["bash", "-c", spec["bash_command"]], environment)
    from ai_flow.runtime.attempt_files import write_record

    write_record(files.spec, spec)
    os.execve(spec["argv"][0], [*spec["argv"], files.spec], environment)


def why_not_started(error: BaseException) -> str:
    """Return the reason for people."""
    if isinstance(error, FileNotFoundError) and error.filename is None:
        return "bash was not found on PATH"
    if isinstance(error, OSError) and error.errno == errno.E2BIG:
        return "its command or a variable of its environment is longer than the system allows (128 KiB)"
    if isinstance(error, OSError) and error.strerror:
        place = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, (str, bytes)) else ""
        return f"{error.strerror}{place}"
    return f"{type(error).__name__}: {error}"


if sys.platform == "win32":  # pragma: no cover
    raise ImportError("the local executor needs a Unix system")
