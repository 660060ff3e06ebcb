# SPDX-License-Identifier: Apache-2.0
"""Commands: what people and programs ask of the scheduler.

A command checks its preconditions, reserves the ids that it answers with and appends an event, all in the
caller's transaction; the holder of the scheduler lease carries it out when it reaches the event, or records
why it no longer applies. Every function returns what is certain after the commit, not what the scheduler
will make of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from ai_flow.engine.lifecycle import SCHEDULING_KEY
from ai_flow.model.action import TaskAction
from ai_flow.model.execution_type import ExecutionType
from notification_service.database.port import WriteTransaction
from notification_service.database.statements import load_statements
from notification_service.event_log import EventLog
from notification_service.model.event import Event

SQL = load_statements(__package__, "sql/execution.sql")

#: Who appends commands.
COMMAND_SENDER = "aiflow_client"


@dataclass(frozen=True, slots=True)
class Commands:
    """Appends commands to the log of one store."""

    log: EventLog

    def create_execution(
        self,
        tx: WriteTransaction,
        *,
        workflow_id: int,
        snapshot_id: int,
        run_type: ExecutionType,
        now_ms: int,
        owner: str | None = None,
        params: Mapping[str, str] | None = None,
        trigger_id: int | None = None,
    ) -> int:
        """Reserve an execution of a snapshot and ask for its start; return its id."""
        execution_id = tx.insert(
            SQL.insert_execution,
            workflow_id=workflow_id,
            snapshot_id=snapshot_id,
            run_type=run_type.value,
            owner=owner,
            params=json.dumps(dict(params or {})),
            # The event appended next: only what follows it is the execution's own.
            created_offset=self.log.head(tx) + 1,
            trigger_id=trigger_id,
            begin_at=now_ms,
        )
        context = {
            "workflow_id": workflow_id,
            "workflow_snapshot_id": snapshot_id,
            "workflow_execution_id": execution_id,
        }
        self._append(tx, "START_WORKFLOW_EXECUTION", context, now_ms)
        return execution_id

    def stop_execution(
        self,
        tx: WriteTransaction,
        execution_id: int,
        *,
        now_ms: int,
        reason: str | None = None,
        origin: str = "person",
    ) -> None:
        """Ask for everything of an execution to be stopped.

        It ends STOPPED when a ``person`` asked; as its tasks ended when the ``rule`` was that it cannot go
        on.
        """
        context = {"workflow_execution_id": execution_id, "reason": reason, "origin": origin}
        self._append(tx, "STOP_WORKFLOW_EXECUTION", context, now_ms)

    def fail_execution(self, tx: WriteTransaction, execution_id: int, *, reason: str, now_ms: int) -> None:
        """Ask for an execution of which nothing runs to be ended FAILED."""
        context = {"workflow_execution_id": execution_id, "reason": reason}
        self._append(tx, "FAIL_WORKFLOW_EXECUTION", context, now_ms)

    def command_task(
        self, tx: WriteTransaction, execution_id: int, task_name: str, action: TaskAction, *, now_ms: int
    ) -> int:
        """Ask for a START, STOP or RESTART of a task; return the sequence number that a START will get."""
        row = tx.row(SQL.latest_sequence_number, workflow_execution_id=execution_id, task_name=task_name)
        number = (cast("int | None", row[0]) if row else None) or 0
        context = {
            "workflow_execution_id": execution_id,
            "task_name": task_name,
            "sequence_number": number + 1 if action is TaskAction.START else number,
        }
        self._append(tx, f"{action.value}_TASK_EXECUTION", context, now_ms)
        return number + 1

    def announce_workflow(self, tx: WriteTransaction, workflow_id: int, *, now_ms: int) -> int:
        """Tell the scheduler that a workflow or its triggers changed; return the event's offset."""
        return self._append(tx, "WORKFLOW_CHANGED", {"workflow_id": workflow_id}, now_ms)

    def report_claim(self, tx: WriteTransaction, attempt_id: str, *, now_ms: int) -> None:
        """Tell the scheduler that an attempt is being started by the process that owns it."""
        self._append(tx, "ATTEMPT_CLAIMED", {"attempt_id": attempt_id}, now_ms)

    def report_outcome(
        self, tx: WriteTransaction, attempt_id: str, outcome: str, reason: str | None, *, now_ms: int
    ) -> None:
        """Tell the scheduler how an attempt ended."""
        context = {"attempt_id": attempt_id, "outcome": outcome, "reason": reason}
        self._append(tx, "ATTEMPT_FINISHED", context, now_ms)

    def _append(self, tx: WriteTransaction, kind: str, context: Mapping[str, object], now_ms: int) -> int:
        event = Event(SCHEDULING_KEY, kind)
        event.sender = COMMAND_SENDER
        event.context = json.dumps(context)
        offset = self.log.append_in(tx, [event], now_ms=now_ms)[0].offset
        assert offset is not None
        return offset
