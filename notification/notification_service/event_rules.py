# SPDX-License-Identifier: Apache-2.0
"""Which events the log takes, and what time it gives them.

Pure functions: no clock and no database. They run on both sides of a connection, so that a bad event is
refused where it is made, and once more where it would be stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import cast

from notification_service.drafts import Drafts
from notification_service.errors import InvalidEventError
from notification_service.model.event import Event

#: Longest key, namespace or sender, in characters.
NAME_LIMIT = 1024

#: Longest value or context, in bytes of UTF-8 (16 MiB).
VALUE_LIMIT = 16 * 1024 * 1024

#: A column is looked at as one text up to this size; larger ones are not worth a copy.
_JOIN_LIMIT = 16 * 1024 * 1024

_key_of = attrgetter("key")
_value_of = attrgetter("value")
_namespace_of = attrgetter("namespace")
_sender_of = attrgetter("sender")
_context_of = attrgetter("context")

#: How far create_time may run ahead of the clock to stay distinct within a burst.
DRIFT_LIMIT_MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Under which namespace and sender a client sends, whatever its events say."""

    namespace: str | None
    sender: str | None


def check_events(events: Sequence[Event], origin: Origin | None = None) -> Drafts:
    """Return the events by column, or raise ``InvalidEventError`` for one that the log would not take."""
    keys = _column("key", _key_of, events, NAME_LIMIT)
    values = _column("value", _value_of, events, VALUE_LIMIT)
    contexts = _column("context", _context_of, events, VALUE_LIMIT)
    if origin is None:
        namespaces = _column("namespace", _namespace_of, events, NAME_LIMIT)
        senders = _column("sender", _sender_of, events, NAME_LIMIT)
    else:
        namespaces = (_checked("namespace", origin.namespace, "", NAME_LIMIT),) * len(keys)
        senders = (_checked("sender", origin.sender, "", NAME_LIMIT),) * len(keys)
    return Drafts(keys=keys, values=values, namespaces=namespaces, senders=senders, contexts=contexts)


def stamp(count: int, *, now_ms: int, last_ms: int) -> Sequence[int]:
    """Return the create_time of ``count`` events that are appended now, after one of ``last_ms``.

    Times are distinct while that takes them less than a second ahead of the clock, so that a client can tell
    two events apart by time; beyond that (a burst, a clock set back) they only never decrease.
    """
    first_ms = max(now_ms, last_ms + 1)
    distinct = max(0, min(count, now_ms + DRIFT_LIMIT_MS - first_ms))
    if distinct == count:
        return range(first_ms, first_ms + count)
    highest_ms = first_ms + distinct - 1 if distinct else last_ms
    return [*range(first_ms, first_ms + distinct), *[highest_ms] * (count - distinct)]


def _column(
    field: str, field_of: Callable[[Event], object], events: Sequence[Event], limit: int
) -> Sequence[str]:
    if len(events) == 1:
        return (_checked(field, field_of(events[0]), events[0].key, limit),)
    if not events:
        return ()
    texts = list(map(field_of, events))
    if field != "key" and texts.count(None) == len(texts):
        return [""] * len(texts)
    if _is_plain(texts, limit, field):
        return cast("list[str]", texts)
    for text, event in zip(texts, events, strict=True):
        _check_text(field, text, event.key, limit)
    return [cast("str | None", text) or "" for text in texts]


def _is_plain(texts: list[object], limit: int, field: str) -> bool:
    """Tell quickly whether a column surely keeps the rules; False only means that a closer look is needed."""
    column = cast("list[str]", texts)
    try:
        longest = max(map(len, column))
        if longest * 4 > limit or longest * len(column) > _JOIN_LIMIT or (field == "key" and not all(column)):
            return False
        joined = "".join(column)  # takes nothing but text
        return joined.isascii() or bool(joined.encode())
    except (TypeError, UnicodeEncodeError):
        return False


def _checked(field: str, text: object, key: object, limit: int) -> str:
    _check_text(field, text, key, limit)
    return cast("str | None", text) or ""


def _check_text(field: str, text: object, key: object, limit: int) -> None:
    if text is None and field != "key":
        return
    if not isinstance(text, str):
        raise InvalidEventError(
            f"The {field} of an event must be a string; that of {key!r} is of type {type(text).__name__}.",
            hint="Turn it into a string first, for example with str() or json.dumps().",
        )
    if field == "key" and not text:
        raise InvalidEventError("An event needs a key; the given one is empty.")
    if len(text) > limit or not text.isascii():
        _check_size(field, text, key, limit)


def _check_size(field: str, text: str, key: object, limit: int) -> None:
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidEventError(
            f"The {field} of the event {key!a} is not valid Unicode text: it holds half of a surrogate "
            f"pair at position {error.start}.",
            hint="Decode bytes with the right encoding, or send them as base64.",
        ) from error
    size, unit = (len(text), "characters") if limit == NAME_LIMIT else (len(encoded), "bytes")
    if size > limit:
        raise InvalidEventError(
            f"The {field} of the event {str(key)[:60]!a} has {size:,} {unit}; the limit is {limit:,}.",
            hint="Store large data in a file or an object store and send its address.",
        )
