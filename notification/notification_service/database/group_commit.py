# SPDX-License-Identifier: Apache-2.0
"""Works of several threads in one transaction, so that one fsync pays for all of them.

There is no writer thread: a caller that finds nobody committing leads, runs the works that have queued
up, its own among them, and commits; the others wait until it tells them the outcome. Works that arrive
meanwhile are the next group, and the leader hands the lead to the first of them.

Each work is undone alone when it raises. One that had written nothing needs no undoing; else the
transaction is rolled back and the works before it run again, which is rare, and cheaper than a savepoint
around every work.
If the commit itself fails, every work of the group gets that error.

Safety of the lead: ``_led`` is true while some thread leads or has been told to. A thread that is interrupted
while it waits takes its work out of the queue, or passes a lead on that it has just been given, so the
queue never stands still.
"""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, cast

from notification_service.database.port import WriteTransaction

T = TypeVar("T")
Work = Callable[[WriteTransaction], object]

#: Runs several works of one kind at once and returns what each of them would have, or ``RUN_ALONE``. A work
#: that can be combined has it as its attribute ``combine``.
Combine = Callable[[WriteTransaction, Sequence[Work]], list[object]]

#: In the place of a result: this work was not run together with the others.
RUN_ALONE = object()

#: A group takes in no more works after this time, so that nobody else waits long for the write lock.
GROUP_LIMIT_S = 0.05

#: How long a leader waits for more works: this share of what the last commit took, and never longer than so.
_GATHER_SHARE = 0.3
_LONGEST_GATHER_S = 0.002


class WriteSession(Protocol):
    """The write side of a database, held by one thread at a time."""

    def refuse_nested(self) -> None: ...

    def acquire(self) -> None: ...

    def release(self) -> None: ...

    def begin(self) -> WriteTransaction: ...

    def commit(self) -> None: ...

    def roll_back(self) -> None: ...

    def changes(self) -> int: ...

    @property
    def in_transaction(self) -> bool: ...


class _Pending:
    """One caller's work and the gate at which the caller waits."""

    __slots__ = ("durable", "error", "gate", "leads", "result", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.result: object = None
        self.error: Exception | None = None
        self.durable = False
        self.leads = False
        self.gate = threading.Lock()
        self.gate.acquire()

    def outcome(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.result


class GroupCommit:
    """Let threads share transactions of one write session."""

    def __init__(self, session: WriteSession) -> None:
        self._session = session
        self._mutex = threading.Lock()
        self._queue: collections.deque[_Pending] = collections.deque()
        self._led = False
        self._gathered = threading.Condition(self._mutex)
        self._awaited = 0
        self._callers = 1
        self._patience_s = 0.0

    def run(self, work: Callable[[WriteTransaction], T]) -> T:
        """Run one work and return its result after the commit that makes it durable."""
        self._session.refuse_nested()
        mine = _Pending(work)
        with self._mutex:
            self._queue.append(mine)
            mine.leads = not self._led
            self._led = True
            if len(self._queue) == self._awaited:
                self._gathered.notify()
        if not mine.leads:
            self._wait(mine)
        if mine.leads:
            self._lead(mine)
        return cast(T, mine.outcome())

    def _wait(self, mine: _Pending) -> None:
        try:
            mine.gate.acquire()
        except BaseException:
            with self._mutex:
                if mine in self._queue:
                    self._queue.remove(mine)
                if mine.leads:
                    self._pass_on_lead()
            raise

    def _lead(self, mine: _Pending) -> None:
        group: list[_Pending] = []
        begin_s = time.monotonic()
        try:
            begin_s = self._gather()
            self._session.acquire()
            try:
                self._commit_group(group)
            finally:
                self._session.release()
        except Exception as error:
            self._fail(group, error)
        except BaseException:
            self._give_back(group, mine)
            raise
        finally:
            with self._mutex:
                self._callers = len(group) + len(self._queue)
                self._patience_s = min(_LONGEST_GATHER_S, _GATHER_SHARE * (time.monotonic() - begin_s))
                self._pass_on_lead()
            for pending in group:
                if pending is not mine:
                    pending.gate.release()

    def _gather(self) -> float:
        """Wait a moment for the callers of the last group, who may be coming back; return the time then.

        Without this, threads that append in a loop settle into two groups that take turns, at half the speed.
        """
        with self._mutex:
            if len(self._queue) < self._callers:
                self._awaited = self._callers
                self._gathered.wait(self._patience_s)
                self._awaited = 0
        return time.monotonic()

    def _commit_group(self, group: list[_Pending]) -> None:
        session = self._session
        tx = session.begin()
        ends_s = time.monotonic() + GROUP_LIMIT_S
        committing = False
        try:
            ran: list[_Pending] = []
            while taken := self._take(group):
                self._run_taken(taken, ran, tx)
                if time.monotonic() >= ends_s:
                    break
            committing = True
            session.commit()
        finally:
            # An interrupt can come between the commit and its return: a transaction that is gone is done.
            durable = committing and not session.in_transaction
            for pending in group:
                pending.durable = durable
            session.roll_back()

    def _run_taken(self, taken: list[_Pending], ran: list[_Pending], tx: WriteTransaction) -> None:
        alone = self._run_combined(taken, tx) if len(taken) > 1 else taken
        ran += [pending for pending in taken if pending not in alone]
        for pending in alone:
            ran.append(pending)
            if not self._run_one(pending, tx):
                self._run_again(ran, tx)

    def _run_combined(self, taken: list[_Pending], tx: WriteTransaction) -> list[_Pending]:
        """Run those works together that can be; return the others."""
        combine: Combine | None = getattr(taken[0].work, "combine", None)
        if combine is None:
            return taken
        alike = [pending for pending in taken if getattr(pending.work, "combine", None) is combine]
        results = combine(tx, [pending.work for pending in alike])
        for pending, result in zip(alike, results, strict=True):
            pending.result = result
        return [p for p in taken if p not in alike or p.result is RUN_ALONE]

    def _run_one(self, pending: _Pending, tx: WriteTransaction) -> bool:
        """Run a work and tell whether the transaction holds just what the successful works wrote."""
        before = self._session.changes()
        try:
            pending.result = pending.work(tx)
        except Exception as error:
            pending.error = error
            return self._session.in_transaction and self._session.changes() == before
        return True

    def _run_again(self, ran: list[_Pending], tx: WriteTransaction) -> None:
        """Start the transaction over with the works that did not fail."""
        self._session.roll_back()
        self._session.begin()
        for pending in ran:
            if pending.error is None and not self._run_one(pending, tx):
                self._run_again(ran, tx)
                return

    def _take(self, group: list[_Pending]) -> list[_Pending]:
        with self._mutex:
            taken = list(self._queue)
            self._queue.clear()
        group += taken
        return taken

    def _fail(self, group: list[_Pending], error: Exception) -> None:
        """Give the error to all that were in the transaction; if there was none, to all that wait for one."""
        if not group:
            with self._mutex:
                group.extend(self._queue)
                self._queue.clear()
        for pending in group:
            pending.error = pending.error or error

    def _give_back(self, group: list[_Pending], mine: _Pending) -> None:
        """Queue the works of others again after the leader was interrupted."""
        undone = [p for p in group if p is not mine and not p.durable and p.error is None]
        group[:] = [p for p in group if p not in undone]
        with self._mutex:
            if mine in self._queue:
                self._queue.remove(mine)
            self._queue.extendleft(reversed(undone))

    def _pass_on_lead(self) -> None:
        """Make the first waiting caller the leader; call it with the mutex held."""
        if self._queue:
            self._queue[0].leads = True
            self._queue[0].gate.release()
        else:
            self._led = False
