# SPDX-License-Identifier: Apache-2.0
"""What the operations on all kinds of things share: the open store, looking up a workflow, the clock."""

from __future__ import annotations

from ai_flow.common.home import Home
from ai_flow.service.arguments import checked_text
from ai_flow.service.errors import NotFoundError
from ai_flow.store import catalog, world_store
from ai_flow.store.catalog import WorkflowRow
from ai_flow.store.commands import Commands
from ai_flow.store.open_store import Store
from notification_service.clock import Clock
from notification_service.database.port import ReadTransaction


class Operations:
    """Operations on one kind of thing; every public method of a subclass may be called from outside.

    A writing method is one transaction: when it returns, what it did is durable; when it raises, nothing
    was changed.
    """

    def __init__(self, store: Store, home: Home, clock: Clock) -> None:
        self._database = store.database
        self._log = store.log
        self._home = home
        self._clock = clock
        self._commands = Commands(store.log)

    def _workflow(self, tx: ReadTransaction, name: str, namespace: str) -> WorkflowRow:
        """Return a workflow; raise ``NotFoundError`` when there is none of that name."""
        checked_text("workflow_name", name)
        checked_text("namespace", namespace)
        workflow = catalog.find_workflow(tx, namespace, name)
        if workflow is None:
            raise NotFoundError("Workflow", f"{namespace}.{name}")
        return workflow


def event_offset(tx: ReadTransaction) -> int:
    """Return the offset up to which every event has been taken into account; -1 when none has."""
    return world_store.read_cursor(tx) or -1
