# SPDX-License-Identifier: Apache-2.0
"""When a workflow execution ends, and how (design, section 5).

With nothing alive and no retry, timer or inbox pending an execution is FAILED if the latest run of any task
failed, else STOPPED if a person stopped one, else SUCCESS: a stop by the workflow's own rules is success.
Only when a task that never started could still be started by a custom event does it go on as RUNNING and
say what it waits for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ai_flow.engine.graph import AllOf, AnyOf, Condition, OnStatuses, Rule, Task
from ai_flow.engine.rules import remembered_parts
from ai_flow.engine.states import ExecutionSignal
from ai_flow.engine.world import Execution, StopOrigin
from ai_flow.model.action import TaskAction
from ai_flow.model.status import TaskStatus


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ends, and why each task that never ran did not."""

    signal: ExecutionSignal
    reason: str | None
    never_started: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing runs, but events with one of the keys could start something."""

    keys: tuple[str, ...]

    @property
    def text(self) -> str:
        return "waiting for " + ", ".join(f"'{key}'" for key in self.keys)


def ending_of(execution: Execution) -> Ending | Waiting | None:
    """Return how ``execution`` ends now, what it waits for, or None while something is under way."""
    if any(run.is_alive for run in execution.runs.values()) or execution.scope.inbox:
        return None
    if execution.stop_origin is StopOrigin.PERSON:
        return _ended(execution, ExecutionSignal.STOP, execution.stop_reason)
    if execution.ticks:
        return None
    failed = [run for run in execution.runs.values() if run.status is TaskStatus.FAILED]
    if failed:
        reasons = "; ".join(f"{run.task}: {run.reason}" if run.reason else run.task for run in failed)
        return _ended(execution, ExecutionSignal.FAIL, f"failed: {reasons}")
    if any(
        run.stop_origin is StopOrigin.PERSON for run in execution.runs.values() if _was_stopped(run.status)
    ):
        return _ended(execution, ExecutionSignal.STOP, "a person stopped a task")
    keys = awaited_keys(execution)
    return (
        Waiting(keys)
        if keys and not execution.is_stopping
        else _ended(execution, ExecutionSignal.SUCCEED, None)
    )


def awaited_keys(execution: Execution) -> tuple[str, ...]:
    """Return the custom event keys that could start a task that never ran, in definition order."""
    startable = _startable_by_events(execution)
    keys = (
        key
        for task in _never_started(execution)
        for rule in _starting(task.rules)
        if _can_be_met(rule.condition, execution, startable)
        for key in _custom_keys(execution, rule)
    )
    return tuple(dict.fromkeys(keys))


def is_doomed(execution: Execution) -> bool:
    """Tell whether a task has failed for good: no rule expects its failure and nothing can start it again."""
    failed = {name for name, run in execution.runs.items() if run.status is TaskStatus.FAILED}
    return (
        bool(failed - _expected_to_fail(execution) - _startable_again(execution))
        and not execution.is_finished
    )


def why_never_started(execution: Execution, task: Task) -> str:
    """Say in words why ``task`` did not run."""
    if execution.is_stopping:
        return "the execution was stopped"
    waits = [_what_is_missing(execution, rule) for rule in task.rules if rule.action is not TaskAction.STOP]
    return "; or ".join(waits) if waits else "it was not started"


def _ended(execution: Execution, signal: ExecutionSignal, reason: str | None) -> Ending:
    return Ending(
        signal,
        reason,
        [(task.name, why_never_started(execution, task)) for task in _never_started(execution)],
    )


def _never_started(execution: Execution) -> Iterator[Task]:
    return (task for task in execution.graph.tasks.values() if task.name not in execution.runs)


def _was_stopped(status: TaskStatus) -> bool:
    return status is TaskStatus.STOPPED


def _custom_keys(execution: Execution, rule: Rule) -> Iterator[str]:
    return (key for key in rule.condition.keys if execution.graph.task_of_status_key(key) is None)


def _what_is_missing(execution: Execution, rule: Rule) -> str:
    custom = [f"'{key}'" for key in _custom_keys(execution, rule)]
    if custom:
        return "no event " + " or ".join(custom) + " met its condition"
    expected = dict(_expected_statuses(rule.condition))
    statuses = execution.statuses()
    missing = [
        f"'{task}' {f'is {statuses[task].value}' if task in statuses else 'never ran'}, not {status.value}"
        for task, status in expected.items()
        if statuses.get(task) is not status
    ]
    return "upstream " + " and ".join(missing) if missing else "its condition was never met"


def _expected_statuses(condition: Condition) -> Iterator[tuple[str, TaskStatus]]:
    match condition:
        case OnStatuses():
            yield from condition.expect.items()
        case AllOf() | AnyOf():
            for part in condition.parts:
                yield from _expected_statuses(part)
        case _:
            return


def _rules(execution: Execution) -> Iterator[Rule]:
    return (rule for task in execution.graph.tasks.values() for rule in task.rules)


def _expected_to_fail(execution: Execution) -> set[str]:
    """Return the tasks whose failure some rule listens for; a user's condition may expect anything."""
    expected: set[str] = set()
    for rule in _rules(execution):
        described = dict(_expected_statuses(rule.condition))
        expected |= {task for task, status in described.items() if status is TaskStatus.FAILED}
        if not described:
            expected |= {
                task for key in rule.condition.keys if (task := execution.graph.task_of_status_key(key))
            }
    return expected


def _startable_by_events(execution: Execution) -> set[str]:
    """Return the tasks that custom events could start while nothing is alive: a fixpoint over the rules."""
    startable: set[str] = set()
    while True:
        more = {
            task.name
            for task in execution.graph.tasks.values()
            if task.name not in startable
            and any(_can_be_met(rule.condition, execution, startable) for rule in _starting(task.rules))
        }
        if not more:
            return startable
        startable |= more


def _can_be_met(condition: Condition, execution: Execution, startable: set[str]) -> bool:
    """Tell whether events could meet the condition, when only ``startable`` tasks can change their status."""
    match condition:
        case OnStatuses():
            statuses = execution.statuses()
            return any(task in startable for task in condition.expect) and all(
                task in startable or statuses.get(task) is status for task, status in condition.expect.items()
            )
        case AnyOf():
            return any(_can_be_met(part, execution, startable) for part in condition.parts)
        case AllOf():
            met = remembered_parts(condition, execution.scope.states)
            return all(
                met[position] or _can_be_met(part, execution, startable)
                for position, part in enumerate(condition.parts)
            )
        case _:
            tasks = [execution.graph.task_of_status_key(key) for key in condition.keys]
            return any(task is None or task in startable for task in tasks)


def _startable_again(execution: Execution) -> set[str]:
    """Return the tasks that may run (again): the fixpoint over what is alive, periodic or started by
    events.
    """
    possible = {run.task for run in execution.alive()} | set(execution.ticks)
    possible |= {task.name for task in execution.graph.tasks.values() if _starts_by_event(execution, task)}
    while True:
        more = {
            task.name
            for task in execution.graph.tasks.values()
            if task.name not in possible and _starts_after_one_of(execution, task, possible)
        }
        if not more:
            return possible
        possible |= more


def _starting(rules: Iterable[Rule]) -> Iterator[Rule]:
    return (rule for rule in rules if rule.action is not TaskAction.STOP)


def _starts_by_event(execution: Execution, task: Task) -> bool:
    return any(next(_custom_keys(execution, rule), None) for rule in _starting(task.rules))


def _starts_after_one_of(execution: Execution, task: Task, possible: set[str]) -> bool:
    return any(
        execution.graph.task_of_status_key(key) in possible
        for rule in _starting(task.rules)
        for key in rule.condition.keys
    )
