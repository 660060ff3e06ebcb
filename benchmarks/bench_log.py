# SPDX-License-Identifier: Apache-2.0
"""The event log beside raw SQLite: ``python -m benchmarks.bench_log [-d DIRECTORY]``.

Raw is apsw with the same durability (WAL, ``synchronous=FULL``) inserting rows of the same columns into a
bare table, with no index, numbering, idempotence or wake-up. Aims: one sender within 1.3 times of it; eight
threads at least five times as fast as one where a raw insert takes 0.3 ms or more; bulks at two thirds of
its speed or better. The last table is the time from a commit in one process until a listener in another has
the event.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import apsw

from benchmarks.harness import Pairs, interleave, percentile, print_table
from notification_service.client.embedded_notification_client import EmbeddedNotificationClient
from notification_service.client.notification_client import ListenerProcessor
from notification_service.model.event import Event

_TABLE = """
CREATE TABLE event (
    offset INTEGER PRIMARY KEY, key TEXT, value TEXT, namespace TEXT, sender TEXT, context TEXT,
    create_time INTEGER, appended_at INTEGER
) STRICT
"""
_INSERT = """
INSERT INTO event (key, value, namespace, sender, context, create_time, appended_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_CONTEXT = '{"workflow_execution_id": 1}'


class Raw:
    """The bare table."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))
        self._connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
        self._connection.execute(_TABLE)

    def insert(self, count: int) -> None:
        """Insert so many rows with a commit each."""
        for number in range(count):
            self._connection.execute(_INSERT, ("key", "value", "default", "bench", _CONTEXT, number, number))

    def insert_bulk(self, size: int) -> None:
        """Insert so many rows with one commit."""
        rows = [("key", "value", "default", "bench", _CONTEXT, number, number) for number in range(size)]
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(_INSERT, rows)
        self._connection.execute("COMMIT")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "-d", "--directory", help="where to put the stores; it decides how long an fsync takes"
    )
    parser.add_argument("--pairs", type=int, default=30, help="how many pairs to take per figure")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        uri = f"sqlite:///{directory}/aiflow.db"
        raw = Raw(Path(directory, "raw.db"))
        client = EmbeddedNotificationClient(uri, namespace="default", sender="bench")
        _measure_appends(client, raw, arguments.pairs)
        _measure_bulks(client, raw, arguments.pairs)
        client.close()
        _measure_wake_up(uri)


def _measure_appends(client: EmbeddedNotificationClient, raw: Raw, pairs: int) -> None:
    one = interleave(lambda: _send(client, 50), lambda: raw.insert(50), pairs=pairs)
    many = interleave(lambda: _send_from_threads(client, 8, 50), lambda: _send(client, 50), pairs=pairs)
    speed_up = Pairs(ours_s=[8 * s for s in many.raw_s], raw_s=many.ours_s)
    print_table(
        ["append", "each", "beside", "ratio", "95 %", "aim"],
        [
            ["1 thread", _us(one.ours_s, 50), f"raw {_us(one.raw_s, 50)}", *_ratio(one), "<= 1.3"],
            [
                "8 threads",
                _us(many.ours_s, 400),
                f"1 thread {_us(many.raw_s, 50)}",
                *_ratio(speed_up),
                ">= 5 times",
            ],
        ],
    )
    print()


def _measure_bulks(client: EmbeddedNotificationClient, raw: Raw, pairs: int) -> None:
    rows: list[list[str]] = []
    for size in (10, 100, 1000, 10_000):
        measured = interleave(
            lambda size=size: _send_bulk(client, size), lambda size=size: raw.insert_bulk(size), pairs=pairs
        )
        speed = Pairs(ours_s=measured.raw_s, raw_s=measured.ours_s)
        ours, beside = _us(measured.ours_s, size), f"raw {_us(measured.raw_s, size)}"
        rows.append([f"{size:,} at once", ours, beside, *_ratio(speed), ">= 0.67"])
    print_table(["bulk", "each", "beside", "speed", "95 %", "aim"], rows)
    print()


def _send(client: EmbeddedNotificationClient, count: int) -> None:
    for _ in range(count):
        client.send_event(Event("key", "value", context=_CONTEXT))


def _send_bulk(client: EmbeddedNotificationClient, size: int) -> None:
    client.send_events([Event("key", "value", context=_CONTEXT) for _ in range(size)])


def _send_from_threads(client: EmbeddedNotificationClient, threads: int, count: int) -> None:
    running = [threading.Thread(target=_send, args=(client, count)) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


_SENDER = """
import sys, time
from notification_service.client.embedded_notification_client import EmbeddedNotificationClient
from notification_service.model.event import Event

client = EmbeddedNotificationClient(sys.argv[1])
for number in range(int(sys.argv[2])):
    time.sleep(0.02 + 0.0007 * (number % 17))
    client.send_event(Event("wake", str(number)))
    print(time.monotonic(), flush=True)
"""


class _Arrivals(ListenerProcessor):
    def __init__(self) -> None:
        self.at_s: list[float] = []

    def process(self, events: list[Event]) -> None:
        self.at_s += itertools.repeat(time.monotonic(), len(events))


def _measure_wake_up(uri: str, count: int = 200) -> None:
    client = EmbeddedNotificationClient(uri)
    head = client.count_events()[0]
    arrivals = _Arrivals()
    client.register_listener(arrivals, ["wake"], offset=head)
    command = [sys.executable, "-c", _SENDER, uri, str(count)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    while len(arrivals.at_s) < count:
        time.sleep(0.01)
    client.close()
    # The sender reads the clock a little after its commit, so a quick listener can seem to be early.
    waits_ms = [1000 * (at - float(sent)) for at, sent in zip(arrivals.at_s, printed, strict=True)]
    figures = [f"{percentile(waits_ms, percent):.2f} ms" for percent in (50, 90, 99)]
    print_table(["other process: send returned to listener called", "p50", "p90", "p99"], [["", *figures]])


def _us(times_s: list[float], count: int) -> str:
    return f"{percentile(times_s, 50) / count * 1e6:.1f} us"


def _ratio(pairs: Pairs) -> tuple[str, str]:
    low, high = pairs.interval
    return f"{pairs.ratio:.2f}", f"{low:.2f}-{high:.2f}"


if __name__ == "__main__":
    main()
