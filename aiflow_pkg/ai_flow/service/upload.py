# SPDX-License-Identifier: Apache-2.0
"""Turns a loaded workflow file into what the store keeps: a bundle and checked graphs.

What the definition of a workflow cannot see by itself is checked here: that the file defines any, that
their names differ, and that every task has a way to start. Nothing is stored by this module except the
bundle, which means nothing until a snapshot names it.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_flow.common.home import Home
from ai_flow.engine.graph import (
    AllOf,
    AnyOf,
    Condition,
    OnStatuses,
    Task,
    UnknownGraphFormatError,
    WorkflowGraph,
    parse_graph,
)
from ai_flow.model.action import TaskAction
from ai_flow.service.errors import UploadError
from ai_flow.service.loading import LoadedFile, digest_of
from ai_flow.store.bundles import make_bundle
from ai_flow.store.catalog import Bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What is stored of a workflow file."""

    bundle: Bundle
    graphs: Sequence[Mapping[str, Any]]


def make_upload(loaded: LoadedFile, home: Home) -> Upload:
    """Check the workflows of a loaded file and copy its files; raise ``UploadError`` if they cannot run."""
    check_workflows(loaded.workflows, loaded.path)
    path = Path(loaded.path)
    digest, entry = make_bundle(home, path, [Path(file) for file in loaded.files])
    copy = home.snapshots / digest / entry
    if digest_of(copy) != loaded.sha256:
        raise UploadError(loaded.path, f"{loaded.path} was changed while it was being uploaded: try again.")
    bundle = Bundle(
        digest=digest,
        entry=entry,
        imports=loaded.imports,
        python=loaded.python,
        content=_source_text(copy.read_bytes()),
    )
    return Upload(bundle=bundle, graphs=loaded.workflows)


def check_workflows(descriptions: Sequence[Mapping[str, Any]], path: str) -> None:
    """Refuse a file without workflows, two of one name, and tasks that can never start."""
    if not descriptions:
        raise UploadError.no_workflow(path)
    seen: set[str] = set()
    for description in descriptions:
        graph = _parsed(description, path)
        name = f"{graph.namespace}.{graph.name}"
        if name in seen:
            raise UploadError.same_name(path, name)
        seen.add(name)
        stuck = never_startable(graph)
        if stuck:
            waits = [(task.name, " or ".join(_what_starts(graph, task))) for task in stuck]
            raise UploadError.no_way_in(path, name, waits)


def never_startable(graph: WorkflowGraph) -> list[Task]:
    """Return the tasks that neither the workflow's start nor any event can lead to, in definition order.

    The others are a fixpoint: first what starts by itself, periodically or by events from outside; then what
    the changes of those start; and so on.
    """
    reached = {
        task.name
        for task in graph.tasks.values()
        if task.starts_with_execution or task.periodic_expression is not None
    }
    while True:
        more = {
            task.name
            for task in graph.tasks.values()
            if task.name not in reached
            and any(_can_be_met(graph, condition, reached) for condition in _starting_conditions(task))
        }
        if not more:
            return [task for task in graph.tasks.values() if task.name not in reached]
        reached |= more


def _parsed(description: Mapping[str, Any], path: str) -> WorkflowGraph:
    try:
        return parse_graph(description)
    except UnknownGraphFormatError as error:
        raise UploadError(path, f"Cannot upload {path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UploadError(path, f"Cannot upload {path}: its description is damaged: {error!r}.") from error


def _starting_conditions(task: Task) -> Iterator[Condition]:
    return (rule.condition for rule in task.rules if rule.action is not TaskAction.STOP)


def _can_be_met(graph: WorkflowGraph, condition: Condition, reached: set[str]) -> bool:
    match condition:
        case OnStatuses():
            return reached.issuperset(condition.expect)
        case AllOf():
            return all(_can_be_met(graph, part, reached) for part in condition.parts)
        case AnyOf():
            return any(_can_be_met(graph, part, reached) for part in condition.parts)
        case _:
            return any(_can_come(graph, key, reached) for key in condition.keys)


def _can_come(graph: WorkflowGraph, key: str, reached: set[str]) -> bool:
    task = graph.task_of_status_key(key)
    return task is None or task in reached


def _what_starts(graph: WorkflowGraph, task: Task) -> Iterator[str]:
    for condition in _starting_conditions(task):
        upstreams = dict.fromkeys(graph.task_of_status_key(key) or key for key in condition.keys)
        yield " and ".join(f"'{upstream}'" for upstream in upstreams)


def _source_text(source: bytes) -> str:
    """Return the text of a Python file in the encoding that it declares."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        return source.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return source.decode("utf-8", errors="replace")
