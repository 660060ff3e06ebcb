# SPDX-License-Identifier: Apache-2.0
"""A small supervisor: a real gateway on a real reactor and a thread, committing what tasks send."""

from __future__ import annotations

import threading
from pathlib import Path

from notification_service.clock import SystemClock
from notification_service.database.port import WriteTransaction
from notification_service.errors import NotificationError
from notification_service.event_log import EventLog
from notification_service.gateway import Gateway, PendingSend
from notification_service.model.event import Event
from notification_service.reactor import Reactor
from notification_service.wire import Message

TOKEN = "secret"


class Supervisor:
    """Serves one task socket; ``stop`` and ``start`` again play a death and its successor."""

    def __init__(self, log: EventLog, path: Path) -> None:
        self.log = log
        self.path = path
        #: Set to let sends wait for their commit; clear ``commits`` to hold them.
        self.commits = threading.Event()
        self.commits.set()
        #: How often to lose an answer: the commit is made, and the connection dies before the reply.
        self.lose_answers = 0
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._started = threading.Event()

    def start(self) -> None:
        """Begin to serve."""
        self._stopping = False
        self._started.clear()
        self._thread = threading.Thread(target=self._run, name="test-supervisor")
        self._thread.start()
        assert self._started.wait(10)

    def stop(self) -> None:
        """Stop serving and cut all connections."""
        if self._thread is not None:
            self._reactor.call_soon_threadsafe(self._note_stop)
            self._thread.join()
            self._thread = None
            self._reactor.close()

    def poke(self) -> None:
        """Let the loop look for new events, as a wake-up from another process would."""
        self._reactor.call_soon_threadsafe(lambda: self._gateway.after_commit())

    def _note_stop(self) -> None:
        self._stopping = True

    def _run(self) -> None:
        self._reactor = Reactor()
        self._gateway = Gateway(
            self._reactor, self.path, self._authenticate, self.log, self._schedule_step, self._extra
        )
        self._started.set()
        while not self._stopping:
            self._reactor.run_once(1.0)
        self._gateway.close()

    def _authenticate(self, attempt: str, token: str) -> bool:
        return token == TOKEN

    def _extra(self, operation: str, arguments: Message) -> object:
        if operation == "fail":
            raise ValueError("on purpose")
        return {"operation": operation, **arguments}

    def _schedule_step(self) -> None:
        self._reactor.call_later(0, self._step)

    def _step(self) -> None:
        if not self.commits.is_set():
            self._reactor.call_later(0.005, self._step)
            return
        for pending in self._gateway.take_sends():
            self._commit(pending)
        self._gateway.after_commit()

    def _commit(self, pending: PendingSend) -> None:
        try:
            with self.log.database.write() as tx:
                stored = self._append(tx, pending)
        except NotificationError as error:
            self._gateway.reject(pending, error)
            return
        if self.lose_answers:
            self.lose_answers -= 1
            pending.connection.close()
        self._gateway.acknowledge(pending, stored)

    def _append(self, tx: WriteTransaction, pending: PendingSend) -> list[Event]:
        return self.log.append_in(
            tx,
            pending.drafts,
            now_ms=SystemClock().now_ms(),
            producer=pending.producer,
            sequence=pending.sequence,
        )
