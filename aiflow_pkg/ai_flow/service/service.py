# SPDX-License-Identifier: Apache-2.0
"""The whole service over one open store: what the CLI, ``ai_flow.ops`` and the servers are thin on.

An operation is named ``<kind>.<verb>``, such as ``workflows.get``; ``call`` finds it by that name, for
whoever has it as text. All operations may be called from several threads.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from ai_flow.common.home import Home
from ai_flow.service.errors import InvalidArgumentError
from ai_flow.service.namespaces import Namespaces
from ai_flow.service.operations import Operations
from ai_flow.service.snapshots import Snapshots
from ai_flow.service.task_executions import TaskExecutions
from ai_flow.service.triggers import Triggers
from ai_flow.service.workflow_executions import WorkflowExecutions
from ai_flow.service.workflows import Workflows
from ai_flow.store.open_store import Store, open_store
from notification_service.clock import Clock, SystemClock


class Service:
    """The operations, by the kind of thing that they are about."""

    def __init__(self, store: Store, home: Home, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self.namespaces = Namespaces(store, home, clock)
        self.workflows = Workflows(store, home, clock)
        self.snapshots = Snapshots(store, home, clock)
        self.workflow_executions = WorkflowExecutions(store, home, clock)
        self.task_executions = TaskExecutions(store, home, clock)
        self.triggers = Triggers(store, home, clock)

    def call(self, method: str, arguments: Mapping[str, Any]) -> Any:
        """Call the operation of that name; raise ``InvalidArgumentError`` when none fits."""
        kind, _, verb = method.partition(".")
        operations = vars(self).get(kind)
        function = vars(type(operations)).get(verb)
        is_operation = isinstance(operations, Operations) and not verb.startswith("_")
        if not is_operation or not isinstance(function, FunctionType):
            raise InvalidArgumentError("method", method, "an operation such as 'workflows.get'")
        try:
            bound = inspect.signature(function).bind(operations, **arguments)
        except TypeError:
            raise InvalidArgumentError("arguments", sorted(arguments), f"those of {method}") from None
        return function(*bound.args, **bound.kwargs)


@contextmanager
def open_service(home: Home, clock: Clock | None = None) -> Generator[Service, None, None]:
    """Open the store of ``home`` for some operations."""
    store = open_store(home, clock)
    try:
        yield Service(store, home, clock)
    finally:
        store.database.close()
