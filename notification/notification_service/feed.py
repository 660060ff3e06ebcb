# SPDX-License-Identifier: Apache-2.0
"""Pass new events on to many listeners with few queries.

Listeners that stand at the same offset share one read of the log, so at the end of the log, where nearly
all of them are, a commit costs one query however many listen. A listener that is busy is left behind and
reads on by itself later. A position moves past events that a listener does not want.

If retention overtakes a listener it is told so and goes on where the log now begins. Cursor safety: the
log is dense and in commit order (see ``event_log``), so "all events above my offset" never misses one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from notification_service.errors import OffsetOutOfRange
from notification_service.event_log import EventLog
from notification_service.model.event import Event

#: Events per read; more would hold up the loop that pumps.
PAGE_EVENTS = 500


@dataclass(slots=True, kw_only=True, eq=False)
class Subscription:
    """What one listener wants and how far it is."""

    keys: frozenset[str] | None  # None: every event of every namespace
    namespace: str | None
    position: int
    is_ready: Callable[[], bool]
    deliver: Callable[[list[Event], int], None]  # the events, and the offset that they reach
    report_gap: Callable[[OffsetOutOfRange], None]

    def wants(self, event: Event) -> bool:
        """Tell whether the event is for this listener."""
        if self.keys is None:
            return True
        return event.key in self.keys and (not self.namespace or event.namespace == self.namespace)


class Feed:
    """The listeners of one process at one log. Not thread-safe: one thread pumps."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._subscriptions: set[Subscription] = set()

    def add(self, subscription: Subscription) -> None:
        """Begin to listen above the position of the subscription; 0 means from the first event left."""
        self._subscriptions.add(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Deliver nothing more; harmless when it was removed before."""
        self._subscriptions.discard(subscription)

    def __len__(self) -> int:
        return len(self._subscriptions)

    def pump(self) -> bool:
        """Deliver a page of what is new; return whether a ready listener has more to read."""
        by_position: dict[int, list[Subscription]] = {}
        for subscription in self._subscriptions:
            if subscription.is_ready():
                by_position.setdefault(subscription.position, []).append(subscription)
        more = False
        for position, subscriptions in by_position.items():
            more |= self._pump_position(position, subscriptions)
        return more

    def _pump_position(self, position: int, subscriptions: Iterable[Subscription]) -> bool:
        try:
            with self._log.database.read() as tx:
                begin = position or self._log.removed_through(tx)
                events = self._log.read_after(tx, begin, limit=PAGE_EVENTS)
        except OffsetOutOfRange as gap:
            for subscription in subscriptions:
                subscription.position = gap.removed_through
                subscription.report_gap(gap)
            return True
        if not events:
            return False
        reached = events[-1].offset or position
        for subscription in subscriptions:
            subscription.position = reached
            wanted = [event for event in events if subscription.wants(event)]
            if wanted:
                subscription.deliver(wanted, reached)
        return True
