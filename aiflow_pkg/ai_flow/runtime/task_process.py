# SPDX-License-Identifier: Apache-2.0
"""Run one Python task: execute the workflow file in its working directory and run the operator.

Called in the attempt's own process, after its first acts: marker, log and working directory are there.
The process takes its own word, the outcome file, before it ends, and then ends the way a Python program
ends: threads are joined and exit handlers run, so that a bad end can still spoil a success. SIGTERM calls
``operator.stop`` in the main thread and ends the task, wherever it is.
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import logging
import os
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, cast

from ai_flow.runtime.attempt_files import AttemptFiles, read_record
from ai_flow.runtime.workflow_file import execute_workflow_file, workflows_of

if TYPE_CHECKING:
    from types import FrameType

    from ai_flow.model.internal.contexts import TaskExecutionContext
    from ai_flow.model.operator import AIFlowOperator, Operator
    from ai_flow.model.workflow import Workflow

Spec = dict[str, Any]

FAILED_EXIT_CODE = 1
#: What a shell reports for a program that ended because of SIGTERM.
STOPPED_EXIT_CODE = 128 + signal.SIGTERM
_MAX_REASON = 2000
_LOG_FORMAT = "[%(asctime)s - %(filename)s:%(lineno)d [%(threadName)s] - %(levelname)s: %(message)s"
_ready_pid = 0
_log = logging.getLogger(__name__)


class NotPinnedError(Exception):
    """The workflow file no longer defines what was uploaded."""


class _Stopped(BaseException):
    """Unwinds the user's code after ``operator.stop``; its ``except Exception`` does not swallow it."""


def main(spec_path: str) -> NoReturn:
    """Run the task of a spec file in this freshly started interpreter."""
    spec = read_record(spec_path)
    if spec is None:
        raise SystemExit(f"{spec_path} is missing or damaged")
    run_task(spec)


def run_task(spec: Spec) -> NoReturn:
    """Run the task and end the process."""
    get_ready()
    os.environ.update(spec["env"])
    task = _Task(spec)
    signal.signal(signal.SIGTERM, task.on_sigterm)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _end_process(task.run())


def get_ready() -> None:
    """Make this process ready for any task; a spare does so before it knows for which. Once is enough."""
    global _ready_pid
    if _ready_pid == os.getpid():
        return
    _ready_pid = os.getpid()
    # By descriptor number: the log of the task is put under these later.
    _reopen_streams()
    _log_to_stdout()
    _reseed()
    faulthandler.enable(file=2)


class _Task:
    """One run of one operator."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._files = AttemptFiles(spec["attempts_dir"], spec["attempt_id"])
        self._operator: AIFlowOperator | None = None
        self._context: TaskExecutionContext | None = None
        self._is_stopping = False
        self._is_over = False
        self._pid = os.getpid()

    def run(self) -> int:
        """Run the operator, record the outcome, and return the exit code."""
        try:
            return self._run()
        except _Stopped:
            # It may come anywhere, even while another end is being recorded.
            return self._over(STOPPED_EXIT_CODE, "STOPPED", None)

    def _run(self) -> int:
        try:
            self._run_operator()
        except _Stopped:
            raise
        except SystemExit as error:
            return self._exited(error)
        except BaseException as error:
            return self._failed(error)
        self._raise_if_stopping()
        return self._over(0, "SUCCESS", None)

    def on_sigterm(self, _number: int, _frame: FrameType | None) -> None:
        """Stop the operator and unwind; a second SIGTERM while that goes on changes nothing."""
        if os.getpid() != self._pid:
            # A process that the task forked has inherited this handler, but not the task.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        if self._is_stopping or self._is_over:
            return
        self._is_stopping = True
        if self._operator is not None and self._context is not None:
            _log.info("Stopping the task.")
            try:
                self._operator.stop(self._context)
            except Exception:
                _log.exception("The operator's stop has failed.")
        raise _Stopped

    def _run_operator(self) -> None:
        from ai_flow.model.internal.contexts import TaskExecutionContext, set_runtime_task_context
        from ai_flow.model.operator import AIFlowOperator
        from ai_flow.model.task_execution import TaskExecutionKey

        spec = self._spec
        module = execute_workflow_file(os.path.join(os.getcwd(), spec["entry"].partition("/")[2]))
        workflow, operator = _pinned(workflows_of(module), spec)
        key = TaskExecutionKey(spec["workflow_execution_id"], spec["task_name"], spec["sequence_number"])
        self._context = TaskExecutionContext(workflow, key, spec["params"])
        set_runtime_task_context(self._context)
        if isinstance(operator, AIFlowOperator):
            self._operator = operator
            operator.start(self._context)
            operator.await_termination(self._context)

    def _raise_if_stopping(self) -> None:
        """Go on stopping where the user's code has swallowed it, or turned it into something else."""
        if self._is_stopping:
            raise _Stopped

    def _exited(self, error: SystemExit) -> int:
        """Treat ``sys.exit`` as a program's end does: nothing and 0 are success, a text is an error."""
        self._raise_if_stopping()
        if error.code is None or error.code == 0:
            return self._over(0, "SUCCESS", None)
        if isinstance(error.code, int):
            return self._over(error.code & 0xFF or FAILED_EXIT_CODE, "FAILED", f"sys.exit({error.code})")
        print(error.code, file=sys.stderr)
        return self._over(FAILED_EXIT_CODE, "FAILED", str(error.code))

    def _failed(self, error: BaseException) -> int:
        from pathlib import Path

        from ai_flow.runtime.user_error import describe_error

        self._raise_if_stopping()
        if isinstance(error, NotPinnedError):
            reason = str(error)
            _log.error(reason)
        else:
            reason = describe_error(error, Path.cwd())
            _log.error("The task has failed.\n%s", _user_traceback(error))
        return self._over(FAILED_EXIT_CODE, "FAILED", reason)

    def _over(self, exit_code: int, outcome: str, reason: str | None) -> int:
        if os.getpid() != self._pid:
            os._exit(exit_code)  # a fork by the user's code that came back here speaks for nobody
        self._is_over = True
        self._files.write_outcome(outcome, reason if reason is None else reason[:_MAX_REASON])
        return exit_code


def _pinned(workflows: Any, spec: Spec) -> tuple[Workflow, Operator]:
    """Return this task's workflow and operator, if they are the ones that were uploaded."""
    from ai_flow.runtime.describe import describe_task

    name = f"{spec['namespace']}.{spec['workflow_name']}"
    for workflow in workflows:
        if (workflow.namespace, workflow.name) == (spec["namespace"], spec["workflow_name"]):
            break
    else:
        raise NotPinnedError(_not_pinned(f"it defines no workflow {name}"))
    if list(workflow.tasks) != spec["task_names"]:
        raise NotPinnedError(_not_pinned(f"the tasks of workflow {name} are others now"))
    operator = workflow.tasks[spec["task_name"]]
    described = json.loads(json.dumps(describe_task(workflow, operator)))
    if described != spec["task"]:
        changed = sorted(key for key in spec["task"] if described.get(key) != spec["task"][key])
        raise NotPinnedError(
            _not_pinned(f"task {spec['task_name']} of workflow {name} differs in {', '.join(changed)}")
        )
    return workflow, operator


def _not_pinned(what: str) -> str:
    return (
        f"executing the workflow file again gave something else: {what}; "
        "let what it defines not depend on time, chance or the environment"
    )


def _reopen_streams() -> None:
    """Make the standard streams those of this process: what a fork inherits has the server's buffers."""
    sys.stdin, sys.stdout, sys.stderr = _stream(0, "r"), _stream(1, "w"), _stream(2, "w")
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr


def _stream(descriptor: int, mode: str) -> TextIO:
    return cast("TextIO", os.fdopen(descriptor, mode, 1, "utf-8", "backslashreplace", closefd=False))


def _log_to_stdout() -> None:
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter(_LOG_FORMAT))
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def _reseed() -> None:
    """Give this process random numbers of its own; ``random`` sees to that itself after a fork."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _user_traceback(error: BaseException) -> str:
    """Return the traceback from the user's code on, without our own frames above it."""
    shown = error.__traceback__
    while shown is not None and shown.tb_frame.f_code.co_filename.startswith(_RUNTIME):
        shown = shown.tb_next
    return "".join(traceback.format_exception(type(error), error, shown)).rstrip()


def _end_process(exit_code: int) -> NoReturn:
    """End as a Python program does, except that a fork does not return into its server."""
    try:
        threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
        exit_code = exit_code or FAILED_EXIT_CODE
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                exit_code = exit_code or FAILED_EXIT_CODE
        os._exit(exit_code)


_RUNTIME = os.path.dirname(os.path.abspath(__file__)) + os.sep
