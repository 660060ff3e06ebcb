# SPDX-License-Identifier: Apache-2.0
"""The processes that supervise tasks: who is there, and whose process is gone."""

from __future__ import annotations

from typing import cast

from ai_flow_ha.process_identity import ProcessIdentity
from notification_service.database.port import ReadTransaction, WriteTransaction
from notification_service.database.statements import load_statements

SQL = load_statements(__package__, "sql/runner.sql")


def register(
    tx: WriteTransaction,
    runner_id: str,
    kind: str,
    process: ProcessIdentity,
    *,
    takes_unowned: bool,
    now_ms: int,
) -> None:
    """Say that a process supervises tasks from now on; ``kind`` is ``run`` or ``server``."""
    tx.execute(
        SQL.insert_runner,
        id=runner_id,
        kind=kind,
        boot_id=process.boot_id,
        pid=process.pid,
        process_created=process.created,
        takes_unowned=int(takes_unowned),
        started_at=now_ms,
    )


def end(tx: WriteTransaction, runner_id: str, *, now_ms: int) -> None:
    """Say that a process supervises no more; harmless when it was said before."""
    tx.execute(SQL.end_runner, id=runner_id, ended_at=now_ms)


def has_ended(tx: ReadTransaction, runner_id: str) -> bool | None:
    """Tell whether a process has said, or was found, to have ended; None when it is not known."""
    row = tx.row(SQL.ended_at, id=runner_id)
    return None if row is None else row[0] is not None


def find_gone(tx: ReadTransaction) -> list[str]:
    """Return the processes that ended without saying so."""
    return [
        cast("str", id)
        for id, boot_id, pid, created in tx.rows(SQL.present_runners)
        if not ProcessIdentity(cast("str", boot_id), cast("int", pid), cast("float", created)).is_alive()
    ]
