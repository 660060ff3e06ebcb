# SPDX-License-Identifier: Apache-2.0
"""What an event of the log means to the engine (behaviour 2.1 and 2.2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from ai_flow.engine.lifecycle import SCHEDULING_KEY, Occurrence
from notification_service.model.event import Event

#: Who appends what the engine emits; such events were delivered when they were decided.
SCHEDULER_SENDER = "aiflow_scheduler"


def offset_of(event: Event) -> int:
    """Return the offset of an event of the log, which always has one."""
    assert event.offset is not None
    return event.offset


def is_own(event: Event) -> bool:
    """Tell whether a scheduler emitted the event, so that its rules have been evaluated already."""
    return event.sender == SCHEDULER_SENDER


def is_command(event: Event) -> bool:
    """Tell whether the event asks the scheduler for something rather than telling of something."""
    return event.key == SCHEDULING_KEY


def context_of(event: Event) -> Mapping[str, Any]:
    """Return the event's context as an object; anything else in it counts as nothing."""
    if not event.context:
        return {}
    try:
        context = json.loads(event.context)
    except ValueError:
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
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
