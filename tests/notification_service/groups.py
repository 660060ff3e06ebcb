# SPDX-License-Identifier: Apache-2.0
"""Calls on several threads, made to share one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable

from notification_service.database.port import Database, WriteTransaction


def run_all(calls: list[Callable[[], object]]) -> list[object]:
    """Run the calls on a thread each and return what they returned or raised."""
    results: list[object] = [None] * len(calls)

    def run(position: int) -> None:
        try:
            results[position] = calls[position]()
        except Exception as error:
            results[position] = error

    threads = [threading.Thread(target=run, args=(position,)) for position in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Gate:
    """A work that holds the transaction until it is opened, so that the works behind it become one group."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, tx: WriteTransaction) -> None:
        self.entered.set()
        assert self.opened.wait(10)


def run_as_group(database: Database, calls: list[Callable[[], object]]) -> list[object]:
    """Let calls that commit together wait behind a gate, so that they ride one transaction."""
    gate = Gate()
    arrived = threading.Barrier(len(calls) + 1)
    holder = threading.Thread(target=lambda: database.commit_together(gate))
    holder.start()
    assert gate.entered.wait(10)

    def call(inner: Callable[[], object]) -> Callable[[], object]:
        def run() -> object:
            arrived.wait()
            return inner()

        return run

    results: list[object] = []
    group = threading.Thread(target=lambda: results.extend(run_all([call(inner) for inner in calls])))
    group.start()
    arrived.wait()
    gate.opened.set()
    holder.join()
    group.join()
    return results
