# SPDX-License-Identifier: Apache-2.0
"""What an event of the log means to the engine (behaviour 2.1 and 2.2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from ai_flow.engine.lifecycle import (
    PERIODIC_RUN_TASK,
    SCHEDULING_KEY,
    TASK_STATUS_CHANGED,
    Occurrence,
)
from notification_service.model.event import Event

#: Who appends what the engine emits; such events were delivered when they were decided.
SCHEDULER_SENDER = "aiflow_scheduler"
_EMITTED_VALUES = frozenset({TASK_STATUS_CHANGED, PERIODIC_RUN_TASK})

#: The greatest number that the store can hold.
LARGEST_ID = 2**63 - 1
#: What no execution has as its id: an event that names a number out of range reaches nobody.
_NO_EXECUTION = 0


def offset_of(event: Event) -> int:
    """Return the offset of an event of the log, which always has one."""
    assert event.offset is not None
    return event.offset


def is_own(event: Event) -> bool:
    """Tell whether a scheduler emitted the event, so that its rules have been evaluated already.

    A task may have the name of the sender, too; what it sends is not of these kinds.
    """
    return event.sender == SCHEDULER_SENDER and event.value in _EMITTED_VALUES


def is_command(event: Event) -> bool:
    """Tell whether the event asks the scheduler for something rather than telling of something."""
    return event.key == SCHEDULING_KEY


def context_of(event: Event) -> Mapping[str, Any]:
    """Return the event's context as an object; anything else in it counts as nothing."""
    if not event.context:
        return {}
    try:
        context = json.loads(event.context)
        if "\\u" in event.context:
            # Half of a surrogate pair can be written in JSON, but not stored as text.
            whole = json.dumps(context, ensure_ascii=False).encode("utf-8", "replace")
            context = json.loads(whole)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", context) if isinstance(context, dict) else {}


def occurrence_of(event: Event) -> Occurrence:
    """Return the event in the engine's form."""
    context = context_of(event)
    status = context.get("task_status")
    return Occurrence(
        offset=offset_of(event),
        namespace=event.namespace or "",
        key=event.key,
        execution_id=_id_in(context.get("workflow_execution_id")),
        reported_status=status if isinstance(status, str) else None,
    )


def _id_in(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value) if len(value) < 20 else LARGEST_ID + 1
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 < value <= LARGEST_ID else _NO_EXECUTION
