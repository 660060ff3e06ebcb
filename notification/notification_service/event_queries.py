# SPDX-License-Identifier: Apache-2.0
"""Questions about the log that a person or a client asks: lists, counts, times.

Each answer is about the log up to its head at the moment of asking, and is put together from short
transactions over stretches of offsets, so that not even a scan of a million events holds a snapshot for long.
``create_time`` never decreases along the offsets; looking up a time is a binary search and needs no index.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from notification_service.database.port import Database, ReadTransaction, Row, load_statements
from notification_service.errors import OffsetOutOfRange
from notification_service.model.event import ANY_CONDITION, Event, SenderEventCount

SQL = load_statements(__package__, "event.sql")

#: A page of events holds no more text than this, unless one event alone does.
PAGE_BYTES = 8 * 1024 * 1024

#: How many offsets one query over the log looks at.
SCAN_OFFSETS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events of the log are asked for; None, "" and "*" mean any."""

    key: str | None = None
    namespace: str | None = None
    sender: str | None = None
    begin_offset: int | None = None  # exclusive; None or 0: from the first event that is left
    end_offset: int | None = None  # inclusive; None or 0: to the last event
    begin_time: int | None = None  # events of this create_time (ms) and later

    def texts(self) -> dict[str, str | None]:
        """Return the parameters that compare text."""
        return {"key": _given(self.key), "namespace": _given(self.namespace), "sender": _given(self.sender)}


class EventQueries:
    """The read side of the log in one database, with transactions of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def pages(self, wanted: EventFilter, *, limit: int | None = None) -> Iterator[list[Event]]:
        """Yield the matching events page by page, in order."""
        position, end = self._range_of(wanted)
        left = max(0, end - position) if limit is None else limit
        while position < end and left > 0:
            with self.database.read() as tx:
                stop = affordable_end(tx, position, min(end, position + SCAN_OFFSETS))
                texts = wanted.texts()
                rows = tx.rows(SQL.scan_matching, begin_offset=position, end_offset=stop, limit=left, **texts)
            position = stop
            left -= len(rows)
            if rows:
                yield [event_of(row) for row in rows]

    def list_events(self, wanted: EventFilter, *, limit: int | None = None) -> list[Event]:
        """Return the matching events in order."""
        return [event for page in self.pages(wanted, limit=limit) for event in page]

    def count_events(self, wanted: EventFilter) -> tuple[int, list[SenderEventCount]]:
        """Return how many events match, in all and by sender."""
        counts: dict[str, int] = {}
        position, end = self._range_of(wanted)
        while position < end:
            stop = min(end, position + SCAN_OFFSETS)
            with self.database.read() as tx:
                rows = tx.rows(SQL.count_matching, begin_offset=position, end_offset=stop, **wanted.texts())
            for sender, count in cast("list[tuple[str, int]]", rows):
                counts[sender] = counts.get(sender, 0) + count
            position = stop
        return sum(counts.values()), [SenderEventCount(sender, counts[sender]) for sender in sorted(counts)]

    def time_to_offset(self, time_ms: int) -> int:
        """Return the largest offset with a create_time by ``time_ms``, else where the log begins."""
        with self.database.read() as tx:
            low, high = bounds(tx)
            while low < high:
                middle = (low + high + 1) // 2
                (create_time,) = cast("tuple[int]", tx.row(SQL.create_time_at, offset=middle))
                low, high = (middle, high) if create_time <= time_ms else (low, middle - 1)
            return low

    def _range_of(self, wanted: EventFilter) -> tuple[int, int]:
        with self.database.read() as tx:
            removed_through, head = bounds(tx)
        begin = wanted.begin_offset or removed_through
        if begin < removed_through:
            raise OffsetOutOfRange(begin, removed_through)
        if wanted.begin_time is not None:
            begin = max(begin, self.time_to_offset(wanted.begin_time - 1))
        return begin, min(wanted.end_offset or head, head)


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
    """Build the event of a stored row; unset text is empty there, as it always was on the wire."""
    offset, key, value, namespace, sender, context, create_time = cast(
        "tuple[int, str, str, str | None, str | None, str | None, int]", row
    )
    return Event(key, value, namespace or "", sender or "", context or "", create_time, offset)


def _given(text: str | None) -> str | None:
    return None if text in (None, "", ANY_CONDITION) else text
