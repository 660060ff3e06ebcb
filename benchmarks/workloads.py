# SPDX-License-Identifier: Apache-2.0
"""Workflow files that the benchmarks run, and the raw limits that they are measured against."""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import apsw

HEAD = """\
import os, time
from ai_flow.model.action import TaskAction
from ai_flow.model.workflow import Workflow
from ai_flow.notification.notification_client import AIFlowNotificationClient
from ai_flow.operators.bash import BashOperator
from ai_flow.operators.python import PythonOperator
"""

INDEPENDENT_BASH = """
with Workflow(name="independent_bash") as workflow:
    for number in range({count}):
        BashOperator(f"task{{number}}", "true")
"""

CHAIN = """
with Workflow(name="chain") as workflow:
    last = None
    for number in range({count}):
        task = BashOperator(f"task{{number}}", "true")
        if last is not None:
            task.start_after(last)
        last = task
"""

TINY_PYTHON_CHAIN = """
def nothing():
    pass

with Workflow(name="tiny_python") as workflow:
    last = None
    for number in range({count}):
        task = PythonOperator(f"task{{number}}", nothing)
        if last is not None:
            task.start_after(last)
        last = task
"""

INDEPENDENT_PYTHON = """
def nothing():
    pass

with Workflow(name="independent_python") as workflow:
    for number in range({count}):
        PythonOperator(f"task{{number}}", nothing)
"""

#: One receiver per event, so that none is ignored because the last one still lives.
EVENT_LATENCY = """
starts = {starts!r}
sends = {sends!r}

def send():
    client = AIFlowNotificationClient("localhost:50052")
    with open(sends, "a") as file:
        for number in range({count}):
            file.write(f"{{number}} {{time.time():.6f}}\\n")
            file.flush()
            client.send_event(f"tick{{number}}", str(number))
            time.sleep(0.03)

with Workflow(name="event_latency") as workflow:
    sender = PythonOperator("sender", send)
    for number in range({count}):
        receiver = BashOperator(f"receiver{{number}}", f"echo {{number}} $EPOCHREALTIME >> {{starts}}")
        receiver.action_on_event_received(TaskAction.START, f"tick{{number}}")
"""

FIRST_TASK = """
with Workflow(name="first") as workflow:
    BashOperator("first", "echo $EPOCHREALTIME > {started}")
"""

IDLE = """
with Workflow(name="idle") as workflow:
    BashOperator("stream", "exec sleep 600")
"""


def write_workflow(directory: Path, name: str, body: str, **values: object) -> Path:
    """Write one of the workflow files and return its path."""
    path = directory / f"{name}.py"
    path.write_text(HEAD + body.format(**values))
    return path


def bash_seconds(times: int = 30) -> float:
    """Return the median seconds of one plain ``bash -c true``."""
    return _median(_timed(lambda: subprocess.run(["bash", "-c", "true"], check=True)) for _ in range(times))


def bash_two_at_a_time_seconds(count: int) -> float:
    """Return the seconds that ``count`` plain ``bash -c true`` take, two at a time."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return _timed(
            lambda: list(pool.map(lambda _: subprocess.run(["bash", "-c", "true"], check=True), range(count)))
        )


def fork_seconds(times: int = 100) -> float:
    """Return the median seconds of a plain fork whose child ends at once."""
    return _median(_timed(_fork_once) for _ in range(times))


def insert_seconds(directory: Path, times: int = 200) -> float:
    """Return the median seconds of one fsync'd insert into SQLite."""
    connection = apsw.Connection(str(directory / "raw.db"))
    try:
        connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS raw (id INTEGER PRIMARY KEY, value TEXT)")
        insert = "INSERT INTO raw (value) VALUES (?)"
        return _median(_timed(lambda: connection.execute(insert, ("x" * 100,))) for _ in range(times))
    finally:
        connection.close()


def _fork_once() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
