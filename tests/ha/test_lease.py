# SPDX-License-Identifier: Apache-2.0
"""The lease: one holder, terms that only rise, and nothing of a former term commits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_flow_ha.lease import Lease, LeaseLostError
from ai_flow_ha.process_identity import ProcessIdentity, own_identity
from notification_service.database.migrations import MigrationSource
from notification_service.database.sqlite import SqliteDatabase

MIGRATIONS = (MigrationSource("ha", "ai_flow_ha", "migrations"),)
DEAD = replace(own_identity(), created=1.0)


class Clock:
    """The boot clock, by hand."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    with SqliteDatabase(tmp_path / "lease.db", migrations=MIGRATIONS) as database:
        yield database


def _lease(clock: Clock, holder: str, process: ProcessIdentity | None = None) -> Lease:
    return Lease("scheduler", holder, duration_ms=10_000, now_boot_ms=clock, process=process)


def _take(database: SqliteDatabase, lease: Lease) -> bool:
    with database.write() as tx:
        return lease.take(tx)


def _check(database: SqliteDatabase, lease: Lease) -> None:
    with database.write() as tx:
        lease.check_term(tx)


def test_a_lease_that_nobody_held_is_free(database: SqliteDatabase, clock: Clock) -> None:
    lease = _lease(clock, "a")
    with database.read() as tx:
        assert lease.may_be_taken(tx)
        assert lease.read(tx) is None

    assert _take(database, lease)

    assert lease.is_held
    assert lease.term == 1
    _check(database, lease)


def test_a_held_lease_is_not_given_to_another(database: SqliteDatabase, clock: Clock) -> None:
    _take(database, _lease(clock, "a"))
    other = _lease(clock, "b")

    assert not _take(database, other)

    assert not other.is_held
    with database.read() as tx:
        assert not other.may_be_taken(tx)
        row = other.read(tx)
    assert row is not None
    assert (row.holder, row.term) == ("a", 1)


@pytest.mark.parametrize("after_ms", [9_999, 10_000])
def test_a_lease_is_free_when_it_has_expired(database: SqliteDatabase, clock: Clock, after_ms: int) -> None:
    _take(database, _lease(clock, "a"))

    clock.now_ms += after_ms

    assert _take(database, _lease(clock, "b")) is (after_ms >= 10_000)


@pytest.mark.parametrize(
    "gone", [DEAD, replace(own_identity(), boot_id="before"), replace(own_identity(), pid=2**31 - 1)]
)
def test_the_lease_of_a_dead_process_is_free_at_once(
    database: SqliteDatabase, clock: Clock, gone: ProcessIdentity
) -> None:
    _take(database, _lease(clock, "a", gone))

    assert _take(database, _lease(clock, "b"))


def test_every_taking_raises_the_term_by_one(database: SqliteDatabase, clock: Clock) -> None:
    for number, holder in enumerate("abc", 1):
        lease = _lease(clock, holder)
        assert _take(database, lease)
        assert lease.term == number
        clock.now_ms += 10_000


def test_a_superseded_holder_is_refused_and_its_transaction_with_it(
    database: SqliteDatabase, clock: Clock
) -> None:
    first, second = _lease(clock, "a"), _lease(clock, "b")
    _take(database, first)
    clock.now_ms += 10_000
    _take(database, second)

    with pytest.raises(LeaseLostError, match="Term 1 of the lease 'scheduler' has been superseded") as lost:
        _check(database, first)

    assert (lost.value.name, lost.value.term) == ("scheduler", 1)
    _check(database, second)


def test_a_superseded_holder_cannot_renew(database: SqliteDatabase, clock: Clock) -> None:
    first = _lease(clock, "a")
    _take(database, first)
    clock.now_ms += 10_000
    second = _lease(clock, "b")
    _take(database, second)
    clock.now_ms += 9_000
    assert first.renewal_is_due

    with pytest.raises(LeaseLostError):
        _check(database, first)

    with database.read() as tx:
        row = second.read(tx)
    assert row is not None
    assert row.expires_at_boot_ms == clock.now_ms + 1_000


def test_an_expired_lease_that_nobody_took_is_still_the_holders(
    database: SqliteDatabase, clock: Clock
) -> None:
    lease = _lease(clock, "a")
    _take(database, lease)

    clock.now_ms += 60_000
    _check(database, lease)

    assert not _take(database, _lease(clock, "b"))


def test_a_commit_renews_when_a_third_has_passed(database: SqliteDatabase, clock: Clock) -> None:
    lease = _lease(clock, "a")
    _take(database, lease)
    for _ in range(10):
        clock.now_ms += 3_333
        assert lease.renewal_is_due
        _check(database, lease)
        assert not lease.renewal_is_due

    assert not _take(database, _lease(clock, "b"))


def test_a_lease_given_back_is_free_and_keeps_its_term(database: SqliteDatabase, clock: Clock) -> None:
    first, second = _lease(clock, "a"), _lease(clock, "b")
    _take(database, first)

    with database.write() as tx:
        first.resign(tx)
    assert not first.is_held
    assert _take(database, second)

    assert second.term == 2
    with database.write() as tx:
        first.resign(tx)
    _check(database, second)


def test_resigning_a_superseded_term_does_not_hurt_the_successor(
    database: SqliteDatabase, clock: Clock
) -> None:
    first, second = _lease(clock, "a"), _lease(clock, "b")
    _take(database, first)
    clock.now_ms += 10_000
    _take(database, second)

    with database.write() as tx:
        first.resign(tx)

    _check(database, second)


def test_a_taking_that_was_not_committed_is_found_out(database: SqliteDatabase, clock: Clock) -> None:
    lease = _lease(clock, "a")
    with pytest.raises(RuntimeError, match="the disk is full"), database.write() as tx:
        lease.take(tx)
        raise RuntimeError("the disk is full")

    with pytest.raises(LeaseLostError):
        _check(database, lease)
    lease.forget()

    assert _take(database, lease)
    assert lease.term == 1


def test_one_holder_name_of_two_processes_is_told_apart_by_the_term(
    database: SqliteDatabase, clock: Clock
) -> None:
    first, second = _lease(clock, "same", DEAD), _lease(clock, "same")
    _take(database, first)
    _take(database, second)

    with pytest.raises(LeaseLostError):
        _check(database, first)


def test_leases_of_different_names_do_not_meet(database: SqliteDatabase, clock: Clock) -> None:
    _take(database, _lease(clock, "a"))

    assert _take(database, Lease("another", "b", now_boot_ms=clock))


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_at_most_one_holder_passes_the_check_whatever_happens(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clock = Clock()
    path = tmp_path_factory.mktemp("lease") / "lease.db"
    with SqliteDatabase(path, migrations=MIGRATIONS, durability="normal") as database:
        numbers = itertools.count(1)
        leases = [_lease(clock, f"h{next(numbers)}") for _ in range(3)]
        terms: list[int] = []
        for _ in range(data.draw(st.integers(1, 15))):
            lease = data.draw(st.sampled_from(leases))
            what = data.draw(st.sampled_from(["take", "check", "resign", "wait"]))
            if what == "take" and not lease.is_held:
                if _take(database, lease):
                    assert lease.term is not None
                    terms.append(lease.term)
            elif what == "resign":
                with database.write() as tx:
                    lease.resign(tx)
            elif what == "wait":
                clock.now_ms += data.draw(st.sampled_from([100, 4_000, 10_000]))
            elif lease.is_held:
                try:
                    _check(database, lease)
                except LeaseLostError:
                    lease.forget()
            assert sum(_passes(database, one) for one in leases) <= 1
        assert terms == list(range(1, len(terms) + 1))


def _passes(database: SqliteDatabase, lease: Lease) -> bool:
    if not lease.is_held:
        return False
    with database.read() as tx:
        row = lease.read(tx)
    return row is not None and (row.term, row.holder) == (lease.term, lease.holder)
