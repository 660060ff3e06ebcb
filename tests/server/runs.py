# SPDX-License-Identifier: Apache-2.0
"""What tests of runs under hard conditions share: writing workflow files, several runs on one home, and
looking at the store from beside.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from ai_flow.common.home import Home
from ai_flow.store.open_store import Store, open_store
from ai_flow.store.progress import Standing, read_standing
from ai_flow_ha.lease import SCHEDULER_LEASE, Lease, LeaseRow
from notification_service.model.event import Event
from tests.examples.program import Finished, HomeOfTest
from tests.support import wait_until

_IMPORTS = """\
import os, sys, time
from ai_flow.model.action import TaskAction
from ai_flow.model.condition import Condition
from ai_flow.model.status import TaskStatus
from ai_flow.model.workflow import Workflow
from ai_flow.notification.notification_client import AIFlowNotificationClient, Event, ListenerProcessor
from ai_flow.operators.bash import BashOperator
from ai_flow.operators.python import PythonOperator
"""
_IMPATIENT = Path(__file__).with_name("impatient.py")


def write(home: HomeOfTest, body: str, name: str = "flow.py") -> Path:
    """Write a workflow file that begins with the usual imports."""
    path = home.scratch / name
    path.write_text(_IMPORTS + textwrap.dedent(body))
    return path


def impatient(home: HomeOfTest, **limits: float) -> HomeOfTest:
    """Return the home with a program that waits less (fields of ``RunOptions``)."""
    return dataclasses.replace(home, command=(sys.executable, str(_IMPATIENT), json.dumps(limits)))


def beside(home: HomeOfTest, name: str, **variables: str) -> HomeOfTest:
    """Return the same home for another run, with an environment and a directory of that run's own."""
    scratch = home.scratch / name
    scratch.mkdir()
    return dataclasses.replace(home, scratch=scratch, variables={**home.variables, **variables})


@contextlib.contextmanager
def store_of(home: HomeOfTest) -> Iterator[Store]:
    """Open the store of a home from beside, as a program of the user would."""
    store = open_store(Home(home.root))
    try:
        yield store
    finally:
        store.database.close()


def events_of(store: Store, key: str) -> list[Event]:
    """Return the events with a key."""
    with store.database.read() as tx:
        head = store.log.head(tx)
        found: list[Event] = []
        while not found or found[-1].offset != head:
            page = store.log.read_after(tx, found[-1].offset or 0 if found else 0, limit=1000)
            if not page:
                break
            found += page
    return [event for event in found if event.key == key]


def lease_of(store: Store) -> LeaseRow:
    """Return who decides."""
    with store.database.read() as tx:
        row = Lease(SCHEDULER_LEASE, "a test").read(tx)
    assert row is not None
    return row


def standing_of(store: Store, execution_id: int) -> Standing:
    """Return how an execution stands."""
    with store.database.read() as tx:
        return read_standing(tx, execution_id)


def task_of(finished: Finished, name: str) -> dict[str, object]:
    """Return what the document says about a task of the only execution."""
    return next(task for task in finished.execution["tasks"] if task["name"] == name)


def wait_for(fact: Callable[[], object], limit_s: float = 30.0) -> None:
    """Wait until a fact holds; runs on a busy machine take their time."""
    wait_until(fact, limit_s)


def peak_rss_mb(pid: int) -> float:
    """Return the most memory that a process has had in use so far."""
    return _from_status(pid, "VmHWM:") / 1024


def rss_mb(pid: int) -> float:
    """Return the memory that a process has in use."""
    return _from_status(pid, "VmRSS:") / 1024


def _from_status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
