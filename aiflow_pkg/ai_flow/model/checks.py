# SPDX-License-Identifier: Apache-2.0
"""Checks of single values of a definition: names, event keys, actions, statuses, conditions.

Each function returns the value, cleaned where there is something to clean, or raises the ``DefinitionError``
that says what is wrong. Options of operators are checked in ``options``, periodic expressions in
``periodic``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ai_flow.model.action import TaskAction
from ai_flow.model.errors import (
    InvalidActionError,
    InvalidConditionError,
    InvalidEventKeyError,
    InvalidNameError,
    InvalidStatusError,
)
from ai_flow.model.status import TaskStatus

if TYPE_CHECKING:
    from ai_flow.model.condition import Condition

#: A name is a directory name; file systems allow 255 bytes, and the key of a status event holds three names.
MAX_NAME_BYTES = 240
#: The column of the event log that holds the key.
MAX_KEY_CHARACTERS = 1024


def checked_name(what: str, name: object) -> str:
    """Return ``name`` as plain text if a workflow, namespace or task can be called that."""
    if not isinstance(name, str):
        raise InvalidNameError(what, name, f"it is not a text but of type {type(name).__name__}")
    text = str.__str__(name)  # of an enumeration's member: its value
    reason = _fault_of_name(text)
    if reason is not None:
        raise InvalidNameError(what, text, reason)
    return text


def checked_event_key(key: object) -> str:
    """Return ``key`` as plain text if an event can have it."""
    if not isinstance(key, str):
        raise InvalidEventKeyError(key, f"it is not a text but of type {type(key).__name__}")
    text = str.__str__(key)
    if not text:
        raise InvalidEventKeyError(text, "it is empty")
    if len(text) > MAX_KEY_CHARACTERS:
        raise InvalidEventKeyError(text, f"it has {len(text)} characters")
    return text


def checked_action(action: object) -> TaskAction:
    """Return ``action`` as a ``TaskAction``; its bare value is accepted."""
    try:
        return TaskAction(action)
    except ValueError:
        raise InvalidActionError(action) from None


def checked_status(status: object) -> TaskStatus:
    """Return ``status`` as a ``TaskStatus``; its bare value is accepted."""
    try:
        return TaskStatus(status)
    except ValueError:
        raise InvalidStatusError(status, [known.value for known in TaskStatus]) from None


def checked_condition(condition: object) -> Condition:
    """Return ``condition`` if it is one and listens to at least one key."""
    from ai_flow.model.condition import Condition  # it checks its own arguments with this package's errors

    if not isinstance(condition, Condition):
        found = f"the class {condition.__name__}" if isinstance(condition, type) else repr(condition)
        raise InvalidConditionError(
            found, "it is not an instance of a subclass of ai_flow.model.condition.Condition"
        )
    keys = cast("object", getattr(condition, "expect_event_keys", None))
    name = type(condition).__name__
    if keys is None:
        raise InvalidConditionError(name, "its __init__ does not call super().__init__(expect_event_keys)")
    if not isinstance(keys, (list, tuple, set, frozenset)) or not keys:
        raise InvalidConditionError(
            name, "it expects no event, so it would never be evaluated: name at least one key"
        )
    for key in cast("list[object]", keys):
        checked_event_key(key)
    return condition


def _fault_of_name(text: str) -> str | None:
    if not text:
        return "it is empty"
    if text in (".", ".."):
        return "it means a directory"
    if text != text.strip(" "):
        return "it begins or ends with a space"
    if text.startswith("-"):
        return "it begins with '-'"
    for character in text:
        if character in "/\\" or not character.isprintable():
            return f"it contains {character!r}"
    size = len(text.encode())
    return f"it is {size} bytes long" if size > MAX_NAME_BYTES else None
