# SPDX-License-Identifier: Apache-2.0
"""Appending events inside a write transaction, one caller's or those of many threads at once.

An append locks the head of the log, places its sequences and inserts its rows. Appends of several threads
that share a commit share these steps, too: the numbers of one producer's threads then make one run, and a
group of eight costs little more than one. Whatever is not plainly new (a repetition, a conflict) is left to
be run alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import ClassVar, cast

from notification_service.clock import Clock
from notification_service.database.group_commit import RUN_ALONE, Combine
from notification_service.database.port import ReadTransaction, WriteTransaction
from notification_service.drafts import Drafts, StoredEvents
from notification_service.errors import NotificationError, SequenceConflictError
from notification_service.event_queries import SQL, event_of
from notification_service.event_rules import stamp
from notification_service.producers import Placement, place, record

#: The offsets and the times of some events.
Stamps = tuple[Sequence[int], Sequence[int]]


class AppendWork:
    """One caller's append, as a work for ``commit_together``."""

    __slots__ = ("clock", "drafts", "producer", "sequence")

    combine: ClassVar[Combine]

    def __init__(self, drafts: Drafts, producer: str | None, sequence: int | None, clock: Clock) -> None:
        self.drafts = drafts
        self.producer = producer
        self.sequence = sequence
        self.clock = clock

    def __call__(self, tx: WriteTransaction) -> Stamps:
        return append(tx, self.drafts, self.clock.now_ms(), self.producer, self.sequence)


def append(
    tx: WriteTransaction, drafts: Drafts, now_ms: int, producer: str | None, sequence: int | None
) -> Stamps:
    """Append some drafts in the caller's transaction, or find those that are there from before."""
    count = len(drafts)
    removed_through, head, last_ms = _lock_head(tx)
    if producer is not None and sequence is not None and count:
        placement = place(tx, producer, sequence, count, removed_through)
        if placement.known:
            return _append_missing(tx, drafts, now_ms, producer, sequence, placement)
        record(tx, producer, sequence, count, head + 1, placement)
    times = stamp(count, now_ms=now_ms, last_ms=last_ms)
    return _insert(tx, drafts, head, times, now_ms), times


def _lock_head(tx: WriteTransaction) -> tuple[int, int, int]:
    """Return the floor of the log, its last offset and its last create_time, and let nobody else append."""
    removed_through, last_offset, last_ms = cast("tuple[int, int | None, int]", tx.row(SQL.lock_head))
    return removed_through, removed_through if last_offset is None else last_offset, last_ms


def _insert(
    tx: WriteTransaction, drafts: Drafts, head: int, times: Sequence[int], now_ms: int
) -> Sequence[int]:
    offsets = range(head + 1, head + 1 + len(drafts))
    tx.execute_many(SQL.append_event, list(zip(offsets, *drafts.columns(), times, repeat(now_ms))))
    return offsets


def _append_missing(
    tx: WriteTransaction, drafts: Drafts, now_ms: int, producer: str, sequence: int, placement: Placement
) -> Stamps:
    """Find what is in the log already and append the rest one by one: the rare way."""
    offsets: list[int] = []
    times: list[int] = []
    for position in range(len(drafts)):
        draft, number = drafts.part(position, position + 1), sequence + position
        offset = placement.known.get(number)
        if offset is None:
            stamps = append(tx, draft, now_ms, producer, number)
        else:
            stamps = _find_stamps(tx, draft, producer, number, offset)
        offsets += stamps[0]
        times += stamps[1]
    return offsets, times


def _find_stamps(tx: ReadTransaction, draft: Drafts, producer: str, sequence: int, offset: int) -> Stamps:
    event = event_of(tx.rows(SQL.read_after, begin_offset=offset - 1, end_offset=offset)[0])
    (given,) = StoredEvents(draft, [offset], [event.create_time or 0])
    if event != given:
        raise SequenceConflictError(producer, sequence, offset)
    return [offset], [event.create_time or 0]


def _append_together(tx: WriteTransaction, works: Sequence[AppendWork]) -> list[object]:
    """Append what is plainly new of all works at once; return the stamps of each, or ``RUN_ALONE``."""
    removed_through, head, last_ms = _lock_head(tx)
    now_ms = works[0].clock.now_ms()
    results: dict[AppendWork, object] = dict.fromkeys(works, RUN_ALONE)
    accepted: list[AppendWork] = []
    begin = head
    for stretch in _stretches(works):
        count = sum(len(work.drafts) for work in stretch)
        if _record_new(tx, stretch[0], count, begin + 1, removed_through):
            accepted += stretch
            begin += count
    if not accepted:
        return [results[work] for work in works]
    drafts = Drafts.joined([work.drafts for work in accepted])
    times = stamp(len(drafts), now_ms=now_ms, last_ms=last_ms)
    offsets = _insert(tx, drafts, head, times, now_ms)
    position = 0
    for work in accepted:
        end = position + len(work.drafts)
        results[work] = offsets[position:end], times[position:end]
        position = end
    return [results[work] for work in works]


AppendWork.combine = staticmethod(cast(Combine, _append_together))


def _stretches(works: Sequence[AppendWork]) -> Iterator[list[AppendWork]]:
    """Group the works whose sequences follow each other; works of several threads have no order to keep."""
    stretch: list[AppendWork] = []
    following = -1
    for work in sorted(works, key=lambda work: (work.producer or "", work.sequence or 0)):
        numbered = work.producer is not None and work.sequence is not None
        if stretch and not (numbered and work.producer == stretch[0].producer and work.sequence == following):
            yield stretch
            stretch = []
        stretch.append(work)
        following = (work.sequence or 0) + len(work.drafts)
    yield stretch


def _record_new(
    tx: WriteTransaction, first: AppendWork, count: int, first_offset: int, removed_through: int
) -> bool:
    """Note the run of a stretch that begins with ``first``; False if any of it may be in the log already."""
    if first.producer is None or first.sequence is None:
        return True
    try:
        placement = place(tx, first.producer, first.sequence, count, removed_through)
    except NotificationError:
        return False  # run alone, the work that this is about gets the error
    if placement.known:
        return False
    record(tx, first.producer, first.sequence, count, first_offset, placement)
    return True
