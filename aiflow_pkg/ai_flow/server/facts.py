# SPDX-License-Identifier: Apache-2.0
"""Facts about snapshots and executions, read once and kept while they are used.

Neither changes in what is kept here: a snapshot never does, and an execution's parameters are fixed at its
start.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

from ai_flow.store import launching
from ai_flow.store.launching import ExecutionFacts, SnapshotFacts
from ai_flow.store.open_store import Store

#: Entries kept of each kind; a snapshot of a thousand tasks takes about a megabyte.
_CAPACITY = 128

_Facts = TypeVar("_Facts")


class Facts:
    """Reads what launching needs, through a small cache."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._snapshots: OrderedDict[int, SnapshotFacts] = OrderedDict()
        self._executions: OrderedDict[int, ExecutionFacts] = OrderedDict()

    def snapshot(self, snapshot_id: int) -> SnapshotFacts:
        """Return a snapshot; raise ``LookupError`` when it is gone."""
        known = self._snapshots.get(snapshot_id)
        if known is None:
            with self._store.database.read() as tx:
                known = launching.read_snapshot(tx, snapshot_id)
            _keep(self._snapshots, snapshot_id, known)
        return known

    def execution(self, execution_id: int) -> ExecutionFacts:
        """Return what is fixed about an execution; its status is the one at the first call."""
        known = self._executions.get(execution_id)
        if known is None:
            with self._store.database.read() as tx:
                known = launching.read_execution(tx, execution_id)
            _keep(self._executions, execution_id, known)
        return known


def _keep(cache: OrderedDict[int, _Facts], key: int, facts: _Facts) -> None:
    cache[key] = facts
    if len(cache) > _CAPACITY:
        cache.popitem(last=False)
