# SPDX-License-Identifier: Apache-2.0
"""How values of operations travel as JSON between a task and its supervisor.

Numbers, texts, None, lists and dictionaries are themselves; a Meta object, bytes or a time is a dictionary
with the one key ``$meta``, ``$bytes`` or ``$ms``. Times are local on both sides, which are on one machine;
the wire has milliseconds since the epoch, so that a time zone set for one task does no harm. Standard
library only.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.metadata.namespace import NamespaceMeta
from ai_flow.metadata.task_execution import TaskExecutionMeta
from ai_flow.metadata.workflow import WorkflowMeta
from ai_flow.metadata.workflow_event_trigger import WorkflowEventTriggerMeta
from ai_flow.metadata.workflow_execution import WorkflowExecutionMeta
from ai_flow.metadata.workflow_snapshot import WorkflowSnapshotMeta
from ai_flow.service import errors

_METAS: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (
        NamespaceMeta,
        TaskExecutionMeta,
        WorkflowEventTriggerMeta,
        WorkflowExecutionMeta,
        WorkflowMeta,
        WorkflowSnapshotMeta,
    )
}


def encode(value: object) -> Any:
    """Return ``value`` as data that JSON can hold."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, datetime):
        return {"$ms": round(value.timestamp() * 1000)}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in cast("list[object]", value)]
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        if all(isinstance(key, str) and not key.startswith("$") for key, _ in items):
            return {key: encode(item) for key, item in items}
        return {"$map": [[encode(key), encode(item)] for key, item in items]}
    if type(value).__name__ in _METAS:
        names = [field.name for field in dataclasses.fields(cast("Any", value))]
        fields = {name: encode(getattr(value, name)) for name in names}
        return {"$meta": type(value).__name__, "fields": fields}
    # Not a value of any operation: the other side says what was wanted instead.
    return repr(value)


def decode(data: Any) -> Any:
    """Return the value that ``encode`` was given."""
    if isinstance(data, list):
        return [decode(item) for item in cast("list[Any]", data)]
    if not isinstance(data, dict):
        return data
    fields = cast("dict[str, Any]", data)
    if "$bytes" in fields:
        return base64.b64decode(fields["$bytes"])
    if "$ms" in fields:
        return datetime.fromtimestamp(fields["$ms"] / 1000)
    if "$map" in fields:
        return {decode(key): decode(item) for key, item in fields["$map"]}
    if "$meta" in fields:
        return _METAS[fields["$meta"]](**{name: decode(item) for name, item in fields["fields"].items()})
    return {key: decode(item) for key, item in fields.items()}


def encode_error(error: AIFlowException) -> dict[str, Any]:
    """Return an error as data: the name of its class, message, code, hint and plain attributes."""
    attributes = {name: value for name, value in vars(error).items() if _is_plain(value)}
    return {
        "kind": type(error).__name__,
        "message": str(error),
        "code": error.code,
        "attributes": {**attributes, "hint": error.hint},
    }


def decode_error(data: Mapping[str, Any]) -> AIFlowException:
    """Return the error that ``encode_error`` was given; one of an unknown class keeps its code at least."""
    found = vars(errors).get(data["kind"])
    kind = found if isinstance(found, type) and issubclass(found, AIFlowException) else AIFlowException
    # Not through the constructor, which builds the message from ids.
    error = kind.__new__(kind)
    error.args = (data["message"],)
    error.__dict__.update(data["attributes"])
    if kind is not found:
        error.__dict__["code"] = data["code"]
    return error


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))
