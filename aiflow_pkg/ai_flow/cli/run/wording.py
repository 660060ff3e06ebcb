# SPDX-License-Identifier: Apache-2.0
"""What is said about tasks and executions, the same on a terminal and in a log of CI."""

from __future__ import annotations

from collections.abc import Iterator

from ai_flow.cli.run.history import ExecutionHistory, TaskHistory, Try
from ai_flow.cli.run.log_tail import last_lines
from ai_flow.cli.text import duration, one_line
from ai_flow.model.status import TaskStatus
from ai_flow.store.progress import RuleFailure, TriggerFailure

#: Lines shown of the log of a task that failed.
_LOG_LINES = 10
#: Tasks of one kind that are named; the rest is counted.
_NAMED = 20
#: Longer reasons, and those with parentheses of their own, stand at the end of the line.
_SHORT_REASON = 40

_COUNTED = (
    (TaskStatus.SUCCESS, "succeeded"),
    (TaskStatus.FAILED, "failed"),
    (TaskStatus.STOPPED, "stopped"),
    (TaskStatus.RUNNING, "running"),
    (TaskStatus.STOPPING, "stopping"),
    (TaskStatus.RETRYING, "waiting for the next try"),
    (None, "never started"),
)


def of_change(task: TaskHistory) -> str:
    """Return a line about the latest change of a task, without its time."""
    latest = task.latest
    assert latest is not None
    match latest.status:
        case TaskStatus.RUNNING:
            return f"{task.label} started{_which(latest)}"
        case TaskStatus.SUCCESS:
            return f"{task.label} succeeded{_took(latest)}"
        case TaskStatus.STOPPING:
            return f"{task.label} is being stopped"
        case TaskStatus.STOPPED:
            return f"{task.label} was stopped{_took(latest)}"
        case TaskStatus.FAILED | TaskStatus.RETRYING:
            return f"{task.label} failed{_because(latest, _tries(latest))}"
        case status:
            return f"{task.label} is {status.value}"


def of_rule_failure(execution: ExecutionHistory, failure: RuleFailure) -> str:
    """Return a line about an event that a rule could not process."""
    task = execution.tasks.get(failure.task or "")
    whose = task.label if task is not None else execution.title
    return (
        f"rule {failure.rule_index + 1} of {whose} could not be evaluated for event {failure.event_offset}: "
        f"{one_line(failure.error)}"
    )


def of_trigger_failure(failure: TriggerFailure) -> str:
    """Return a line about an event that a trigger could not process."""
    return (
        f"trigger {failure.trigger_id} of {failure.workflow} could not be evaluated for event "
        f"{failure.event_offset}: {one_line(failure.error)}"
    )


def summary(execution: ExecutionHistory) -> Iterator[str]:
    """Yield the lines that tell how an execution ended, and why."""
    yield outcome(execution)
    progress = execution.progress
    failed = [task for task in execution.tasks.values() if task.status is TaskStatus.FAILED]
    if progress.reason and not failed and progress.reason not in progress.never_started.values():
        yield f"  {one_line(progress.reason, 500)}"
    for task in failed[:_NAMED]:
        yield from _failure(task)
    yield from _rest(len(failed), "failed")
    for name, why in list(progress.never_started.items())[:_NAMED]:
        yield f"  {name} never started: {one_line(why, 500)}"
    yield from _rest(len(progress.never_started), "never started")
    if progress.rule_failures:
        count = len(progress.rule_failures)
        times = "once" if count == 1 else f"{count} times"
        last = of_rule_failure(execution, progress.rule_failures[-1])
        yield f"  a rule failed {times}, last: {last}"
    yield f"  logs: {progress.logs}"


def outcome(execution: ExecutionHistory) -> str:
    """Return one line: the execution, its status, its time and how its tasks ended."""
    progress = execution.progress
    took = ""
    if progress.begin_at_ms is not None and progress.end_at_ms is not None:
        took = f" in {duration((progress.end_at_ms - progress.begin_at_ms) / 1000)}"
    counts = execution.counts()
    tasks = ", ".join(f"{counts[status]} {word}" for status, word in _COUNTED if counts[status])
    return f"{execution.title} {progress.status.value}{took}: {tasks or 'no tasks'}"


def short_reason(latest: Try) -> str:
    """Return why a try ended, and how it goes on, in a few words."""
    parts = [one_line(latest.reason, 60)] if latest.reason else []
    if latest.status is TaskStatus.RETRYING and latest.next_try_in_s is not None:
        parts.append(f"next try after {duration(latest.next_try_in_s)}")
    return "; ".join(parts)


def _failure(task: TaskHistory) -> Iterator[str]:
    latest = task.latest
    assert latest is not None
    tries = f" in try {latest.try_number} of {latest.tries}" if latest.tries > 1 else ""
    yield f"  {task.name} failed{tries}: {one_line(latest.reason or 'no reason is known', 500)}"
    lines = last_lines(latest.log_path, _LOG_LINES)
    if lines:
        yield f"  the end of {latest.log_path}:"
        yield from (f"    | {line}" for line in lines)


def _rest(count: int, what: str) -> Iterator[str]:
    if count > _NAMED:
        yield f"  and {count - _NAMED} more {what}"


def _which(latest: Try) -> str:
    parts = [f"run {latest.sequence_number}"] if latest.sequence_number > 1 else []
    parts += [f"try {latest.try_number} of {latest.tries}"] if latest.try_number > 1 else []
    return f" ({', '.join(parts)})" if parts else ""


def _took(latest: Try) -> str:
    seconds = latest.seconds(latest.ended_ms or 0)
    return f" ({duration(seconds)})" if seconds is not None else ""


def _tries(latest: Try) -> str:
    tries = f", try {latest.try_number} of {latest.tries}" if latest.tries > 1 else ""
    if latest.status is TaskStatus.RETRYING and latest.next_try_in_s is not None:
        soon = f"in {latest.next_try_in_s:g} s" if latest.next_try_in_s else "at once"
        tries += f", next {soon}"
    return tries


def _because(latest: Try, tries: str) -> str:
    reason = one_line(latest.reason or "")
    if not reason:
        return tries
    is_short = len(reason) <= _SHORT_REASON and "(" not in reason
    return f" ({reason}){tries}" if is_short else f"{tries}: {reason}"
