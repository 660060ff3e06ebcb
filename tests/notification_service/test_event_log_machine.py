# SPDX-License-Identifier: Apache-2.0
"""The log against a model: whatever is appended, repeated and removed, nothing is lost or doubled."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from notification_service.database.sqlite import SqliteDatabase
from notification_service.errors import OffsetOutOfRange, SequenceExpiredError
from notification_service.event_log import LOG_MIGRATIONS, EventFilter, EventLog
from notification_service.model.event import Event
from tests.support import ManualClock

PRODUCERS = st.sampled_from(["p", "q", "r"])
KEYS = st.sampled_from(["a", "b"])


class LogMachine(RuleBasedStateMachine):
    """Keeps beside the log a list of what it must hold."""

    @initialize()
    def open(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.stored: list[Event] = []
        self.removed_through = 0
        self.places: dict[tuple[str, int], int] = {}
        self.highest_removed: dict[str, int] = {}
        self._open()

    def _open(self) -> None:
        path = Path(self.directory.name) / "aiflow.db"
        self.log = EventLog(
            SqliteDatabase(path, migrations=[LOG_MIGRATIONS], durability="normal"), self.clock
        )

    def teardown(self) -> None:
        if hasattr(self, "log"):
            self.log.database.close()
            self.directory.cleanup()

    @rule(keys=st.lists(KEYS, min_size=1, max_size=4))
    def append(self, keys: list[str]) -> None:
        self._check_new(self.log.append([Event(key, "-") for key in keys]))

    @rule(producer=PRODUCERS, sequence=st.integers(0, 12), count=st.integers(1, 4))
    def append_numbered(self, producer: str, sequence: int, count: int) -> None:
        numbers = range(sequence, sequence + count)
        drafts = [Event("a", f"{producer} {number}") for number in numbers]
        known = {n: self.places[producer, n] for n in numbers if (producer, n) in self.places}
        if any(offset <= self.removed_through for offset in known.values()):
            with pytest.raises(SequenceExpiredError):
                self.log.append(drafts, producer=producer, sequence=sequence)
            return
        # A number below one whose run was removed, and that never came, cannot be told from a removed one.
        if any(n not in known and n <= self.highest_removed.get(producer, -1) for n in numbers):
            with pytest.raises(SequenceExpiredError):
                self.log.append(drafts, producer=producer, sequence=sequence)
            return
        result = self.log.append(drafts, producer=producer, sequence=sequence)
        for number, event in zip(numbers, result, strict=True):
            assert event.value == f"{producer} {number}"
            if number in known:
                assert event == self.stored[known[number] - 1]
            else:
                self._check_new([event])
                self.places[producer, number] = len(self.stored)

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.5, 100.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def set_the_clock_back(self) -> None:
        self.clock.set_back(30)

    @precondition(lambda self: self.stored)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        through = data.draw(st.integers(0, len(self.stored)))
        self.log.remove_through(through, slice_size=3)
        self.removed_through = max(self.removed_through, through)
        with self.log.database.read() as tx:
            sql = "SELECT producer, removed_through FROM producer_mark"
            self.highest_removed = dict(tx.apsw.execute(sql).fetchall())  # type: ignore[attr-defined]

    @rule()
    def reopen(self) -> None:
        self.log.database.close()
        self._open()

    @rule(data=st.data(), key=KEYS)
    def list_some(self, data: st.DataObject, key: str) -> None:
        begin = data.draw(st.integers(0, len(self.stored) + 1))
        end = data.draw(st.integers(0, len(self.stored) + 1))
        wanted = EventFilter(key=key, begin_offset=begin, end_offset=end)
        if 0 < begin < self.removed_through:
            with pytest.raises(OffsetOutOfRange):
                self.log.list_events(wanted)
            return
        first, last = max(begin, self.removed_through), end or len(self.stored)
        expected = [event for event in self.stored[first:last] if event.key == key]
        assert self.log.list_events(wanted) == expected
        assert self.log.count_events(wanted)[0] == len(expected)

    @precondition(lambda self: self.stored)
    @rule(data=st.data(), near=st.integers(-2, 2))
    def look_up_a_time(self, data: st.DataObject, near: int) -> None:
        event = data.draw(st.sampled_from(self.stored))
        time_ms = (event.create_time or 0) + near
        before = [e.offset or 0 for e in self.stored if (e.create_time or 0) <= time_ms]
        assert self.log.time_to_offset(time_ms) == max([self.removed_through, *before])

    @invariant()
    def holds_what_it_must(self) -> None:
        if not hasattr(self, "log"):
            return
        with self.log.database.read() as tx:
            assert self.log.head(tx) == len(self.stored)
            found = self.log.read_after(tx, self.removed_through, limit=1000)
        assert found == self.stored[self.removed_through :]

    def _check_new(self, result: list[Event]) -> None:
        for event in result:
            assert event.offset == len(self.stored) + 1
            if self.stored:
                assert (event.create_time or 0) >= (self.stored[-1].create_time or 0)
            assert (event.create_time or 0) >= self.clock.now_ms()
            self.stored.append(event)


TestLog = LogMachine.TestCase
TestLog.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
