# SPDX-License-Identifier: Apache-2.0
"""A fork made ahead of the attempt that it will run.

Half of what a tiny Python task costs is the fork and the first touch of each page afterwards. So a
snapshot server keeps one fork waiting, with the usual pages touched, and makes the next while a task
runs. A spare is nobody yet: it has no marker, no session, no id, and it ends when its server does. If it
has died, or the request is too long for the pipe to take at once, the attempt is forked as it would be
without it.
"""

from __future__ import annotations

import json
import os

from ai_flow.runtime.attempt_files import AttemptFiles
from ai_flow.runtime.attempt_start import reset_signals
from ai_flow.runtime.process_table import read_process
from ai_flow.runtime.working_copy import is_owned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Spec = dict[str, Any]

#: A pipe takes this much without waiting for the reader.
_MAX_REQUEST_BYTES = 60_000


class Spare:
    """At most one waiting fork."""

    def __init__(
        self, fork: Callable[[Callable[[], None]], int | OSError], run: Callable[[Spec], None]
    ) -> None:
        self._fork = fork
        self._run = run
        self._pid: int | None = None
        self._writer: int | None = None

    def make(self) -> None:
        """Have a fork waiting, if there is none."""
        if self._pid is not None:
            return
        reader, writer = os.pipe()
        pid = self._fork(lambda: self._wait_and_run(reader, writer))
        os.close(reader)
        if isinstance(pid, OSError):
            os.close(writer)
            return
        self._pid, self._writer = pid, writer

    def take(self, spec: Spec) -> int | None:
        """Give the attempt to the waiting fork and return its pid; None when it has to be forked now."""
        request = json.dumps(spec).encode()
        if self._pid is None or self._writer is None or len(request) > _MAX_REQUEST_BYTES:
            return None
        pid, writer = self._pid, self._writer
        self._pid = self._writer = None
        try:
            os.write(writer, request)
        except BrokenPipeError:
            return None
        finally:
            os.close(writer)
        return pid

    def drop(self) -> None:
        """Let the waiting fork end: what it has imported is not what the next attempt needs."""
        if self._writer is not None:
            os.close(self._writer)
        self._pid = self._writer = None

    def close_in_child(self) -> None:
        """Close a fork's copy of the pipe, or the spare would never see that its server is gone."""
        if self._writer is not None:
            os.close(self._writer)

    def ended(self, pid: int) -> None:
        """Take note that a child ended, which may have been the spare."""
        if pid == self._pid:
            self.drop()

    def _wait_and_run(self, reader: int, writer: int) -> None:
        os.close(writer)
        _touch()
        request = bytearray()
        while data := os.read(reader, 65536):
            request += data
        os.close(reader)
        if not request:
            os._exit(0)
        self._run(json.loads(bytes(request)))


def _touch() -> None:
    """Do once what every task does, so that its pages are this process's own before anybody waits for it."""
    from ai_flow.model.internal.contexts import set_runtime_task_context
    from ai_flow.model.workflow import Workflow
    from ai_flow.operators.python import PythonOperator
    from ai_flow.runtime.describe import describe_task
    from ai_flow.runtime.task_process import get_ready

    get_ready()
    reset_signals()
    read_process(os.getpid())
    is_owned("/nowhere", "")
    AttemptFiles("/nowhere", "").read_marker()
    set_runtime_task_context(None)
    with Workflow(name="spare") as workflow:
        task = PythonOperator("spare", len)
    json.loads(json.dumps(describe_task(workflow, task)))
    exec(compile("def f():\n    return [1, 'a', {}]\nf()\n", "spare", "exec"), {})
