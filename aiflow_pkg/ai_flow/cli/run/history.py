# SPDX-License-Identifier: Apache-2.0
"""What happened to the tasks of a run, as far as it is shown: the latest state of each, and its tries.

Built from the changes that the session reports, in their order. A streaming workflow can have any number
of tries, so of each task only the latest are kept, with the count of all.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ai_flow.model.status import TASK_ALIVE_SET, TaskStatus
from ai_flow.server.progress import ExecutionProgress, TaskChange
from ai_flow.store.progress import TriggerFailure

#: Tries that are kept of a task.
KEPT_TRIES = 1000


@dataclass(slots=True, kw_only=True)
class Try:
    """One attempt at a task."""

    sequence_number: int
    try_number: int
    tries: int
    status: TaskStatus
    log_path: Path
    reason: str | None = None
    began_ms: int | None = None
    ended_ms: int | None = None
    next_try_in_s: float | None = None

    def seconds(self, now_ms: int) -> float | None:
        """Return how long it took, or takes so far; None when it never began."""
        if self.began_ms is None:
            return None
        return max(0, (self.ended_ms if self.ended_ms is not None else now_ms) - self.began_ms) / 1000


@dataclass(slots=True, kw_only=True)
class TaskHistory:
    """One task of one execution."""

    name: str
    #: What people see: the name, with the workflow's in front when the run has several.
    label: str
    #: Counts over all tasks of the run: what its colour follows from.
    number: int
    tries_seen: int = 0
    tries: deque[Try] = field(default_factory=lambda: deque[Try](maxlen=KEPT_TRIES))

    @property
    def latest(self) -> Try | None:
        """The latest try, None before the first."""
        return self.tries[-1] if self.tries else None

    @property
    def status(self) -> TaskStatus | None:
        """The status, None for a task that has not started."""
        return self.tries[-1].status if self.tries else None


@dataclass(slots=True, kw_only=True)
class ExecutionHistory:
    """One execution with its tasks, in the order of their definition."""

    progress: ExecutionProgress
    tasks: Mapping[str, TaskHistory]

    @property
    def title(self) -> str:
        """How people know it."""
        return f"{self.progress.workflow} #{self.progress.id}"

    def counts(self) -> Counter[TaskStatus | None]:
        """Return how many tasks have each status."""
        return Counter(task.status for task in self.tasks.values())


class RunHistory:
    """The executions of a run."""

    def __init__(self) -> None:
        self._by_id: dict[int, ExecutionHistory] = {}
        #: What triggers could not process; the latest ones.
        self.trigger_failures: deque[TriggerFailure] = deque(maxlen=KEPT_TRIES)
        self._tasks = 0

    def start(self, executions: Iterable[ExecutionProgress]) -> None:
        """Note executions; those that come later are executions of others that this run takes too."""
        executions = list(executions)
        if self._by_id:
            prefixes = [f"{progress.workflow}#{progress.id}." for progress in executions]
        elif len(executions) > 1:
            prefixes = [f"{progress.workflow}." for progress in executions]
        else:
            prefixes = [""]
        for progress, prefix in zip(executions, prefixes, strict=False):
            tasks: dict[str, TaskHistory] = {}
            for name in progress.tasks:
                tasks[name] = TaskHistory(name=name, label=prefix + name, number=self._tasks)
                self._tasks += 1
            self._by_id[progress.id] = ExecutionHistory(progress=progress, tasks=tasks)

    @property
    def executions(self) -> list[ExecutionHistory]:
        """The executions, oldest first."""
        return list(self._by_id.values())

    def tasks(self) -> Iterator[TaskHistory]:
        """Yield the tasks of all executions."""
        for execution in self._by_id.values():
            yield from execution.tasks.values()

    def apply(self, change: TaskChange) -> TaskHistory:
        """Note a change and return the task that it is about."""
        task = self._by_id[change.execution_id].tasks[change.task]
        latest = task.latest
        if latest is None or _key(latest) != (change.sequence_number, change.try_number):
            latest = Try(
                sequence_number=change.sequence_number,
                try_number=change.try_number,
                tries=change.tries,
                status=change.status,
                log_path=change.log_path,
            )
            task.tries.append(latest)
            task.tries_seen += 1
        latest.status = change.status
        latest.reason = change.reason
        latest.next_try_in_s = change.next_try_in_s
        if change.status is TaskStatus.RUNNING:
            latest.began_ms = change.at_ms
        elif change.status is TaskStatus.RETRYING or change.status not in TASK_ALIVE_SET:
            latest.ended_ms = change.at_ms
        return task


def _key(attempt: Try) -> tuple[int, int]:
    return attempt.sequence_number, attempt.try_number
