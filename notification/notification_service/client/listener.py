# SPDX-License-Identifier: Apache-2.0
"""A user's listener and the thread that runs it.

The transport hands batches over with ``deliver`` and may look at ``backlog`` to wait for a slow processor;
the thread passes them on, in order. A processor that raises is reported and goes on with the next batch.
After ``stop`` no call begins; a batch that has not begun is dropped.
"""

from __future__ import annotations

import collections
import logging
import threading
from collections.abc import Callable

from notification_service.client.notification_client import ListenerProcessor
from notification_service.errors import NotificationError
from notification_service.model.event import Event

#: How long ``stop`` waits for a call of the processor that has begun.
STOP_WAIT_S = 5.0

_logger = logging.getLogger(__name__)


class Listener(threading.Thread):
    """Runs one processor."""

    def __init__(
        self,
        name: str,
        processor: ListenerProcessor,
        *,
        keys: list[str] | None,
        namespace: str | None,
        offset: int,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.keys = keys
        self.namespace = namespace
        #: The offset up to which batches have come; events up to it are not wanted again.
        self.position = offset
        #: Called after each batch, from the listener's thread.
        self.on_consumed: Callable[[Listener], None] = _ignore
        self._processor = processor
        self._condition = threading.Condition()
        self._batches: collections.deque[list[Event]] = collections.deque()
        self._stopping = False

    @property
    def backlog(self) -> int:
        """How many batches the processor has yet to handle."""
        return len(self._batches)

    def deliver(self, events: list[Event], reached: int) -> None:
        """Queue a batch that reaches up to an offset."""
        with self._condition:
            self._batches.append(events)
            self.position = reached
            self._condition.notify()

    def report(self, error: NotificationError) -> None:
        """Tell the user of something that the listener survives."""
        _logger.error("listener.error listener=%s error=%s", self.name, error)

    def stop(self) -> None:
        """Let no further call begin, and wait a little for one that is running."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if threading.current_thread() is not self and self.is_alive():
            self.join(STOP_WAIT_S)

    def run(self) -> None:
        """Pass batches to the processor until the listener is stopped."""
        while True:
            with self._condition:
                while not self._batches and not self._stopping:
                    self._condition.wait()
                if self._stopping:
                    return
                events = self._batches[0]
            self._process(events)
            with self._condition:
                self._batches.popleft()
            self.on_consumed(self)

    def _process(self, events: list[Event]) -> None:
        try:
            self._processor.process(events)
        except Exception:
            _logger.exception(
                "listener.processor_failed listener=%s offsets=%s-%s",
                self.name,
                events[0].offset,
                events[-1].offset,
            )


def _ignore(_listener: Listener) -> None:
    pass
