# SPDX-License-Identifier: Apache-2.0
"""Shows a run while it goes on: takes what the session reports, follows the logs, and feeds a view.

The output of a task is shown before its end is: what was written by then is read first. The view is made
in the first turn, after the first tasks were started, because a view of a terminal takes a while to import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ai_flow.cli.run import wording
from ai_flow.cli.run.history import RunHistory, TaskHistory
from ai_flow.cli.run.log_tail import Limits, LogFollower
from ai_flow.cli.run.view import View
from ai_flow.common.home import Home
from ai_flow.model.status import TaskStatus
from ai_flow.server.progress import ExecutionProgress, TaskChange
from ai_flow.store.progress import TriggerFailure

_Key = tuple[int, str, int, int]


class Display:
    """The observer of a session (``RunObserver``)."""

    def __init__(
        self, make_view: Callable[[], View], limits: Limits | None, *, shows_output: bool = True
    ) -> None:
        self.history = RunHistory()
        self._make_view = make_view
        self._view: View | None = None
        self._shows_output = shows_output
        self._logs = LogFollower(limits)
        self._tasks: dict[str, TaskHistory] = {}
        self._waits: dict[int, str | None] = {}
        self._failures_shown: dict[int, int] = {}

    @property
    def view(self) -> View:
        """The view, made when it is first needed."""
        if self._view is None:
            self._view = self._make_view()
        return self._view

    def started(self, executions: Sequence[ExecutionProgress], home: Home) -> None:
        """Take note of executions."""
        self.history.start(executions)
        self._tasks.update((task.label, task) for task in self.history.tasks())

    def task_changed(self, change: TaskChange) -> None:
        """Show a change; follow the log from a start to the end."""
        task = self.history.apply(change)
        key = (change.execution_id, change.task, change.sequence_number, change.try_number)
        if change.status is TaskStatus.RUNNING:
            self.view.changed(task, change.at_ms)
            if self._shows_output:
                self._logs.follow(key, task.label, change.log_path)
            return
        if change.status is not TaskStatus.STOPPING:
            self._output(task.label, self._logs.end(key))
        self.view.changed(task, change.at_ms)

    def trigger_failed(self, failure: TriggerFailure) -> None:
        """Say that a trigger could not process an event."""
        self.history.trigger_failures.append(failure)
        self.view.note(wording.of_trigger_failure(failure))

    def turned(self) -> None:
        """Show new output and what has changed of the executions."""
        for label, lines in self._logs.look():
            self._output(label, lines)
        for execution in self.history.executions:
            self._tell_waiting(execution.progress)
            failures = execution.progress.rule_failures
            for failure in failures[self._failures_shown.get(execution.progress.id, 0) :]:
                self.view.note(wording.of_rule_failure(execution, failure))
            self._failures_shown[execution.progress.id] = len(failures)
        self.view.refresh(self.history)

    def stopping(self, why: str) -> None:
        """Say that everything is being stopped."""
        again = "; Ctrl-C again ends everything at once" if why.endswith("SIGINT") else ""
        self.view.note(f"stopping: {why}{again}")
        self.view.refresh(self.history)

    def close(self) -> None:
        """Show what is left and how it ended."""
        for label, lines in self._logs.end_all():
            self._output(label, lines)
        if self._view is not None or self.history.executions:
            self.view.close(self.history)

    def _output(self, label: str, lines: Sequence[str]) -> None:
        if lines:
            self.view.output(self._tasks[label], lines)

    def _tell_waiting(self, execution: ExecutionProgress) -> None:
        if self._waits.get(execution.id) != execution.waits_for:
            self._waits[execution.id] = execution.waits_for
            if execution.waits_for:
                self.view.note(f"{execution.workflow} #{execution.id} is {execution.waits_for}")
