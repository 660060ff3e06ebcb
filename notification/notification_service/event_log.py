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

from notification_service.clock import Clock, SystemClock
from notification_service.database.migrations import MigrationSource
from notification_service.database.port import Database, ReadTransaction, WriteTransaction
from notification_service.errors import OffsetOutOfRange, SequenceConflictError
from notification_service.event_queries import (
    SQL,
    EventFilter,
    EventQueries,
    affordable_end,
    bounds,
    event_of,
)
from notification_service.event_rules import check_events, stamp
from notification_service.model.event import Event
from notification_service.producers import Placement, forget_runs, place, record

__all__ = ["LOG_MIGRATIONS", "EventFilter", "EventLog"]

#: The schema of the log, for whoever opens a database.
LOG_MIGRATIONS = MigrationSource("log", "notification_service", "migrations/log")

#: A bulk append commits at least this often, so that nobody else waits longer for the write lock.
SLICE_S = 0.05
_FIRST_SLICE = 2000
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
        check_events(drafts)
        stored: list[Event] = []
        size = _FIRST_SLICE
        while len(stored) < len(drafts):
            part = _slice_of(drafts, len(stored), size)
            begin_s = time.monotonic()
            stored += self._append_slice(part, producer, None if sequence is None else sequence + len(stored))
            affordable = len(part) * 0.8 * SLICE_S / max(time.monotonic() - begin_s, 1e-6)
            size = max(_SMALLEST_SLICE, min(2 * size, int(affordable)))
        return stored

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
        check_events(drafts)
        return _append(tx, drafts, now_ms, producer, sequence)

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

    def _append_slice(
        self, drafts: Sequence[Event], producer: str | None, sequence: int | None
    ) -> list[Event]:
        return self.database.commit_together(
            lambda tx: _append(tx, drafts, self._clock.now_ms(), producer, sequence),
        )


def _append(
    tx: WriteTransaction, drafts: Sequence[Event], now_ms: int, producer: str | None, sequence: int | None
) -> list[Event]:
    removed_through, last_offset, last_ms = cast("tuple[int, int | None, int]", tx.row(SQL.lock_head))
    head = removed_through if last_offset is None else last_offset
    if producer is not None and sequence is not None and drafts:
        placement = place(tx, producer, sequence, len(drafts), removed_through)
        if placement.known:
            return _append_missing(tx, drafts, now_ms, producer, sequence, placement)
        record(tx, producer, sequence, len(drafts), head + 1, placement)
    return _insert(tx, drafts, head, stamp(len(drafts), now_ms=now_ms, last_ms=last_ms), now_ms)


def _insert(
    tx: WriteTransaction, drafts: Sequence[Event], head: int, times: list[int], now_ms: int
) -> list[Event]:
    stored = [
        Event(d.key, d.value or "", d.namespace or "", d.sender or "", d.context or "", create_time, offset)
        for offset, (d, create_time) in enumerate(zip(drafts, times, strict=True), head + 1)
    ]
    rows = [
        (
            e.offset,
            e.key,
            e.value,
            e.namespace or None,
            e.sender or None,
            e.context or None,
            e.create_time,
            now_ms,
        )
        for e in stored
    ]
    tx.execute_many(SQL.append_event, rows)
    return stored


def _append_missing(
    tx: WriteTransaction,
    drafts: Sequence[Event],
    now_ms: int,
    producer: str,
    sequence: int,
    placement: Placement,
) -> list[Event]:
    """Return what is in the log already and append the rest one by one: the rare way."""
    stored: list[Event] = []
    for number, draft in enumerate(drafts, sequence):
        offset = placement.known.get(number)
        if offset is None:
            stored += _append(tx, [draft], now_ms, producer, number)
        else:
            stored.append(_stored_before(tx, draft, producer, number, offset))
    return stored


def _stored_before(tx: ReadTransaction, draft: Event, producer: str, sequence: int, offset: int) -> Event:
    event = event_of(tx.rows(SQL.read_after, begin_offset=offset - 1, end_offset=offset)[0])
    given = (draft.key, draft.value or "", draft.namespace or "", draft.sender or "", draft.context or "")
    if given != (event.key, event.value, event.namespace, event.sender, event.context):
        raise SequenceConflictError(producer, sequence, offset)
    return event


def _slice_of(drafts: Sequence[Event], begin: int, size: int) -> Sequence[Event]:
    """Return the next drafts: at most ``size``, and few enough to hold 4 MiB of values, but at least one."""
    total = 0
    for position in range(begin, min(begin + size, len(drafts))):
        total += len(drafts[position].value or "")
        if total > _SLICE_BYTES and position > begin:
            return drafts[begin:position]
    return drafts[begin : begin + size]


def _remove_slice(tx: WriteTransaction, offset: int, slice_size: int) -> int:
    removed_through, head = bounds(tx)
    end = min(offset, head, removed_through + slice_size)
    if end <= removed_through:
        return 0
    (last_ms,) = cast("tuple[int]", tx.row(SQL.create_time_at, offset=end))
    tx.execute(SQL.raise_floor, removed_through=end, last_create_time=last_ms)
    return tx.execute(SQL.remove_through, begin_offset=removed_through, end_offset=end)
