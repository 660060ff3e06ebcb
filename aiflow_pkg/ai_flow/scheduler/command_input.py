# SPDX-License-Identifier: Apache-2.0
"""Carrying out commands: events of the log that ask the scheduler for something (behaviour 2.1).

The rows that a command names are loaded here and handed to the engine. A command that does not apply (any
more) is recorded as refused with the reason, under the offset of its event.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ai_flow.engine.decide import Engine, Outcome
from ai_flow.engine.world import StopOrigin
from ai_flow.model.action import TaskAction
from ai_flow.model.status import WorkflowStatus
from ai_flow.scheduler.log_input import LARGEST_ID, context_of, offset_of
from ai_flow.store import world_store
from ai_flow.store.world_store import GraphCache
from notification_service.database.port import WriteTransaction
from notification_service.model.event import Event

_log = logging.getLogger(__name__)

_TASK_COMMANDS = {f"{action.value}_TASK_EXECUTION": action for action in TaskAction}


def apply_command(tx: WriteTransaction, engine: Engine, graphs: GraphCache, event: Event) -> None:
    """Carry out one command event."""
    context = context_of(event)
    try:
        _apply(tx, engine, graphs, event, context)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        engine.changes.refusals.append(
            (offset_of(event), f"the command {event.value} is malformed: {error!r}")
        )


def _apply(
    tx: WriteTransaction, engine: Engine, graphs: GraphCache, event: Event, context: Mapping[str, Any]
) -> None:
    kind, offset = event.value, offset_of(event)
    if kind == "START_WORKFLOW_EXECUTION":
        _start_execution(tx, engine, graphs, _id_in(context, "workflow_execution_id"), offset)
    elif kind == "STOP_WORKFLOW_EXECUTION":
        engine.stop_execution(
            _id_in(context, "workflow_execution_id"),
            offset=offset,
            origin=StopOrigin(context.get("origin", "person")),
            reason=str(context.get("reason") or "a person stopped it"),
        )
    elif kind == "FAIL_WORKFLOW_EXECUTION":
        execution_id = _id_in(context, "workflow_execution_id")
        engine.give_up(execution_id, offset=offset, reason=str(context["reason"]))
    elif kind in _TASK_COMMANDS:
        engine.command_task(
            _id_in(context, "workflow_execution_id"),
            str(context["task_name"]),
            _TASK_COMMANDS[kind],
            offset=offset,
            sequence_number=context.get("sequence_number"),
        )
    elif kind == "WORKFLOW_CHANGED":
        _reload_workflow(tx, engine, _id_in(context, "workflow_id"))
    elif kind == "ATTEMPT_CLAIMED":
        engine.claimed(str(context["attempt_id"]))
    elif kind == "ATTEMPT_FINISHED":
        reason = context.get("reason")
        engine.outcome(
            Outcome(
                attempt_id=str(context["attempt_id"]),
                outcome=str(context["outcome"]),
                reason=None if reason is None else str(reason),
            )
        )
    else:
        engine.changes.refusals.append((offset, f"there is no command {kind!r}"))


def _id_in(context: Mapping[str, Any], name: str) -> int:
    """Return an id; raise ``ValueError`` for what can be none."""
    id = int(context[name])
    if not 0 < id <= LARGEST_ID:
        raise ValueError(f"{name} is out of range")
    return id


def _start_execution(
    tx: WriteTransaction, engine: Engine, graphs: GraphCache, execution_id: int, offset: int
) -> None:
    execution = world_store.load_execution(tx, execution_id, graphs)
    if execution is None:
        engine.changes.refusals.append((offset, f"workflow execution {execution_id} does not exist"))
    elif execution.status is not WorkflowStatus.INIT:
        engine.changes.refusals.append((offset, f"workflow execution {execution_id} was started before"))
    else:
        engine.start_execution(execution)


def _reload_workflow(tx: WriteTransaction, engine: Engine, workflow_id: int) -> None:
    workflow = world_store.load_workflow(tx, workflow_id)
    if workflow is None:
        engine.remove_workflow(workflow_id)
    else:
        engine.put_workflow(workflow)
