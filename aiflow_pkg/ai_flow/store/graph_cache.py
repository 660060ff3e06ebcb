# SPDX-License-Identifier: Apache-2.0
"""The parsed graphs of the snapshots in use.

A snapshot never changes, so a graph is parsed once and is never wrong; many executions of one workflow share
it. A snapshot that is not there although something needs it means that the world is not what the scheduler
believes (``StaleWorldError``).
"""

from __future__ import annotations

import json
from typing import cast

from ai_flow.engine.graph import WorkflowGraph, parse_graph
from notification_service.database.port import ReadTransaction
from notification_service.database.statements import load_statements

SQL = load_statements(__package__, "sql/world.sql")


class StaleWorldError(Exception):
    """A row is not in the form that the scheduler believes it to have; its step must not commit."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not as the scheduler knew it.")


class GraphCache:
    """Parsed graphs of the snapshots in use; a snapshot never changes, so entries are never wrong."""

    #: Graphs kept; beyond that the oldest is dropped and parsed again when needed.
    CAPACITY = 64

    def __init__(self) -> None:
        self._graphs: dict[int, WorkflowGraph] = {}

    def graph(self, tx: ReadTransaction, snapshot_id: int) -> WorkflowGraph:
        """Return the graph of a snapshot, parsed once."""
        graph = self._graphs.get(snapshot_id)
        if graph is None:
            row = tx.row(SQL.snapshot, id=snapshot_id)
            if row is None:
                raise StaleWorldError(f"Snapshot {snapshot_id}")
            graph = parse_graph(json.loads(cast("str", row[0])))
            while len(self._graphs) >= self.CAPACITY:
                del self._graphs[next(iter(self._graphs))]
            self._graphs[snapshot_id] = graph
        return graph
