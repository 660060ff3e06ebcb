# SPDX-License-Identifier: Apache-2.0
"""Sending and listening to events from within a task (manual 4.7).

The client knows whose events it sends: their namespace is the one of the workflow, their sender the run of
the task, and their context names the workflow execution, so that rules of other executions never see them.
How an event travels is left to ``EmbeddedNotificationClient``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.model.checks import checked_event_key
from ai_flow.model.internal.contexts import get_runtime_task_context
from ai_flow.model.internal.event_names import EventContextConstant
from ai_flow.model.task_execution import TaskExecutionKey
from notification_service.client.embedded_notification_client import EmbeddedNotificationClient
from notification_service.client.notification_client import ListenerProcessor, ListenerRegistrationId
from notification_service.model.event import Event

__all__ = ["AIFlowNotificationClient", "Event", "ListenerProcessor", "ListenerRegistrationId"]

#: In a burst the times of events run ahead of the clock, and clocks differ: "now" must lie after every event.
_BEYOND_THE_LAST_EVENT = timedelta(days=1)


class AIFlowNotificationClient:
    """Sends events and listens to them, inside a task only.

    ``server_uri`` is the address of the notification service, such as ``localhost:50052``. One client may be
    shared by many threads. Close it when it is no longer needed, or use it in a ``with`` statement.

    It also works in a program that a task started, such as a Python script run by a ``BashOperator``.

    >>> def produce():
    ...     client = AIFlowNotificationClient("localhost:50052")
    ...     try:
    ...         client.send_event(key="num_event", value="7")
    ...     finally:
    ...         client.close()
    >>> produce()
    Traceback (most recent call last):
      ...
    ai_flow.common.exception.exceptions.AIFlowException: AIFlowNotificationClient can only be used in AIFlow
    operators.
    """

    def __init__(self, server_uri: str) -> None:
        run = _current_run()
        if run is None:
            raise AIFlowException("AIFlowNotificationClient can only be used in AIFlow operators.")
        self._context = json.dumps(
            {EventContextConstant.WORKFLOW_EXECUTION_ID: run.key.workflow_execution_id}
        )
        self._client = EmbeddedNotificationClient(server_uri, namespace=run.namespace, sender=str(run.key))

    def __enter__(self) -> AIFlowNotificationClient:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def send_event(self, key: str, value: str | None = None) -> Event:
        """Send an event to the rules of this workflow execution and to the listeners of this namespace.

        Return the event as stored, with its offset and time; it is durable then. A value of None is stored as
        an empty text.
        """
        return self._client.send_event(self._own_event(key, value))

    def send_events(self, events: Iterable[Event | tuple[str, str | None]]) -> list[Event]:
        """Send many events at once, in their order; much faster than one by one.

        Each is an ``Event`` or a pair of key and value. Return them as stored.
        """
        return list(self._client.send_events([self._own_event(*_key_and_value(event)) for event in events]))

    def register_listener(
        self,
        listener_processor: ListenerProcessor,
        event_keys: list[str] | None = None,
        begin_time: datetime | None = None,
    ) -> ListenerRegistrationId:
        """Call ``listener_processor.process`` with events as they come, from another thread.

        With ``event_keys`` it gets the events of this namespace that have one of the keys, those of other
        executions included; without, every event of every namespace. It begins at ``begin_time``, or now.
        """
        offset = self._client.time_to_offset(begin_time or datetime.now() + _BEYOND_THE_LAST_EVENT)
        return self._client.register_listener(listener_processor, event_keys, offset)

    def unregister_listener(self, registration_id: ListenerRegistrationId) -> None:
        """End a listener; when this returns its processor is not called any more."""
        self._client.unregister_listener(registration_id)

    def close(self) -> None:
        """End all listeners and the connection."""
        self._client.close()

    def _own_event(self, key: str, value: str | None) -> Event:
        event = Event(checked_event_key(key), value)
        event.context = self._context
        return event


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    namespace: str
    key: TaskExecutionKey


def _current_run() -> _Run | None:
    """Return the run of a task that this process belongs to, None outside."""
    context = get_runtime_task_context()
    if context is not None:
        return _Run(namespace=context.workflow.namespace, key=context.task_execution_key)
    return _run_in(os.environ)


def _run_in(environment: Mapping[str, str]) -> _Run | None:
    # A program that a task started has no context in memory, but it inherits the variables of the task.
    try:
        key = TaskExecutionKey(
            workflow_execution_id=int(environment["AIFLOW_WORKFLOW_EXECUTION_ID"]),
            task_name=environment["AIFLOW_TASK_NAME"],
            seq_num=int(environment["AIFLOW_SEQUENCE_NUMBER"]),
        )
        return _Run(namespace=environment["AIFLOW_NAMESPACE"], key=key)
    except (KeyError, ValueError):
        return None


def _key_and_value(event: object) -> tuple[str, str | None]:
    if isinstance(event, Event):
        return event.key, event.value
    if isinstance(event, tuple) and len(event) == 2:
        return event
    raise AIFlowException(f"{event!r} cannot be sent: give an Event or a pair of key and value.")
