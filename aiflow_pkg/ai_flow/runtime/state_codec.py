# SPDX-License-Identifier: Apache-2.0
"""How a value of a condition's state becomes text or bytes, and back.

A value is JSON where JSON gives exactly the same value back, so that people and other programs can read it
in the store. Everything else (tuples, instances of the user's classes, a list that holds itself) becomes a
pickle, which nothing but a condition host ever opens. ``decode(encode(value))`` equals ``value`` and has
the same types all the way down; that is the one promise of this module, and the reason why it is so picky
about JSON.
"""

from __future__ import annotations

import base64
import json
import math
import pickle
from typing import Any, cast

#: The two encodings, by the names that the store keeps.
JSON = "json"
PICKLE = "pickle"

Encoded = tuple[str, "str | bytes"]

#: Deeper values are pickled: the JSON parser is recursive and has to succeed in any later stack.
_MAX_JSON_DEPTH = 50
#: Longer integers are pickled: readers other than Python round them, and Python limits the digits it parses.
_MAX_JSON_INT_BITS = 63


def encode(value: object) -> Encoded:
    """Return the encoding of ``value`` and its data; raises what pickle raises when it cannot be kept."""
    if _survives_json(value):
        return JSON, json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return PICKLE, dumps(value)


def decode(encoded: Encoded) -> Any:
    """Return a fresh value; what it refers to shares nothing with an earlier one."""
    encoding, data = encoded
    return json.loads(data) if encoding == JSON else pickle.loads(cast("bytes", data))


def dumps(value: object) -> bytes:
    """Return a pickle of ``value`` that may hold functions and classes which no module has."""
    try:
        from cloudpickle import dumps as dumps_by_value
    except ImportError:
        # Enough for all that lives at the top of a module, that is nearly always.
        return pickle.dumps(value)
    return dumps_by_value(value)


def to_wire(encoded: Encoded) -> dict[str, str]:
    """Return the form in which an encoded value travels in a JSON frame."""
    encoding, data = encoded
    return {
        "encoding": encoding,
        "data": data if isinstance(data, str) else base64.b64encode(data).decode("ascii"),
    }


def from_wire(carried: dict[str, str]) -> Encoded:
    """Return the encoded value that ``to_wire`` packed."""
    encoding, data = carried["encoding"], carried["data"]
    return encoding, data if encoding == JSON else base64.b64decode(data)


def _survives_json(value: object) -> bool:
    """Tell whether JSON gives back an equal value of the same types, with nothing shared inside it."""
    seen: set[int] = set()
    level = [value]
    for _ in range(_MAX_JSON_DEPTH):
        inner: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is list or kind is dict:
                # JSON would turn one list that is held twice into two lists, and cannot hold a cycle.
                if id(item) in seen:
                    return False
                seen.add(id(item))
            if kind is list:
                inner.extend(item)  # type: ignore[arg-type]
            elif kind is dict:
                if not all(type(key) is str and _is_plain_text(key) for key in item):  # type: ignore[union-attr]
                    return False
                inner.extend(item.values())  # type: ignore[union-attr]
            elif not _is_plain_scalar(item):
                return False
        if not inner:
            return True
        level = inner
    return False


def _is_plain_scalar(value: object) -> bool:
    kind = type(value)
    if value is None or kind is bool:
        return True
    if kind is int:
        return value.bit_length() <= _MAX_JSON_INT_BITS  # type: ignore[attr-defined]
    if kind is float:
        return math.isfinite(value)  # type: ignore[arg-type]
    return kind is str and _is_plain_text(value)  # type: ignore[arg-type]


def _is_plain_text(text: str) -> bool:
    """Refuse lone surrogates: two of them side by side would come back from JSON as one character."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
