# SPDX-License-Identifier: Apache-2.0
"""A workflow as the engine sees it: tasks, rules and conditions as immutable data.

``parse_graph`` reads what ``ai_flow.runtime.describe`` wrote. Nothing here can run user code: a condition
of the user's own class is known by its keys and its name only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ai_flow.model.action import TaskAction
from ai_flow.model.status import TaskStatus

#: The format that this program reads (``describe.GRAPH_FORMAT`` of the same version writes it).
GRAPH_FORMAT = 1

#: A delay before a retry never exceeds ten years: a growing one soon leaves what a clock can hold.
LONGEST_RETRY_DELAY_S = 10 * 366 * 86_400.0

_STATUS_KEY_PREFIX = "[task_status_change]"


class UnknownGraphFormatError(Exception):
    """A snapshot was made by a version of aiflow whose graphs this one cannot read."""

    def __init__(self, found: object) -> None:
        super().__init__(
            f"The snapshot's graph has format {found!r}, this aiflow reads format {GRAPH_FORMAT}: "
            "upload the workflow again with this version."
        )


def status_key(namespace: str, workflow: str, task: str) -> str:
    """Return the key of the events that announce a status of ``task`` (behaviour 2.1)."""
    return f"{_STATUS_KEY_PREFIX}.{namespace}.{workflow}.{task}"


@dataclass(frozen=True, slots=True)
class OnEvent:
    """Met by every event with the key."""

    key: str

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,)


@dataclass(frozen=True, slots=True)
class OnTaskStatus:
    """Met by an event of the key whose context says the status; the task may be another workflow's."""

    key: str
    status: TaskStatus

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,)


@dataclass(frozen=True, slots=True)
class OnStatuses:
    """Met when one of the tasks becomes its expected status and all the others have theirs."""

    expect: Mapping[str, TaskStatus]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Met when every part has been met since it last fired; remembers the parts under ``name``."""

    name: str
    parts: tuple[Condition, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Met when a part that listens to the event's key is met."""

    parts: tuple[Condition, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OfUser:
    """A condition of the user's own class: only a condition host can tell."""

    class_name: str
    keys: tuple[str, ...]


Condition = OnEvent | OnTaskStatus | OnStatuses | AllOf | AnyOf | OfUser


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do with a task when a condition is met; ``index`` counts within the task."""

    index: int
    action: TaskAction
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task with its options; durations in seconds."""

    name: str
    kind: str
    bash_command: str | None = None
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    retries: int = 0
    retry_delay_s: float = 0.0
    retry_backoff: float = 1.0
    retry_max_delay_s: float | None = None
    timeout_s: float | None = None
    periodic_expression: str | None = None
    rules: tuple[Rule, ...] = ()

    @property
    def starts_with_execution(self) -> bool:
        """Tell whether it starts as soon as the execution does: it has no START rule (manual 4.5)."""
        return all(rule.action is not TaskAction.START for rule in self.rules)

    def retry_delay_after(self, try_number: int) -> float:
        """Return the seconds between the end of try ``try_number`` (from 1) and the next."""
        greatest_s = LONGEST_RETRY_DELAY_S if self.retry_max_delay_s is None else self.retry_max_delay_s
        try:
            delay_s = self.retry_delay_s * self.retry_backoff ** (try_number - 1)
        except OverflowError:
            delay_s = greatest_s if self.retry_delay_s else 0.0
        return min(delay_s, greatest_s, LONGEST_RETRY_DELAY_S)


class WorkflowGraph:
    """The tasks of a workflow and which of their rules listen to which key."""

    def __init__(
        self, namespace: str, name: str, tasks: tuple[Task, ...], description: Mapping[str, Any]
    ) -> None:
        self.namespace = namespace
        self.name = name
        self.tasks: Mapping[str, Task] = {task.name: task for task in tasks}
        #: The data that it was parsed from: what a task process checks itself against.
        self.description = description
        self.status_keys = {task.name: status_key(namespace, name, task.name) for task in tasks}
        self._task_of_status_key = {key: name for name, key in self.status_keys.items()}
        self._listeners: dict[str, dict[str, list[Rule]]] = {}
        for task, rule in self._in_evaluation_order(tasks):
            for key in rule.condition.keys:
                self._listeners.setdefault(key, {}).setdefault(task.name, []).append(rule)

    def rules_for(self, key: str) -> Mapping[str, list[Rule]]:
        """Return the rules that listen to ``key`` by task, tasks in definition order."""
        return self._listeners.get(key, {})

    def listened_keys(self) -> Iterator[str]:
        """Yield every key that some rule listens to."""
        return iter(self._listeners)

    def task_of_status_key(self, key: str) -> str | None:
        """Return the task of this workflow whose status changes have ``key``; None for a custom event."""
        return self._task_of_status_key.get(key)

    @staticmethod
    def _in_evaluation_order(tasks: tuple[Task, ...]) -> Iterator[tuple[Task, Rule]]:
        for task in tasks:
            for rule in task.rules:
                yield task, rule


def parse_graph(description: Mapping[str, Any]) -> WorkflowGraph:
    """Build the graph of a description; raise ``UnknownGraphFormatError`` for a format of another version."""
    if description.get("format") != GRAPH_FORMAT:
        raise UnknownGraphFormatError(description.get("format"))
    namespace, name = str(description["namespace"]), str(description["name"])
    tasks = tuple(_parse_task(namespace, name, task) for task in description["tasks"])
    return WorkflowGraph(namespace, name, tasks, description)


def parse_condition(description: Mapping[str, Any], namespace: str, workflow: str) -> Condition:
    """Build a condition; ``workflow`` is the one whose tasks a ``status`` condition names."""
    kind = description["type"]
    if kind == "event":
        return OnEvent(description["key"])
    if kind == "task_status":
        return OnTaskStatus(description["key"], TaskStatus(description["status"]))
    if kind == "status":
        expect = {task: TaskStatus(status) for task, status in description["expect"].items()}
        return OnStatuses(expect, tuple(status_key(namespace, workflow, task) for task in expect))
    if kind == "user":
        return OfUser(description["class"], tuple(description["keys"]))
    parts = tuple(parse_condition(part, namespace, workflow) for part in description["conditions"])
    keys = tuple(dict.fromkeys(key for part in parts for key in part.keys))
    if kind == "all":
        return AllOf(description["name"], parts, keys)
    if kind == "any":
        return AnyOf(parts, keys)
    raise ValueError(f"unknown condition type {kind!r}")


def _parse_task(namespace: str, workflow: str, task: Mapping[str, Any]) -> Task:
    return Task(
        name=task["name"],
        kind=task["kind"],
        bash_command=task["bash_command"],
        env=cast("dict[str, str]", task["env"]),
        retries=task["retries"],
        retry_delay_s=task["retry_delay"],
        retry_backoff=task["retry_backoff"],
        retry_max_delay_s=task["retry_max_delay"],
        timeout_s=task["timeout"],
        periodic_expression=task["periodic_expression"],
        rules=tuple(
            Rule(index, TaskAction(rule["action"]), parse_condition(rule["condition"], namespace, workflow))
            for index, rule in enumerate(task["rules"])
        ),
    )
