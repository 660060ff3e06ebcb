# SPDX-License-Identifier: Apache-2.0
"""Opening the store of a home: one database that holds the event log and all metadata."""

from __future__ import annotations

from dataclasses import dataclass

from ai_flow.common.home import Home
from ai_flow.store import catalog
from notification_service.clock import Clock, SystemClock
from notification_service.database.migrations import MigrationSource
from notification_service.database.port import Database
from notification_service.database.sqlite import SqliteDatabase
from notification_service.event_log import LOG_MIGRATIONS, EventLog

#: The schemas of a home's database; each component is numbered for itself.
STORE_MIGRATIONS = (
    LOG_MIGRATIONS,
    MigrationSource("ha", "ai_flow_ha", "migrations"),
    MigrationSource("store", "ai_flow.store", "migrations"),
)


@dataclass(frozen=True, slots=True)
class Store:
    """An open store; close its database when done."""

    database: Database
    log: EventLog
    store_id: str


def open_store(home: Home, clock: Clock | None = None) -> Store:
    """Open the store of ``home``, making what is missing; raise ``DatabaseError`` saying why it cannot."""
    home.make()
    clock = clock or SystemClock()
    database = SqliteDatabase(home.database, migrations=STORE_MIGRATIONS, clock=clock)
    with database.read() as tx:
        store_id = catalog.read_store_id(tx)
    return Store(database, EventLog(database, clock), store_id)
