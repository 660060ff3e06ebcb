# SPDX-License-Identifier: Apache-2.0
"""The codec of state values: what goes in comes out, type for type."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_flow.runtime.state_codec import JSON, PICKLE, decode, encode, from_wire, to_wire

_TEXT = st.text(st.characters(codec="utf-8"))
_JSON_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT
)
_JSON_VALUES = st.recursive(
    _JSON_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner), max_leaves=20
)
_ANY_TEXT = st.text(st.characters(exclude_categories=()))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.binary() | _ANY_TEXT,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.booleans() | _ANY_TEXT, inner)
        | st.frozensets(st.integers() | st.text())
    ),
    max_leaves=20,
)


def exactly(value: Any) -> Any:
    """Return a form in which 1, 1.0 and True differ, and so do 0.0 and -0.0, a tuple and a list."""
    if isinstance(value, (list, tuple)):
        return type(value), [exactly(item) for item in value]
    if isinstance(value, dict):
        return dict, [(exactly(key), exactly(item)) for key, item in value.items()]
    if isinstance(value, float):
        return float, value, math.copysign(1.0, value)
    return type(value), value


@given(_VALUES)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    encoded = encode(value)

    assert exactly(decode(encoded)) == exactly(value)
    assert exactly(decode(from_wire(json.loads(json.dumps(to_wire(encoded)))))) == exactly(value)


@given(_JSON_VALUES)
def test_plain_values_are_json(value: Any) -> None:
    encoding, data = encode(value)

    assert encoding == JSON
    assert exactly(json.loads(data)) == exactly(value)


class Text(str):
    pass


_TWICE: list[int] = []
_CYCLE: list[Any] = []
_CYCLE.append(_CYCLE)


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1: "a"},
        {"a": (1,)},
        {True: 1},
        b"x",
        math.inf,
        2**63,
        10**5000,
        Text("a"),
        ["\ud83d\ude00"],
        {"\udc80": 1},
        [_TWICE, _TWICE],
        _CYCLE,
        {1, 2},
        1j,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_would_bend_is_a_pickle(value: Any) -> None:
    encoded = encode(value)

    assert encoded[0] == PICKLE
    assert type(decode(encoded)) is type(value)


def test_list_held_twice_is_still_one_list() -> None:
    first, second = decode(encode([_TWICE, _TWICE]))

    assert first is second


def test_deep_value_is_a_pickle() -> None:
    value: list[Any] = []
    for _ in range(200):
        value = [value]

    encoded = encode(value)

    assert encoded[0] == PICKLE
    assert decode(encoded) == value


def test_nan_stays_nan() -> None:
    assert math.isnan(decode(encode(math.nan)))


def test_local_function_and_class_survive() -> None:
    class Local:
        def double(self, number: int) -> int:
            return 2 * number

    assert decode(encode({"f": Local()}))["f"].double(21) == 42
