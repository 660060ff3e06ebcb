# SPDX-License-Identifier: Apache-2.0
"""The process in which the conditions of one snapshot are evaluated; the scheduler never runs user code.

``main`` is called in a fresh child of the user's Python (by a fork server, or through ``boot`` by a plain
start). It executes the workflow file once, in a copy of the snapshot, says ``ready``, and then answers one
request after the other: each on a fresh copy of its condition, so that nothing kept on ``self`` outlives an
evaluation. Messages are JSON frames over one socket. Time limits and restarts are the pool's affair
(``ai_flow.executor.condition_hosts``); what the host promises for itself is to end when the pool's end of
the socket is closed, even in the middle of an evaluation, and to write what conditions print to its log,
never to the terminal.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import pickle
import select
import shutil
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from ai_flow.runtime.condition_frames import Message, receive_frame, send_frame

if TYPE_CHECKING:
    from datetime import datetime

    from ai_flow.model.condition import Condition
    from ai_flow.model.context import Context
    from ai_flow.model.workflow import Workflow
    from ai_flow.model.workflow_execution import WorkflowExecution
    from ai_flow.runtime.condition_states import HostedStates
    from notification_service.model.event import Event

#: Beyond the time limit of a request: if the pool has not ended the host by then, nobody will.
_ALARM_GRACE_S = 5.0
#: A log that is larger when a host starts is set aside, so that a talkative condition fills no disk for ever.
_LOG_LIMIT_BYTES = 16 * 1024 * 1024

_NOT_PINNED = (
    "executing the workflow file again gave something else; upload it anew, and let what it defines "
    "not depend on time, chance or the environment"
)


class ConditionError(Exception):
    """A condition cannot be evaluated for a reason that is no exception of the user's code."""


def boot(request: Message, channel_fd: str) -> NoReturn:
    """Run a host in a fresh interpreter, on an inherited file descriptor."""
    main(socket.socket(fileno=int(channel_fd)), request)


def main(channel: socket.socket, request: Message) -> NoReturn:
    """Serve evaluations until the other end of ``channel`` closes; takes the process over for good."""
    exit_code = 1
    try:
        _become_own_session()
        _write_to_log(Path(request["log_path"]))
        _serve(channel, request)
        exit_code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        # Threads that the workflow file started must not keep the process, which holds nothing of worth.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(exit_code)


def _serve(channel: socket.socket, request: Message) -> None:
    copy = Path(request["copy_dir"])
    user_dir = (copy / request["entry"]).parent
    threading.Thread(target=_end_with, args=(channel,), name="aiflow-channel", daemon=True).start()
    try:
        _copy_snapshot(Path(request["bundle_dir"]), copy)
        module = _execute(copy / request["entry"])
    except BaseException as error:
        from ai_flow.runtime.user_error import describe_error

        traceback.print_exc()
        send_frame(channel, {"ready": False, "error": describe_error(error, user_dir)})
        return
    evaluator = Evaluator(module, user_dir)
    send_frame(channel, {"ready": True})
    while (message := receive_frame(channel)) is not None:
        signal.setitimer(signal.ITIMER_REAL, message["limit_s"] + _ALARM_GRACE_S)
        answer = evaluator.answer(message)
        signal.setitimer(signal.ITIMER_REAL, 0)
        send_frame(channel, answer)


class Evaluator:
    """Evaluate conditions of one executed workflow file."""

    def __init__(self, module: Any, user_dir: Path) -> None:
        self._module = module
        self._user_dir = user_dir
        self._pickles: dict[tuple[str, str, str, int], bytes] = {}

    def answer(self, message: Message) -> Message:
        """Return the verdict on one request; whatever goes wrong is its ``error`` and changes no state."""
        from ai_flow.runtime.user_error import describe_error

        try:
            met, changed = self._evaluate(message)
        except ConditionError as error:
            return {"id": message["id"], "error": str(error)}
        except BaseException as error:
            traceback.print_exc()
            return {"id": message["id"], "error": describe_error(error, self._user_dir)}
        finally:
            sys.stdout.flush()
        return {"id": message["id"], "met": met, "states": changed}

    def _evaluate(self, message: Message) -> tuple[bool, Message]:
        from ai_flow.runtime import state_codec
        from ai_flow.runtime.condition_states import HostedStates

        workflow = self._workflow(message["namespace"], message["workflow"])
        states = HostedStates(
            {name: state_codec.from_wire(value) for name, value in message["states"].items()}
        )
        condition = self._condition(workflow, message)
        met = _Strict(condition).is_met(_event(message["event"]), _context(message, workflow, states))
        changed = {
            name: None if value is None else state_codec.to_wire(value)
            for name, value in states.changes().items()
        }
        return met, changed

    def _workflow(self, namespace: str, name: str) -> Workflow:
        from ai_flow.model.workflow import Workflow

        for value in vars(self._module).values():
            if isinstance(value, Workflow) and value.name == name and value.namespace == namespace:
                return value
        raise ConditionError(
            f"workflow {namespace}.{name} is not in {os.path.basename(self._module.__file__)} any more: "
            f"{_NOT_PINNED}"
        )

    def _condition(self, workflow: Workflow, message: Message) -> Condition:
        """Return a copy of the condition that no earlier evaluation has touched."""
        if message["trigger"] is not None:
            rule = pickle.loads(base64.b64decode(message["trigger"]))
            return getattr(rule, "condition", rule)
        key = (message["namespace"], message["workflow"], message["task"], message["rule_index"])
        if key not in self._pickles:
            self._pickles[key] = self._pickle_of_rule(workflow, message)
        return pickle.loads(self._pickles[key])

    def _pickle_of_rule(self, workflow: Workflow, message: Message) -> bytes:
        from ai_flow.runtime import state_codec

        task, index = message["task"], message["rule_index"]
        rules = workflow.rules.get(task, [])
        if index >= len(rules) or message["event"]["key"] not in rules[index].condition.expect_event_keys:
            raise ConditionError(
                f"rule {index} of task {task} of workflow {workflow.name} is not the one of before: "
                f"{_NOT_PINNED}"
            )
        condition = rules[index].condition
        try:
            return state_codec.dumps(condition)
        except Exception as error:
            raise ConditionError(
                f"{type(condition).__name__} cannot be copied for an evaluation: {type(error).__name__}: "
                f"{error}; keep locks, files and connections out of it and open them in is_met"
            ) from error


def _event(fields: Message) -> Event:
    from notification_service.model.event import Event

    event = Event(fields["key"], fields["value"])
    for name in ("namespace", "sender", "context", "create_time", "offset"):
        setattr(event, name, fields[name])
    return event


def _context(message: Message, workflow: Workflow, states: HostedStates) -> Context:
    from ai_flow.model.internal.contexts import WorkflowContext, WorkflowExecutionContext
    from ai_flow.model.status import TaskStatus

    if message["trigger"] is not None:
        return WorkflowContext(message["namespace"], workflow, states=states)
    statuses = {task: TaskStatus(status) for task, status in message["statuses"].items()}
    execution = _workflow_execution(message["workflow_execution"])
    return WorkflowExecutionContext(workflow, execution, states=states, task_statuses=statuses)


def _workflow_execution(fields: Message) -> WorkflowExecution:
    from ai_flow.model.execution_type import ExecutionType
    from ai_flow.model.status import WorkflowStatus
    from ai_flow.model.workflow_execution import WorkflowExecution

    return WorkflowExecution(
        workflow_id=fields["workflow_id"],
        execution_type=ExecutionType(fields["execution_type"]),
        begin_date=_local_time(fields["begin_at_ms"]),
        end_date=_local_time(fields["end_at_ms"]),
        status=WorkflowStatus(fields["status"]),
        id=fields["id"],
    )


def _local_time(at_ms: int | None) -> datetime | None:
    """Return local time without a zone, as users of aiflow know it."""
    from datetime import datetime

    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000)


class _Strict:
    """A condition that must answer with a bool, and so must the parts that it combines."""

    def __init__(self, condition: Condition) -> None:
        from ai_flow.model.internal.conditions import MeetAllCondition, MeetAnyCondition

        self.expect_event_keys = condition.expect_event_keys
        self._condition = condition
        if isinstance(condition, (MeetAllCondition, MeetAnyCondition)):
            # It is a copy made for this evaluation, so its parts may be exchanged.
            condition.conditions = [cast("Condition", _Strict(part)) for part in condition.conditions]

    def is_met(self, event: Event, context: Context) -> bool:
        result: object = self._condition.is_met(event, context)
        if isinstance(result, bool):
            return result
        kind = type(result)
        if kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_"):
            # ``score > best`` with a number of numpy's is as clear an answer as any.
            return bool(result)
        raise ConditionError(
            f"{type(self._condition).__name__}.is_met returned a value of type {kind.__name__}; "
            "it must return True or False"
        )


def _execute(entry: Path) -> Any:
    """Execute the workflow file as a module named by its stem; modules beside it can be imported."""
    import importlib.util

    directory = str(entry.parent)
    os.chdir(directory)
    sys.path.insert(0, directory)
    sys.argv = [str(entry)]
    spec = importlib.util.spec_from_file_location(entry.stem, entry)
    if spec is None or spec.loader is None:
        raise ConditionError(f"{entry.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[entry.stem] = module
    spec.loader.exec_module(module)
    return module


def _copy_snapshot(bundle: Path, copy: Path) -> None:
    """Copy the immutable snapshot to where user code may write; the first host does it for all."""
    if copy.is_dir():
        return
    unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
    shutil.copytree(bundle, unfinished, copy_function=shutil.copy, ignore_dangling_symlinks=True)
    # In a snapshot everything is read-only, and that must not be true of the copy.
    for directory, _, files in os.walk(unfinished):
        os.chmod(directory, 0o700)
        for path in (os.path.join(directory, name) for name in files):
            os.chmod(path, os.stat(path).st_mode | 0o600)
    try:
        unfinished.rename(copy)
    except OSError:
        # Another host was faster.
        shutil.rmtree(unfinished, ignore_errors=True)


def _become_own_session() -> None:
    """Make the process group that the pool kills, and undo what a fork server set up for itself."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    # A fork server holds signals back while it forks; the alarm must get through.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _write_to_log(path: Path) -> None:
    """Point stdout and stderr to the log of the snapshot's conditions, and stdin to nothing."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _LOG_LIMIT_BYTES:
            path.replace(path.with_name(path.name + ".1"))
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for fd, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(fd, target)
    os.close(log)
    os.close(nothing)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout, sys.stderr = _lines_to(1), _lines_to(2)


def _lines_to(fd: int) -> io.TextIOWrapper:
    raw = io.BufferedWriter(io.FileIO(fd, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _end_with(channel: socket.socket) -> None:
    """End the process when the other end closes; the main thread cannot notice while it runs user code."""
    poll = select.poll()
    poll.register(channel, 0)
    poll.poll()
    os._exit(0)
