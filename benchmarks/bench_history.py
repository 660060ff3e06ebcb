# SPDX-License-Identifier: Apache-2.0
"""Whether old events and finished executions cost anything: the latency of an event, with and without a past.

    python -m benchmarks.bench_history [--pairs 12] [--events 1000000] [--executions 100000]

Two homes are used in turn, in pairs: one is new, the other holds the past. Printed are the median of both,
the median ratio of the pairs, and the interval that holds the middle 80 % of the ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import apsw

from ai_flow.common.home import Home
from ai_flow.store.open_store import open_store
from benchmarks.bench_run import event_latencies, run_file
from benchmarks.workloads import write_workflow
from notification_service.model.event import Event

_ONE_TASK = 'with Workflow(name="past") as workflow:\n    BashOperator("task", "true")\n'
_BATCH = 10_000


def fill(home: Path, directory: Path, events: int, executions: int) -> None:
    """Give a home a past: finished executions with their tasks, attempts and evaluations, and old events."""
    run_file(home, write_workflow(directory, "past", _ONE_TASK))
    store = open_store(Home(home))
    try:
        for begin in range(0, events, _BATCH):
            store.log.append([_old_event(number) for number in range(begin, min(begin + _BATCH, events))])
    finally:
        store.database.close()
    connection = apsw.Connection(str(home / "aiflow.db"))
    try:
        with connection:
            connection.execute(_COPY_EXECUTIONS, {"count": executions})
            connection.execute(_COPY_TASKS)
            connection.execute(_COPY_ATTEMPTS)
            connection.execute(_COPY_EVALUATIONS)
    finally:
        connection.close()


def main() -> None:
    """Fill one home, measure both in turn, print the comparison."""
    parser = argparse.ArgumentParser(description="Latency with and without a past, in interleaved pairs")
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--count", type=int, default=60, help="events per measurement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aiflow-bench-") as place:
        directory = Path(place)
        new, old = directory / "new", directory / "old"
        began = time.monotonic()
        fill(old, directory, options.events, options.executions)
        size_mb = (old / "aiflow.db").stat().st_size / 1e6
        print(
            f"filled with {options.events:,} events and {options.executions:,} executions: {size_mb:.0f} MB, "
            f"{time.monotonic() - began:.0f} s",
            flush=True,
        )
        pairs: list[tuple[float, float]] = []
        for number in range(options.pairs + 1):
            order = (new, old) if number % 2 == 0 else (old, new)
            measured = {home: event_latencies(directory, home, options.count)[0] for home in order}
            if number > 0:  # the first pair warms the caches of both
                pairs.append((measured[new], measured[old]))
                print(
                    f"  pair {number}: new {measured[new] * 1000:.2f} ms, old {measured[old] * 1000:.2f} ms",
                    flush=True,
                )
    ratios = sorted(old_s / new_s for new_s, old_s in pairs)
    tenth = len(ratios) // 10
    print(
        f"median: new {statistics.median(new_s for new_s, _ in pairs) * 1000:.2f} ms, "
        f"with a past {statistics.median(old_s for _, old_s in pairs) * 1000:.2f} ms; "
        f"median ratio {statistics.median(ratios):.3f}, middle 80 % of {len(ratios)} pairs "
        f"{ratios[tenth]:.3f} to {ratios[-1 - tenth]:.3f} (aim: below 1.10)"
    )


def _old_event(number: int) -> Event:
    event = Event(f"key{number % 1000}", f"value {number}")
    event.namespace = "default"
    event.sender = "past"
    event.context = json.dumps({"workflow_execution_id": 1})
    return event


_COPY_EXECUTIONS = """
WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
INSERT INTO workflow_execution (
    id, workflow_id, snapshot_id, run_type, status, owner, params, created_offset, begin_at, end_at
)
SELECT n.i, e.workflow_id, e.snapshot_id, e.run_type, 'SUCCESS', e.owner, e.params,
       e.created_offset, e.begin_at, e.end_at
FROM n, workflow_execution AS e WHERE e.id = 1
"""
_COPY_TASKS = """
INSERT INTO task_execution (
    workflow_execution_id, task_name, sequence_number, status, try_number, begin_at, end_at, then_start
)
SELECT e.id, 'task', 1, 'SUCCESS', 1, e.begin_at, e.end_at, 0 FROM workflow_execution AS e WHERE e.id > 1
"""
_COPY_ATTEMPTS = """
INSERT INTO attempt (
    id, workflow_execution_id, task_name, sequence_number, try_number, owner, claimed_by, claimed_at, outcome,
    finished_at
)
SELECT lower(hex(randomblob(16))), e.id, 'task', 1, 1, e.owner, e.owner, e.begin_at, 'SUCCESS', e.end_at
FROM workflow_execution AS e WHERE e.id > 1
"""
_COPY_EVALUATIONS = """
INSERT INTO evaluation (
    scope_kind, scope_id, task_name, rule_index, event_offset, last_offset, event_count, verdict, evaluated_at
)
SELECT 'execution', e.id, 'task', 0, 1, 1, 1, 'no', e.begin_at FROM workflow_execution AS e WHERE e.id > 1
"""

if __name__ == "__main__":
    main()
