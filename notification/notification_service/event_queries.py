# SPDX-License-Identifier: Apache-2.0
"""Questions about the log that a person or a client asks: lists, counts, times.

Each answer is about the log up to its head at the moment of asking, and is put together from short
transactions over stretches of offsets, so that not even a scan of a million events holds a snapshot for long.
``create_time`` never decreases along the offsets; looking up a time is a binary search and needs no index.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from notification_service.database.port import Database, ReadTransaction, Row, load_statements
from notification_service.errors import OffsetOutOfRange
from notification_service.model.event import Event, SenderEventCount
from notification_service.model.event_filter import EventFilter

SQL = load_statements(__package__, "event.sql")

#: A page of events holds no more text than this, unless one event alone does.
PAGE_BYTES = 8 * 1024 * 1024

#: How many offsets one query over the log looks at.
SCAN_OFFSETS = 20_000


class EventQueries:
    """The read side of the log in one database, with transactions of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def pages(self, wanted: EventFilter, *, limit: int | None = None) -> Iterator[list[Event]]:
        """Yield the matching events page by page, in order."""
        wanted = self.bounded(wanted)
        while wanted.begin_offset != wanted.end_offset and limit != 0:
            events, position = self.page(wanted, limit=limit)
            wanted = replace(wanted, begin_offset=position)
            limit = None if limit is None else limit - len(events)
            if events:
                yield events

    def list_events(self, wanted: EventFilter, *, limit: int | None = None) -> list[Event]:
        """Return the matching events in order."""
        return [event for page in self.pages(wanted, limit=limit) for event in page]

    def count_events(self, wanted: EventFilter) -> tuple[int, list[SenderEventCount]]:
        """Return how many events match, in all and by sender."""
        counts: dict[str, int] = {}
        wanted = self.bounded(wanted)
        while wanted.begin_offset != wanted.end_offset:
            found, position = self.count_page(wanted)
            for sender, count in found.items():
                counts[sender] = counts.get(sender, 0) + count
            wanted = replace(wanted, begin_offset=position)
        return sum(counts.values()), [SenderEventCount(sender, counts[sender]) for sender in sorted(counts)]

    def bounded(self, wanted: EventFilter) -> EventFilter:
        """Turn times and open ends into offsets of the log as it is now, for ``page`` and ``count_page``."""
        with self.database.read() as tx:
            removed_through, head = bounds(tx)
        begin = wanted.begin_offset or removed_through
        if begin < removed_through:
            raise OffsetOutOfRange(begin, removed_through)
        if wanted.begin_time is not None:
            begin = max(begin, self.time_to_offset(wanted.begin_time - 1))
        end = max(begin, min(wanted.end_offset or head, head))
        return replace(wanted, begin_offset=begin, end_offset=end, begin_time=None)

    def page(
        self, wanted: EventFilter, *, limit: int | None = None, scan: int = SCAN_OFFSETS
    ) -> tuple[list[Event], int]:
        """Look at the next ``scan`` offsets of a bounded filter: what matches, and the offset reached."""
        begin, end = wanted.begin_offset or 0, wanted.end_offset or 0
        with self.database.read() as tx:
            end = affordable_end(tx, begin, min(end, begin + scan))
            count = scan if limit is None else limit
            rows = tx.rows(
                SQL.scan_matching, begin_offset=begin, end_offset=end, limit=count, **wanted.texts()
            )
        return [event_of(row) for row in rows], end

    def count_page(self, wanted: EventFilter, *, scan: int = SCAN_OFFSETS) -> tuple[dict[str, int], int]:
        """Count by sender what matches a bounded filter in the next ``scan`` offsets."""
        begin, end = wanted.begin_offset or 0, wanted.end_offset or 0
        end = min(end, begin + scan)
        with self.database.read() as tx:
            rows = tx.rows(SQL.count_matching, begin_offset=begin, end_offset=end, **wanted.texts())
        return dict(cast("list[tuple[str, int]]", rows)), end

    def time_to_offset(self, time_ms: int) -> int:
        """Return the largest offset with a create_time by ``time_ms``, else where the log begins."""
        with self.database.read() as tx:
            low, high = bounds(tx)
            while low < high:
                middle = (low + high + 1) // 2
                (create_time,) = cast("tuple[int]", tx.row(SQL.create_time_at, offset=middle))
                low, high = (middle, high) if create_time <= time_ms else (low, middle - 1)
            return low


def bounds(tx: ReadTransaction) -> tuple[int, int]:
    """Return the offset up to which events were removed, and the last offset."""
    removed_through, last = cast("tuple[int, int | None]", tx.row(SQL.read_bounds))
    return removed_through, removed_through if last is None else last


def affordable_end(tx: ReadTransaction, begin: int, end: int) -> int:
    """Move ``end`` back until the page fits into memory; sizes are read without their texts."""
    while end - begin > 1:
        (size,) = cast("tuple[int]", tx.row(SQL.measure_after, begin_offset=begin, end_offset=end))
        if size <= PAGE_BYTES:
            break
        end = begin + (end - begin) // 2
    return end


def event_of(row: Row) -> Event:
    """Build the event of a stored row."""
    offset, key, value, namespace, sender, context, create_time = cast(
        "tuple[int, str, str, str, str, str, int]", row
    )
    return Event(key, value, namespace, sender, context, create_time, offset)
