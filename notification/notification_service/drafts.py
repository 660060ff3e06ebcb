# SPDX-License-Identifier: Apache-2.0
"""Events on their way into the log, and back to who sent them.

Both are kept by column: then the checks of a bulk, its rows and its answer are put together in C, at a
fraction of what a Python loop over the events costs. The events of an answer are built when somebody looks
at them, which a sender of thousands mostly does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import overload

from notification_service.model.event import Event

Texts = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafts:
    """Checked events without offsets, by column; unset texts are empty."""

    keys: Texts
    values: Texts
    namespaces: Texts
    senders: Texts
    contexts: Texts

    def __len__(self) -> int:
        return len(self.keys)

    def part(self, begin: int, end: int) -> Drafts:
        """Return some of the drafts."""
        if begin == 0 and end >= len(self):
            return self
        return Drafts(
            keys=self.keys[begin:end],
            values=self.values[begin:end],
            namespaces=self.namespaces[begin:end],
            senders=self.senders[begin:end],
            contexts=self.contexts[begin:end],
        )

    @classmethod
    def joined(cls, parts: Sequence[Drafts]) -> Drafts:
        """Put the drafts of several callers behind each other."""
        keys, values, namespaces, senders, contexts = (
            list(chain.from_iterable(columns))
            for columns in zip(*(part.columns() for part in parts), strict=True)
        )
        return cls(keys=keys, values=values, namespaces=namespaces, senders=senders, contexts=contexts)

    def columns(self) -> tuple[Texts, Texts, Texts, Texts, Texts]:
        """Return the columns in the order of an event's constructor."""
        return self.keys, self.values, self.namespaces, self.senders, self.contexts


class StoredEvents(Sequence[Event]):
    """What an append returns: the drafts with their offsets and times."""

    __slots__ = ("_drafts", "offsets", "times")

    def __init__(self, drafts: Drafts, offsets: Sequence[int], times: Sequence[int]) -> None:
        self._drafts = drafts
        self.offsets = offsets
        self.times = times

    def __len__(self) -> int:
        return len(self.offsets)

    @overload
    def __getitem__(self, index: int) -> Event: ...

    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...

    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        if isinstance(index, slice):
            return list(self)[index]
        keys, values, namespaces, senders, contexts = self._drafts.columns()
        return Event(
            keys[index],
            values[index],
            namespaces[index],
            senders[index],
            contexts[index],
            self.times[index],
            self.offsets[index],
        )

    def __iter__(self) -> Iterator[Event]:
        return map(Event, *self._drafts.columns(), self.times, self.offsets)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)  # pyright: ignore[reportUnknownArgumentType]

    __hash__ = None  # type: ignore[assignment]  # events can change

    def __repr__(self) -> str:
        return f"StoredEvents({list(self)!r})"
