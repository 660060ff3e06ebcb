# SPDX-License-Identifier: Apache-2.0
"""Checks of the arguments of operations; each returns the value or raises ``InvalidArgumentError``."""

from __future__ import annotations

import json
from typing import cast

from ai_flow.service.errors import InvalidArgumentError
from ai_flow.store.catalog import Page

#: The largest id or offset that the store can hold.
_MAX_INTEGER = 2**63 - 1


def checked_text(name: str, value: object) -> str:
    """Return ``value`` if it is a text."""
    if not isinstance(value, str):
        raise InvalidArgumentError(name, value, "a text")
    return value


def checked_id(name: str, value: object) -> int:
    """Return ``value`` if it is a whole number that could be an id."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MAX_INTEGER:
        raise InvalidArgumentError(name, value, "a whole number")
    return value


def checked_page(limit: object, offset: object, after_id: object = 0) -> Page:
    """Return the page of a list; None and 0 are no limit."""
    bounds = {"limit": limit, "offset": offset, "after_id": after_id}
    for name, value in bounds.items():
        if value is not None and checked_id(name, value) < 0:
            raise InvalidArgumentError(name, value, "0 or more")
    return Page(
        limit=cast("int | None", limit), offset=cast("int | None", offset), after_id=cast("int", after_id)
    )


def checked_properties(properties: object) -> str:
    """Return the properties of a namespace as the text of a JSON object."""
    if properties is None:
        return "{}"
    if not isinstance(properties, dict):
        raise InvalidArgumentError("properties", properties, "a dictionary of texts")
    for key, value in cast("dict[object, object]", properties).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise InvalidArgumentError(f"properties[{key!r}]", value, "a text under a text")
    return json.dumps(properties, ensure_ascii=False)


def checked_params(params: object) -> dict[str, str]:
    """Return the parameters of an execution."""
    if params is None:
        return {}
    if not isinstance(params, dict):
        raise InvalidArgumentError("params", params, "a dictionary of texts")
    for key, value in cast("dict[object, object]", params).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise InvalidArgumentError(f"params[{key!r}]", value, "a text under a text")
    return cast("dict[str, str]", params)
