# SPDX-License-Identifier: Apache-2.0
"""Which events of the log somebody asks for.

One value for all ways to ask: the client, the task socket, the command line. None, "" and "*" mean any, as
they always did. Standard library only: it runs in the user's Python.
"""

from __future__ import annotations

from dataclasses import dataclass

from notification_service.model.event import ANY_CONDITION


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """The conditions that an event meets; all of them."""

    key: str | None = None
    namespace: str | None = None
    sender: str | None = None
    begin_offset: int | None = None  # exclusive; None or 0: from the first event that is left
    end_offset: int | None = None  # inclusive; None or 0: to the last event
    begin_time: int | None = None  # create_time in ms, inclusive

    def texts(self) -> dict[str, str | None]:
        """Return what key, namespace and sender must equal, None where any will do."""
        return {"key": _given(self.key), "namespace": _given(self.namespace), "sender": _given(self.sender)}


def _given(text: str | None) -> str | None:
    return None if text in (None, "", ANY_CONDITION) else text
