# SPDX-License-Identifier: Apache-2.0
"""The lease that says who decides.

A lease is (holder, term, expiry). Taking it raises the term by one; every commit made under it checks the
term inside its own transaction (``check_term``), so a former holder can believe what it likes: nothing of
it commits. The expiry is on the boot clock of the machine, which no change of the wall clock moves. A
holder whose process is dead (boot id, pid and creation time) is replaced at once; one that is stopped but
alive is replaced when its lease has expired.

Left to the caller: renewing in time (each commit renews for free), and dropping everything it knows after a
``LeaseLostError``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from ai_flow_ha.process_identity import ProcessIdentity, boot_clock_ms, own_identity
from notification_service.database.port import ReadTransaction, WriteTransaction
from notification_service.database.statements import load_statements

SQL = load_statements(__package__, "sql/lease.sql")

#: The lease of those who make scheduling decisions.
SCHEDULER_LEASE = "scheduler"


class LeaseLostError(Exception):
    """The term is not the present one any more: somebody else decides now."""

    def __init__(self, name: str, term: int) -> None:
        super().__init__(f"Term {term} of the lease '{name}' has been superseded.")
        self.name = name
        self.term = term


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease as the store has it; ``holder`` is empty when it was given back."""

    term: int
    holder: str
    process: ProcessIdentity
    expires_at_boot_ms: int

    def is_free(self, now_boot_ms: int) -> bool:
        """Tell whether it may be taken: given back, expired, or its holder is dead."""
        return not self.holder or self.expires_at_boot_ms <= now_boot_ms or not self.process.is_alive()


class Lease:
    """One process's view of a lease."""

    def __init__(
        self,
        name: str,
        holder: str,
        *,
        duration_ms: int = 10_000,
        now_boot_ms: Callable[[], int] = boot_clock_ms,
        process: ProcessIdentity | None = None,
    ) -> None:
        self.name = name
        self.holder = holder
        self.duration_ms = duration_ms
        self.term: int | None = None
        self._now_boot_ms = now_boot_ms
        self._process = process or own_identity()
        self._renewed_at_boot_ms = 0

    @property
    def is_held(self) -> bool:
        """Tell whether this process believes to hold it; only ``check_term`` knows."""
        return self.term is not None

    @property
    def renewal_is_due(self) -> bool:
        """Tell whether a third of the lease has passed since the last renewal."""
        return self._now_boot_ms() - self._renewed_at_boot_ms >= self.duration_ms // 3

    def read(self, tx: ReadTransaction) -> LeaseRow | None:
        """Return the lease as stored; None when nobody ever held it."""
        row = tx.row(SQL.lease, name=self.name)
        if row is None:
            return None
        term, holder, boot_id, pid, created, expires = row
        process = ProcessIdentity(cast("str", boot_id), cast("int", pid), cast("float", created))
        return LeaseRow(cast("int", term), cast("str", holder), process, cast("int", expires))

    def may_be_taken(self, tx: ReadTransaction) -> bool:
        """Tell whether ``take`` would succeed now."""
        seen = self.read(tx)
        return seen is None or seen.is_free(self._now_boot_ms())

    def take(self, tx: WriteTransaction) -> bool:
        """Take the lease if it is free; if the commit fails, the next ``check_term`` finds out."""
        seen = self.read(tx)
        now = self._now_boot_ms()
        if seen is not None and not seen.is_free(now):
            return False
        term = (seen.term if seen else 0) + 1
        tx.execute(
            SQL.take_lease,
            name=self.name,
            term=term,
            holder=self.holder,
            boot_id=self._process.boot_id,
            pid=self._process.pid,
            process_created=self._process.created,
            expires_at_boot_ms=now + self.duration_ms,
        )
        self.term = term
        self._renewed_at_boot_ms = now
        return True

    def check_term(self, tx: WriteTransaction) -> None:
        """Raise ``LeaseLostError`` unless the own term is the present one; renew it when that is due."""
        term = self.term or 0
        if self.renewal_is_due:
            now = self._now_boot_ms()
            held = tx.execute(
                SQL.renew_lease,
                name=self.name,
                term=term,
                holder=self.holder,
                expires_at_boot_ms=now + self.duration_ms,
            )
            if held:
                self._renewed_at_boot_ms = now
        else:
            held = tx.row(SQL.check_term, name=self.name, term=term, holder=self.holder) is not None
        if not held:
            raise LeaseLostError(self.name, term)

    def resign(self, tx: WriteTransaction) -> None:
        """Give the lease back so that the next taker need not wait; harmless when it is not held."""
        if self.term is not None:
            tx.execute(SQL.resign_lease, name=self.name, term=self.term, holder=self.holder)
            self.term = None

    def forget(self) -> None:
        """Stop believing to hold it."""
        self.term = None
