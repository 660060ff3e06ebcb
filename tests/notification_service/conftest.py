# SPDX-License-Identifier: Apache-2.0
"""Stores, logs and a running task socket for the tests of the notification service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from notification_service.database.sqlite import SqliteDatabase
from notification_service.event_log import LOG_MIGRATIONS, EventLog
from tests.notification_service.supervisor import Supervisor
from tests.support import ManualClock

OpenLog = Callable[[], EventLog]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "aiflow.db"


@pytest.fixture
def database(store_path: Path) -> Iterator[SqliteDatabase]:
    with SqliteDatabase(store_path, migrations=[LOG_MIGRATIONS]) as opened:
        yield opened


@pytest.fixture
def log(database: SqliteDatabase, clock: ManualClock) -> EventLog:
    return EventLog(database, clock)


@pytest.fixture
def supervisor(database: SqliteDatabase, tmp_path: Path) -> Iterator[Supervisor]:
    running = Supervisor(EventLog(database), tmp_path / "task.sock")
    running.start()
    yield running
    running.stop()
