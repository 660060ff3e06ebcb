# SPDX-License-Identifier: Apache-2.0
"""The log: offsets, times, idempotence, queries and retention."""

from __future__ import annotations

import pytest

from notification_service.database.sqlite import SqliteDatabase
from notification_service.errors import (
    InvalidEventError,
    OffsetOutOfRange,
    SequenceConflictError,
    SequenceExpiredError,
)
from notification_service.event_log import EventFilter, EventLog
from notification_service.event_rules import NAME_LIMIT, VALUE_LIMIT, stamp
from notification_service.model.event import Event, SenderEventCount
from tests.notification_service.groups import run_as_group
from tests.support import ManualClock


def events(count: int, key: str = "k") -> list[Event]:
    return [Event(key, str(number)) for number in range(count)]


def read_all(log: EventLog, offset: int = 0) -> list[Event]:
    found: list[Event] = []
    with log.database.read() as tx:
        while page := log.read_after(tx, found[-1].offset or 0 if found else offset, limit=7):
            found += page
    return found


# --- appending


def test_offsets_begin_at_one_and_are_dense(log: EventLog) -> None:
    first = log.append(events(3))
    second = log.append(events(2))

    assert [event.offset for event in first + second] == [1, 2, 3, 4, 5]
    assert read_all(log) == first + second


def test_an_append_returns_what_is_stored_and_leaves_the_drafts_alone(
    log: EventLog, clock: ManualClock
) -> None:
    draft = Event("k", "v", namespace="n", sender="s", context="{}")

    (stored,) = log.append([draft])

    assert stored == Event("k", "v", "n", "s", "{}", clock.now_ms(), 1)
    assert draft.offset is None
    assert log.list_events(EventFilter()) == [stored]


def test_unset_fields_come_back_empty(log: EventLog) -> None:
    (stored,) = log.append([Event("k", None)])

    assert (stored.value, stored.namespace, stored.sender, stored.context) == ("", "", "", "")
    assert log.list_events(EventFilter()) == [stored]


def test_nothing_is_appended_for_no_drafts(log: EventLog) -> None:
    assert log.append([]) == []
    assert log.append([], producer="p", sequence=4) == []
    assert log.append(events(1), producer="p", sequence=4)[0].offset == 1


def test_one_draft_given_twice_is_two_events(log: EventLog) -> None:
    draft = Event("k", "v")

    assert [event.offset for event in log.append([draft, draft])] == [1, 2]


def test_appends_inside_a_transaction_share_its_fate(log: EventLog, clock: ManualClock) -> None:
    with pytest.raises(RuntimeError), log.database.write() as tx:
        log.append_in(tx, events(2), now_ms=clock.now_ms())
        assert log.head(tx) == 2
        raise RuntimeError

    with log.database.write() as tx:
        assert log.head(tx) == 0
        stored = log.append_in(tx, events(1), now_ms=clock.now_ms())
        stored += log.append_in(tx, events(1), now_ms=clock.now_ms())
        assert log.read_after(tx, 1, limit=5) == stored[1:]
    assert [event.offset for event in stored] == [1, 2]


def test_a_bulk_larger_than_a_slice_is_one_run_of_offsets(log: EventLog) -> None:
    stored = log.append(events(7000), producer="p", sequence=0)

    assert [event.offset for event in stored] == list(range(1, 7001))
    assert log.append(events(7000), producer="p", sequence=0) == stored


@pytest.mark.parametrize(
    ("event", "found"),
    [
        (Event("", "v"), "needs a key"),
        (Event(None, "v"), "key of an event must be a string.*NoneType"),  # type: ignore[arg-type]
        (Event("k", 5), "value of an event must be a string; that of 'k' is of type int"),  # type: ignore[arg-type]
        (Event("k", 0), "value of an event must be a string"),  # type: ignore[arg-type]
        (Event("k", b"v"), "value of an event must be a string"),  # type: ignore[arg-type]
        (
            Event("k" * (NAME_LIMIT + 1), "v"),
            r"key of the event 'k+' has 1,025 characters; the limit is 1,024",
        ),
        (Event("k", "v", sender="s" * (NAME_LIMIT + 1)), "sender of the event 'k' has 1,025 characters"),
        (Event("k", "\N{SNOWMAN}" * (VALUE_LIMIT // 3 + 1)), "value of the event 'k' has 16,777,218 bytes"),
        (Event("k", "v", context="c" * (VALUE_LIMIT + 1)), "context of the event 'k' has 16,777,217 bytes"),
        (Event("k", "half \ud800 a pair"), "not valid Unicode text.*position 5"),
    ],
)
def test_an_event_that_the_log_cannot_hold_is_refused_with_a_sentence(
    log: EventLog, event: Event, found: str
) -> None:
    with pytest.raises(InvalidEventError, match=found):
        log.append([Event("good", "v"), event])

    assert log.list_events(EventFilter()) == []


def test_a_value_of_the_largest_size_comes_back_whole(log: EventLog) -> None:
    value = "x" * VALUE_LIMIT
    log.append([Event("k" * NAME_LIMIT, value), Event("\N{SNOWMAN}", "\x00 ' \" \N{SNOWMAN}")])

    found = log.list_events(EventFilter())

    assert found[0].value == value
    assert (found[1].key, found[1].value) == ("\N{SNOWMAN}", "\x00 ' \" \N{SNOWMAN}")


# --- times


def test_create_time_is_the_clock_and_distinct_within_a_burst(log: EventLog, clock: ManualClock) -> None:
    now = clock.now_ms()

    assert [event.create_time for event in log.append(events(3))] == [now, now + 1, now + 2]
    clock.advance(10)
    assert log.append(events(1))[0].create_time == now + 10_000


def test_a_burst_does_not_push_time_more_than_a_second_ahead(log: EventLog, clock: ManualClock) -> None:
    now = clock.now_ms()

    times = [event.create_time or 0 for event in log.append(events(2500))]

    assert times[:1000] == list(range(now, now + 1000))
    assert set(times[1000:]) == {now + 999}


def test_time_does_not_go_back_with_the_clock(log: EventLog, clock: ManualClock) -> None:
    now = clock.now_ms()
    log.append(events(1))
    clock.set_back(3600)

    assert [event.create_time for event in log.append(events(2))] == [now, now]
    clock.advance(3600.5)
    assert log.append(events(1))[0].create_time == now + 500


def test_time_goes_on_from_the_log_when_it_is_opened_again(log: EventLog, clock: ManualClock) -> None:
    log.append(events(1))
    clock.set_back(60)

    again = EventLog(log.database, clock)

    assert again.append(events(1))[0].create_time == clock.now_ms() + 60_000


def test_stamps_of_no_events_are_none() -> None:
    assert list(stamp(0, now_ms=5, last_ms=3)) == list(stamp(0, now_ms=5, last_ms=9000)) == []


def test_a_time_is_found_without_reading_the_log(log: EventLog, clock: ManualClock) -> None:
    start = clock.now_ms()
    for _ in range(20):
        log.append(events(1))
        clock.advance(1)

    assert log.time_to_offset(start - 1) == 0
    assert log.time_to_offset(start) == 1
    assert log.time_to_offset(start + 999) == 1
    assert log.time_to_offset(start + 5000) == 6
    assert log.time_to_offset(start + 10**9) == 20


def test_of_events_at_one_time_the_last_is_found(log: EventLog, clock: ManualClock) -> None:
    log.append(events(1500))

    assert log.time_to_offset(clock.now_ms() + 999) == 1500
    assert log.time_to_offset(clock.now_ms() + 998) == 999


# --- idempotence


def test_a_repeated_append_returns_the_first_events(log: EventLog, clock: ManualClock) -> None:
    first = log.append(events(3), producer="p", sequence=0)
    clock.advance(5)
    log.append(events(2))

    assert log.append(events(3), producer="p", sequence=0) == first
    assert log.append(events(3)[1:2], producer="p", sequence=1) == first[1:2]
    assert len(read_all(log)) == 5


def test_an_append_that_overlaps_adds_only_what_is_new(log: EventLog) -> None:
    drafts = events(10)
    first = log.append(drafts[3:6], producer="p", sequence=3)

    stored = log.append(drafts, producer="p", sequence=0)

    assert stored[3:6] == first
    assert [event.offset for event in stored] == [4, 5, 6, 1, 2, 3, 7, 8, 9, 10]
    assert log.append(drafts, producer="p", sequence=0) == stored


def test_sequences_may_come_in_any_order(log: EventLog) -> None:
    for number in (5, 4, 0, 2, 1, 3):
        log.append([Event("k", str(number))], producer="p", sequence=number)

    repeated = log.append(events(6), producer="p", sequence=0)

    assert [event.offset for event in repeated] == [3, 5, 4, 6, 2, 1]
    assert len(read_all(log)) == 6


def test_producers_do_not_share_their_sequences(log: EventLog) -> None:
    log.append(events(1), producer="p", sequence=0)

    assert log.append(events(1), producer="q", sequence=0)[0].offset == 2


def test_a_sequence_that_belongs_to_another_event_is_refused(log: EventLog) -> None:
    log.append([Event("k", "first")], producer="p", sequence=7)

    with pytest.raises(
        SequenceConflictError, match="Sequence 7 of producer p already belongs to another event, at"
    ):
        log.append([Event("k", "other")], producer="p", sequence=7)

    assert len(read_all(log)) == 1


def test_sequences_count_from_zero(log: EventLog) -> None:
    with pytest.raises(InvalidEventError, match="counts from 0"):
        log.append(events(1), producer="p", sequence=-1)


def test_appends_that_share_a_commit_are_told_apart(log: EventLog) -> None:
    old = log.append(events(2), producer="p", sequence=0)

    def append(values: list[str], producer: str | None = None, sequence: int | None = None) -> list[Event]:
        return log.append([Event("k", value) for value in values], producer=producer, sequence=sequence)

    calls = [
        lambda: append(["2", "3"], "p", 2),
        lambda: append(["4"], "p", 4),
        lambda: append(["1"], "p", 1),
        lambda: append(["other"], "p", 0),
        lambda: append(["without a number"]),
        lambda: append(["0", "1", "2"], "q", 0),
        lambda: append(["overlaps", "and adds"], "q", 2),
        lambda: append(["9"], "p", 9),
    ]
    results = run_as_group(log.database, calls)  # type: ignore[arg-type]

    assert results[2] == old[1:]
    assert isinstance(results[3], SequenceConflictError)
    assert isinstance(results[6], (SequenceConflictError, list))
    stored = [event for result in results if isinstance(result, list) for event in result]
    held = read_all(log)
    assert [event.offset for event in held] == list(range(1, len(held) + 1))
    assert sorted((e.offset or 0, e.value) for e in stored if e not in old) == [
        (e.offset, e.value) for e in held[2:]
    ]
    for number, value in ((2, "2"), (3, "3"), (4, "4"), (9, "9")):
        assert append([value], "p", number)[0].value == value
    assert read_all(log) == held


# --- reading


def test_reading_is_above_the_offset_and_up_to_the_end(log: EventLog) -> None:
    log.append(events(10))

    with log.database.read() as tx:
        assert [e.offset for e in log.read_after(tx, 3, limit=4)] == [4, 5, 6, 7]
        assert [e.offset for e in log.read_after(tx, 3, limit=100, end_offset=5)] == [4, 5]
        assert log.read_after(tx, 10, limit=5) == []
        assert log.read_after(tx, 99, limit=5) == []
        assert log.read_after(tx, 3, limit=5, end_offset=3) == []


def test_a_page_holds_no_more_text_than_memory_can_take(log: EventLog) -> None:
    log.append([Event("k", "x" * 3_000_000) for _ in range(8)] + events(20))

    with log.database.read() as tx:
        page = log.read_after(tx, 0, limit=1000)
        assert 1 <= len(page) < 8
    assert len(read_all(log)) == 28
    assert len(log.list_events(EventFilter())) == 28


@pytest.mark.parametrize(
    ("wanted", "offsets"),
    [
        (EventFilter(), [1, 2, 3, 4, 5, 6]),
        (EventFilter(key="a"), [1, 3, 5]),
        (EventFilter(key="*", namespace="", sender=None), [1, 2, 3, 4, 5, 6]),
        (EventFilter(namespace="n0"), [1, 4]),
        (EventFilter(sender="s1", key="b"), [4, 6]),
        (EventFilter(begin_offset=2, end_offset=5), [3, 4, 5]),
        (EventFilter(begin_offset=0, end_offset=0), [1, 2, 3, 4, 5, 6]),
        (EventFilter(end_offset=2), [1, 2]),
        (EventFilter(begin_offset=5, end_offset=2), []),
        (EventFilter(begin_offset=77), []),
        (EventFilter(key="none"), []),
        (EventFilter(begin_time=1_700_000_003_000), [4, 5, 6]),
        (EventFilter(begin_time=1_700_000_002_001, key="a"), [5]),
        (EventFilter(begin_time=1, begin_offset=4), [5, 6]),
    ],
)
def test_lists_and_counts_agree(
    log: EventLog, clock: ManualClock, wanted: EventFilter, offsets: list[int]
) -> None:
    for n in range(6):
        log.append([Event("ab"[n % 2], "v", namespace=f"n{n % 3}", sender=f"s{n // 3}")])
        clock.advance(1)

    found = log.list_events(wanted)
    total, by_sender = log.count_events(wanted)

    assert [event.offset for event in found] == offsets
    assert total == len(offsets)
    assert by_sender == [
        SenderEventCount(sender, [e.sender for e in found].count(sender))
        for sender in sorted({event.sender or "" for event in found})
    ]
    assert [event.offset for event in log.list_events(wanted, limit=2)] == offsets[:2]


def test_pages_end_at_the_head_of_the_moment_of_asking(log: EventLog) -> None:
    log.append(events(5))

    pages = log.pages(EventFilter())
    first = next(pages)
    log.append(events(5))

    assert len(first) + sum(map(len, pages)) == 5


# --- retention


def test_offsets_are_never_used_again(log: EventLog, clock: ManualClock) -> None:
    log.append(events(5))
    assert log.remove_through(5) == 5
    assert log.remove_through(5) == 0
    clock.set_back(100)

    (stored,) = log.append(events(1))

    assert stored.offset == 6
    assert stored.create_time == clock.now_ms() + 100_000 + 4
    with log.database.read() as tx:
        assert (log.removed_through(tx), log.head(tx)) == (5, 6)


def test_reading_what_was_removed_is_an_error_and_never_a_gap(log: EventLog) -> None:
    log.append(events(10))
    log.remove_through(4, slice_size=3)

    with log.database.read() as tx:
        assert [event.offset for event in log.read_after(tx, 4, limit=2)] == [5, 6]
        with pytest.raises(OffsetOutOfRange, match=r"after offset 3: .* all events up to offset 4") as caught:
            log.read_after(tx, 3, limit=2)
        with pytest.raises(OffsetOutOfRange):
            log.read_after(tx, 0, limit=2)
    assert caught.value.removed_through == 4
    with pytest.raises(OffsetOutOfRange):
        log.list_events(EventFilter(begin_offset=3))
    assert len(log.list_events(EventFilter())) == 6
    assert log.count_events(EventFilter(begin_offset=0))[0] == 6


def test_a_time_before_the_log_is_where_it_begins_now(log: EventLog, clock: ManualClock) -> None:
    log.append(events(10))
    log.remove_through(4)

    assert log.time_to_offset(clock.now_ms() - 1000) == 4
    assert len(log.list_events(EventFilter(begin_time=clock.now_ms() - 1000))) == 6


def test_what_was_removed_is_not_taken_for_new(log: EventLog) -> None:
    log.append(events(5), producer="p", sequence=0)
    log.append(events(1), producer="q", sequence=0)
    log.append(events(2), producer="p", sequence=5)
    log.remove_through(3)

    with pytest.raises(SequenceExpiredError, match="Sequence 2 of producer p was appended before"):
        log.append(events(5)[2:3], producer="p", sequence=2)
    assert log.append(events(5)[4:], producer="p", sequence=4)[0].offset == 5

    log.remove_through(8)
    for producer, sequence in (("p", 0), ("p", 6), ("q", 0)):
        with pytest.raises(SequenceExpiredError):
            log.append(events(1), producer=producer, sequence=sequence)
    assert log.append(events(1), producer="p", sequence=7)[0].offset == 9


def test_removing_more_than_there_is_removes_all(log: EventLog) -> None:
    log.append(events(3))

    assert log.remove_through(100) == 3
    assert log.list_events(EventFilter()) == []


def test_a_lone_producer_takes_one_row(log: EventLog, database: SqliteDatabase) -> None:
    for number in range(50):
        log.append(events(2), producer="p", sequence=2 * number)

    with database.read() as tx:
        rows = tx.apsw.execute("SELECT COUNT(*) FROM producer_run").fetchall()  # type: ignore[attr-defined]
    assert rows == [(1,)]
