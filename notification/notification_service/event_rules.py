# SPDX-License-Identifier: Apache-2.0
"""Which events the log takes, and what time it gives them.

Pure functions: no clock and no database. They run on both sides of a connection, so that a bad event is
refused where it is made, and once more where it would be stored.
"""

from __future__ import annotations

from collections.abc import Iterable

from notification_service.errors import InvalidEventError
from notification_service.model.event import Event

#: Longest key, namespace or sender, in characters.
NAME_LIMIT = 1024

#: Longest value or context, in bytes of UTF-8 (16 MiB).
VALUE_LIMIT = 16 * 1024 * 1024

#: How far create_time may run ahead of the clock to stay distinct within a burst.
DRIFT_LIMIT_MS = 1000


def check_events(events: Iterable[Event]) -> None:
    """Raise ``InvalidEventError`` for the first event that the log would not take."""
    for event in events:
        key = event.key
        _check_text("key", key, key, NAME_LIMIT)
        if not key:
            raise InvalidEventError("An event needs a key; the given one is empty.")
        _check_text("value", event.value, key, VALUE_LIMIT)
        _check_text("namespace", event.namespace, key, NAME_LIMIT)
        _check_text("sender", event.sender, key, NAME_LIMIT)
        _check_text("context", event.context, key, VALUE_LIMIT)


def _check_text(field: str, text: object, key: object, limit: int) -> None:
    if text is None and field != "key":
        return
    if not isinstance(text, str):
        raise InvalidEventError(
            f"The {field} of an event must be a string, and that of {key!r} is of type "
            f"{type(text).__name__}.",
            hint="Turn it into a string first, for example with str() or json.dumps().",
        )
    if len(text) * 4 > limit or not text.isascii():
        _check_size(field, text, key, limit)


def _check_size(field: str, text: str, key: object, limit: int) -> None:
    try:
        size = len(text) if limit == NAME_LIMIT else len(text.encode())
        if limit == NAME_LIMIT:
            text.encode()
    except UnicodeEncodeError as error:
        raise InvalidEventError(
            f"The {field} of the event {key!a} is not valid Unicode text: it holds half of a "
            "surrogate pair at "
            f"position {error.start}.",
            hint="Decode bytes with the right encoding, or send them as base64.",
        ) from error
    if size > limit:
        unit = "characters" if limit == NAME_LIMIT else "bytes"
        raise InvalidEventError(
            f"The {field} of the event {str(key)[:60]!a} has {size:,} {unit}; the limit is {limit:,}.",
            hint="Store large data in a file or an object store and send its address.",
        )


def stamp(count: int, *, now_ms: int, last_ms: int) -> list[int]:
    """Return the create_time of ``count`` events that are appended now, after one of ``last_ms``.

    Times are distinct while that takes them less than a second ahead of the clock, so that a client can tell
    two events apart by time; beyond that (a burst, a clock set back) they only never decrease.
    """
    times: list[int] = []
    for _ in range(count):
        if last_ms < now_ms:
            last_ms = now_ms
        elif last_ms + 1 - now_ms < DRIFT_LIMIT_MS:
            last_ms += 1
        times.append(last_ms)
    return times
