# SPDX-License-Identifier: Apache-2.0
"""The append-only log: everything that happens is an event here.

Offsets start at 1, are dense and in commit order: a reader that has seen offset n never finds a new event
at or below n, because an append takes its offsets while it holds the database's only write transaction. An
append may carry (producer, sequence); repeating it returns the events of the first time. Reading below the
events that retention has left raises ``OffsetOutOfRange``.

``append_in`` and ``read_after`` run in the caller's transaction: that is how the scheduler applies events,
changes its state and appends new events in one commit. Who is woken by a commit is no business of this
module (see ``wake``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import cast

from notification_service.appending import AppendWork, Stamps, append
from notification_service.clock import Clock, SystemClock
from notification_service.database.migrations import MigrationSource
from notification_service.database.port import Database, ReadTransaction, WriteTransaction
from notification_service.drafts import Drafts, StoredEvents
from notification_service.errors import OffsetOutOfRange
from notification_service.event_queries import (
    SQL,
    EventQueries,
    affordable_end,
    bounds,
    event_of,
)
from notification_service.event_rules import check_events
from notification_service.model.event import Event
from notification_service.model.event_filter import EventFilter
from notification_service.producers import forget_runs

__all__ = ["LOG_MIGRATIONS", "EventFilter", "EventLog"]

#: The schema of the log, for whoever opens a database.
LOG_MIGRATIONS = MigrationSource("log", "notification_service", "migrations/log")

#: A bulk append commits at least this often, so that nobody else waits longer for the write lock.
SLICE_S = 0.05
_FIRST_SLICE = 10_000
_SMALLEST_SLICE = 100
_SLICE_BYTES = 4 * 1024 * 1024


class EventLog(EventQueries):
    """The log in one database."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        super().__init__(database)
        self._clock = clock or SystemClock()

    def append(
        self, drafts: Sequence[Event], *, producer: str | None = None, sequence: int | None = None
    ) -> list[Event]:
        """Append events and return them with offset and create_time, after they are on disk.

        The i-th draft has the sequence ``sequence + i``. Many drafts are committed in slices of at most 50
        ms; if a later slice fails, the earlier ones are in the log, and a repetition with the same producer
        and sequence adds only what is missing.
        """
        return list(self.append_drafts(check_events(drafts), producer=producer, sequence=sequence))

    def append_drafts(
        self, drafts: Drafts, *, producer: str | None = None, sequence: int | None = None
    ) -> StoredEvents:
        """Append checked events, as ``append`` does."""
        if len(drafts) == 1:
            return StoredEvents(drafts, *self._append_slice(drafts, producer, sequence))
        offsets: list[int] = []
        times: list[int] = []
        size = _FIRST_SLICE
        while len(offsets) < len(drafts):
            part = drafts.part(len(offsets), _slice_end(drafts, len(offsets), size))
            number = None if sequence is None else sequence + len(offsets)
            begin_s = time.monotonic()
            stamps = self._append_slice(part, producer, number)
            affordable = len(part) * 0.8 * SLICE_S / max(time.monotonic() - begin_s, 1e-6)
            size = max(_SMALLEST_SLICE, min(2 * size, int(affordable)))
            offsets += stamps[0]
            times += stamps[1]
        return StoredEvents(drafts, offsets, times)

    def append_in(
        self,
        tx: WriteTransaction,
        drafts: Sequence[Event],
        *,
        now_ms: int,
        producer: str | None = None,
        sequence: int | None = None,
    ) -> list[Event]:
        """Append events inside the caller's write transaction; they are durable when that commits."""
        checked = check_events(drafts)
        return list(StoredEvents(checked, *append(tx, checked, now_ms, producer, sequence)))

    def head(self, tx: ReadTransaction) -> int:
        """Return the offset of the last event that was ever appended, 0 in a new log."""
        return bounds(tx)[1]

    def removed_through(self, tx: ReadTransaction) -> int:
        """Return the offset up to which retention has removed events, 0 when it has not."""
        return bounds(tx)[0]

    def read_after(
        self, tx: ReadTransaction, offset: int, *, limit: int, end_offset: int | None = None
    ) -> list[Event]:
        """Return the events above ``offset`` in order: at most ``limit``, and about 8 MiB of text.

        So a short answer does not mean that the end is reached; an empty one does.
        """
        removed_through, head = bounds(tx)
        if offset < removed_through:
            raise OffsetOutOfRange(offset, removed_through)
        end = min(head if end_offset is None else min(head, end_offset), offset + limit)
        if end <= offset:
            return []
        end = affordable_end(tx, offset, end)
        rows = tx.rows(SQL.read_after, begin_offset=offset, end_offset=end)
        return [event_of(row) for row in rows]

    def remove_through(self, offset: int, *, slice_size: int = 5000) -> int:
        """Remove the events up to ``offset``, oldest first, and return how many there were.

        Which events may go is for the caller to know: none that a cursor has yet to pass.
        """
        removed = 0
        while count := self.database.commit_together(lambda tx: _remove_slice(tx, offset, slice_size)):
            removed += count
        self.database.commit_together(lambda tx: forget_runs(tx, bounds(tx)[0]))
        return removed

    def _append_slice(self, drafts: Drafts, producer: str | None, sequence: int | None) -> Stamps:
        return self.database.commit_together(AppendWork(drafts, producer, sequence, self._clock))


def _slice_end(drafts: Drafts, begin: int, size: int) -> int:
    """Return where the next slice ends: at most ``size`` events and 4 MiB of values, but at least one."""
    values = drafts.values[begin : begin + size]
    if sum(map(len, values)) <= _SLICE_BYTES:
        return begin + len(values)
    total = 0
    for position, value in enumerate(values):
        total += len(value)
        if total > _SLICE_BYTES and position > 0:
            return begin + position
    return begin + len(values)


def _remove_slice(tx: WriteTransaction, offset: int, slice_size: int) -> int:
    removed_through, head = bounds(tx)
    end = min(offset, head, removed_through + slice_size)
    if end <= removed_through:
        return 0
    (last_ms,) = cast("tuple[int]", tx.row(SQL.create_time_at, offset=end))
    tx.execute(SQL.raise_floor, removed_through=end, last_create_time=last_ms)
    return tx.execute(SQL.remove_through, begin_offset=removed_through, end_offset=end)
