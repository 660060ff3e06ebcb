# SPDX-License-Identifier: Apache-2.0
"""Operations over the task socket: a task asks, its supervisor carries out.

A task never opens the store. Its operations travel as ``{"op": "ops", "method": ..., "args": ...}``; the
answer is ``{"value": ...}``, or ``{"error": ...}`` for a refusal, which is raised in the task as the same
exception. The supervisor gives ``Dispatcher.handle`` to its gateway.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.service.codec import decode, decode_error, encode, encode_error
from ai_flow.service.errors import InvalidArgumentError

if TYPE_CHECKING:
    from ai_flow.service.service import Service

#: The operation of the task socket that carries ours.
OPERATION = "ops"

#: What may be asked again when the supervisor went away before it answered: a second time changes nothing.
#: Of the others the caller is told that nobody knows whether they were carried out.
_REPEATABLE = frozenset(
    {"get", "list", "update", "upload", "enable", "disable", "stop", "stop_all", "pause", "resume"}
)


class Dispatcher:
    """The supervisor's side."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def handle(self, op: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a request of a task; a refusal is an answer too."""
        try:
            if op != OPERATION:
                raise InvalidArgumentError("op", op, f"'{OPERATION}'")
            return {"value": encode(self._call(args))}
        except AIFlowException as error:
            return {"error": encode_error(error)}

    def _call(self, args: Mapping[str, Any]) -> Any:
        method, arguments = args.get("method"), decode(args.get("args"))
        if not isinstance(method, str) or not isinstance(arguments, dict):
            raise InvalidArgumentError("args", sorted(args), "'method' and 'args'")
        return self._service.call(method, arguments)


def is_inside_task() -> bool:
    """Tell whether this process belongs to a task, so that operations go to its supervisor."""
    return bool(os.environ.get("AIFLOW_SOCKET") and os.environ.get("AIFLOW_TOKEN"))


def call(method: str, arguments: Mapping[str, Any]) -> Any:
    """Have the supervisor of this task carry out an operation; raise what it refuses with."""
    from notification_service.client.socket_transport import SocketTransport

    transport = SocketTransport.of_task(os.environ)
    try:
        answer = transport.ask(
            OPERATION,
            {"method": method, "args": encode(dict(arguments))},
            repeatable=method.partition(".")[2] in _REPEATABLE,
        )
    finally:
        transport.close()
    if "error" in answer:
        raise decode_error(answer["error"])
    return decode(answer["value"])
