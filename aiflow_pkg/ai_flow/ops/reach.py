# SPDX-License-Identifier: Apache-2.0
"""How an operation reaches the service: over the task socket inside a task, else through the home's store.

The store is opened for one call and closed again, so that a script holds nothing between its calls; what that
needs is imported here when it is needed, because a task's Python may not have it.
"""

from __future__ import annotations

import sys
from typing import Any

from ai_flow.service import remote
from ai_flow.service.errors import CalledInConditionError, CalledWhileLoadingError, UnavailableError
from notification_service.errors import NotificationError


def call(method: str, /, **arguments: Any) -> Any:
    """Carry out the operation ``method`` (see ``ai_flow.service.service``)."""
    refuse_in_user_code(method)
    try:
        if remote.is_inside_task():
            return remote.call(method, arguments)
        return _call_store(method, arguments)
    except NotificationError as error:
        # A full disk, a damaged or newer store, a supervisor that is gone: the sentence says which.
        raise UnavailableError(str(error)) from error


def refuse_in_user_code(method: str) -> None:
    """Refuse operations of a workflow file that is being executed as a module, and of conditions.

    That happens once for every task and every evaluation: a start at the top of a file would start itself
    again and again.
    """
    frame = sys._getframe()
    while frame is not None:
        module, function = frame.f_globals.get("__name__"), frame.f_code.co_name
        if module == "ai_flow.runtime.workflow_file" or (
            module == "ai_flow.runtime.condition_host" and function == "_execute"
        ):
            raise CalledWhileLoadingError(method)
        if module == "ai_flow.runtime.condition_host":
            raise CalledInConditionError(method)
        frame = frame.f_back


def _call_store(method: str, arguments: dict[str, Any]) -> Any:
    try:
        from ai_flow.service.service import open_service
    except ImportError as error:
        raise UnavailableError(
            f"This Python cannot open the store, because it has no package {error.name}: "
            "install aiflow in it."
        ) from error
    from ai_flow.common.home import aiflow_home

    with open_service(aiflow_home()) as service:
        return service.call(method, arguments)
