# SPDX-License-Identifier: Apache-2.0
"""Attempts as the processes that run them see them: claiming, stopping and finishing.

A process alone claims the attempts of the executions that it owns; those of nobody's executions go to
whoever's guarded write comes first. All functions work inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from notification_service.database.port import ReadTransaction, WriteTransaction
from notification_service.database.statements import load_statements

SQL = load_statements(__package__, "sql/attempt.sql")

#: Who runs an execution's tasks: a runner, or None for any process that takes unowned ones.
Owner = str | None


class FinishedAttempt(Protocol):
    """What an executor says of an attempt that ended."""

    @property
    def attempt_id(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def never_started(self) -> bool: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def exit_code(self) -> int | None: ...
    @property
    def signal(self) -> int | None: ...
    @property
    def started_at_ms(self) -> int | None: ...
    @property
    def finished_at_ms(self) -> int: ...
    @property
    def max_rss_bytes(self) -> int | None: ...
    @property
    def cpu_s(self) -> float | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedAttempt:
    """An attempt that the caller has claimed and must start once the claim is durable."""

    attempt_id: str
    execution_id: int
    snapshot_id: int
    task: str
    sequence_number: int
    try_number: int


def outcome_word(attempt: FinishedAttempt) -> str:
    """Return how the attempt ended as the store and the engine call it."""
    return "NEVER_STARTED" if attempt.never_started else str(attempt.outcome)


def finish(tx: WriteTransaction, attempt: FinishedAttempt) -> bool:
    """Record an outcome; return False when the attempt has one already."""
    changed = tx.execute(
        SQL.finish_attempt,
        id=attempt.attempt_id,
        outcome=outcome_word(attempt),
        reason=attempt.reason,
        exit_code=attempt.exit_code,
        signal=attempt.signal,
        started_at=attempt.started_at_ms,
        finished_at=attempt.finished_at_ms,
        max_rss_bytes=attempt.max_rss_bytes,
        cpu_s=attempt.cpu_s,
    )
    return changed == 1


def finish_unclaimed(tx: WriteTransaction, attempt_id: str, *, now_ms: int) -> bool:
    """Record that an attempt was stopped before it began; return False when it has an outcome already."""
    return tx.execute(SQL.finish_unclaimed, id=attempt_id, finished_at=now_ms) == 1


def lose(tx: WriteTransaction, attempt_id: str, *, reason: str, now_ms: int) -> bool:
    """Record that an attempt vanished; return False when it has an outcome already."""
    return tx.execute(SQL.lose, id=attempt_id, reason=reason, finished_at=now_ms) == 1


def claim(
    tx: WriteTransaction, owners: Iterable[Owner], runner_id: str, *, limit: int, now_ms: int
) -> list[ClaimedAttempt]:
    """Claim up to ``limit`` waiting attempts of ``owners`` for a process."""
    claimed: list[ClaimedAttempt] = []
    for owner in owners:
        for id, execution_id, snapshot_id, task, number, try_number in tx.rows(
            SQL.claimable, owner=owner, limit=limit - len(claimed)
        ):
            if tx.execute(SQL.claim, id=id, claimed_by=runner_id, claimed_at=now_ms) == 1:
                claimed.append(
                    ClaimedAttempt(
                        attempt_id=cast("str", id),
                        execution_id=cast("int", execution_id),
                        snapshot_id=cast("int", snapshot_id),
                        task=cast("str", task),
                        sequence_number=cast("int", number),
                        try_number=cast("int", try_number),
                    )
                )
    return claimed


def stopped_before_claim(tx: ReadTransaction, owners: Iterable[Owner]) -> list[str]:
    """Return the attempts of ``owners`` that nobody claimed and nobody should."""
    return [cast("str", id) for owner in owners for (id,) in tx.rows(SQL.stopped_before_claim, owner=owner)]


def stops_requested(
    tx: ReadTransaction, owners: Iterable[Owner], runner_id: str, *, known: Collection[str]
) -> list[str]:
    """Return the attempts that a process has to stop and is not stopping yet."""
    rows = [
        row for owner in owners for row in tx.rows(SQL.stops_requested, owner=owner, claimed_by=runner_id)
    ]
    return [cast("str", id) for (id,) in rows if id not in known]


def has_work_for(
    tx: ReadTransaction, owners: Sequence[Owner], runner_id: str, *, known: Collection[str], free_slots: int
) -> bool:
    """Tell whether there is anything for a process to claim or to stop."""
    if free_slots > 0 and any(tx.row(SQL.claimable, owner=owner, limit=1) for owner in owners):
        return True
    return bool(stopped_before_claim(tx, owners)) or bool(stops_requested(tx, owners, runner_id, known=known))


def open_of_runner(tx: ReadTransaction, owner: Owner, runner_id: str) -> list[str]:
    """Return the attempts that a process claimed and has not finished."""
    return [cast("str", id) for (id,) in tx.rows(SQL.open_of_runner, owner=owner, claimed_by=runner_id)]
