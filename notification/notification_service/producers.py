# SPDX-License-Identifier: Apache-2.0
"""Which sequences of a producer are in the log already: what makes an append idempotent.

A producer numbers its events; (producer, sequence) belongs to one event for ever. The store keeps runs,
stretches in which sequence and offset both rise by one, so a lone sender costs one row however much it
sends, and sequences may come in any order. Retention folds removed runs into one mark per producer, which
outlives them: at or below it a sequence without a run is an expired one, never a new one.

All functions work in the caller's transaction, which must hold the head of the log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from notification_service.database.port import ReadTransaction, WriteTransaction, load_statements
from notification_service.errors import InvalidEventError, SequenceExpiredError

SQL = load_statements(__package__, "producer.sql")


@dataclass(slots=True, kw_only=True)
class Placement:
    """What the log knows of a stretch of sequences of one producer."""

    #: The offset of each sequence that is in the log.
    known: dict[int, int] = field(default_factory=dict[int, int])

    #: Of the run that ends just before it: the first sequence, and the offset that would continue it.
    run: tuple[int, int] | None = None


def place(tx: ReadTransaction, producer: str, sequence: int, count: int, removed_through: int) -> Placement:
    """Find the sequences from ``sequence`` on that are in the log, and the run that new ones may continue."""
    if sequence < 0:
        raise InvalidEventError(
            f"The sequence of an event counts from 0; producer {producer} gave {sequence}."
        )
    if removed_through:
        _refuse_expired(tx, producer, sequence, count, removed_through)
    run = cast("tuple[int, int, int] | None", tx.row(SQL.last_run, producer=producer))
    if run is None or run[1] < sequence:
        return Placement(run=_continuable(run, sequence))
    placement = Placement()
    for run in _runs_between(tx, producer, sequence, sequence + count - 1):
        first, last, offset = run
        placement.run = placement.run or _continuable(run, sequence)
        for known in range(max(first, sequence), min(last, sequence + count - 1) + 1):
            placement.known[known] = offset + known - first
    return placement


def _continuable(run: tuple[int, int, int] | None, sequence: int) -> tuple[int, int] | None:
    """Return the first sequence of a run that ends just before ``sequence``, and the offset to go on with."""
    if run is None or run[1] != sequence - 1:
        return None
    return run[0], run[2] + sequence - run[0]


def _refuse_expired(
    tx: ReadTransaction, producer: str, sequence: int, count: int, removed_through: int
) -> None:
    """Raise when retention has removed one of the events: it can neither be returned nor be new."""
    row = tx.row(SQL.removed_through, producer=producer)
    marked_through = -1 if row is None else cast(int, row[0])
    known: set[int] = set()
    for first, last, offset in _runs_between(tx, producer, sequence, sequence + count - 1):
        for position in range(max(first, sequence), min(last, sequence + count - 1) + 1):
            known.add(position)
            if offset + position - first <= removed_through:
                raise SequenceExpiredError(producer, position)
    for position in range(sequence, min(sequence + count - 1, marked_through) + 1):
        if position not in known:
            raise SequenceExpiredError(producer, position)


def _runs_between(tx: ReadTransaction, producer: str, first: int, last: int) -> list[tuple[int, int, int]]:
    rows = tx.rows(SQL.runs_between, producer=producer, first_sequence=first, last_sequence=last)
    return cast("list[tuple[int, int, int]]", rows)


def record(
    tx: WriteTransaction, producer: str, sequence: int, count: int, first_offset: int, placement: Placement
) -> None:
    """Note that new events of these sequences get the offsets from ``first_offset`` on."""
    last_sequence = sequence + count - 1
    if placement.run is not None and placement.run[1] == first_offset:
        tx.execute(
            SQL.extend_run, producer=producer, first_sequence=placement.run[0], last_sequence=last_sequence
        )
    else:
        tx.execute(
            SQL.begin_run,
            producer=producer,
            first_sequence=sequence,
            last_sequence=last_sequence,
            first_offset=first_offset,
        )


def next_sequence(tx: ReadTransaction, producer: str) -> int:
    """Return the sequence above all that the producer ever used."""
    row = tx.row(SQL.last_sequence, producer=producer)
    return 0 if row is None or row[0] is None else cast(int, row[0]) + 1


def forget_runs(tx: WriteTransaction, floor: int) -> None:
    """Fold the runs whose events are all at or below ``floor`` into the marks."""
    tx.execute(SQL.mark_removed, floor=floor)
    tx.execute(SQL.remove_runs, floor=floor)
