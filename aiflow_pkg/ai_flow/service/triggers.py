# SPDX-License-Identifier: Apache-2.0
"""Operations on workflow triggers.

A trigger sees exactly the events that follow its own creation. Each change is announced in the log, so that
the scheduler knows from which event on it counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_flow.engine.graph import parse_condition
from ai_flow.metadata.workflow_event_trigger import WorkflowEventTriggerMeta
from ai_flow.service.arguments import checked_id, checked_page
from ai_flow.service.errors import InvalidArgumentError, NotFoundError, StartRefusedError
from ai_flow.service.metas import trigger_meta
from ai_flow.service.operations import Operations
from ai_flow.store import catalog
from ai_flow.store.catalog import TriggerRow
from notification_service.database.port import ReadTransaction


class Triggers(Operations):
    """Rules that start executions of workflows."""

    def add(
        self,
        condition: Mapping[str, Any],
        rule: bytes,
        python: str,
        workflow_name: str,
        namespace: str = "default",
    ) -> WorkflowEventTriggerMeta:
        """Add a trigger and return it.

        ``condition`` describes the condition as data, ``rule`` is the pickled rule, which is not opened here,
        and ``python`` the version that pickled it, such as "3.11" (see ``ai_flow.service.rules``).
        """
        _check_condition(condition)
        now_ms = self._clock.now_ms()
        with self._database.write() as tx:
            workflow = self._workflow(tx, workflow_name, namespace)
            if workflow.snapshot_id is None:
                raise StartRefusedError(
                    "workflow",
                    f"Workflow {namespace}.{workflow_name} has no snapshot: upload its file again.",
                )
            trigger_id = catalog.add_trigger(
                tx,
                workflow_id=workflow.id,
                snapshot_id=workflow.snapshot_id,
                condition=condition,
                rule=rule,
                python=python,
                now_ms=now_ms,
                # The announcement appended next: only what follows it is for the trigger.
                created_offset=self._log.head(tx) + 1,
            )
            self._commands.announce_workflow(tx, workflow.id, now_ms=now_ms)
            return trigger_meta(self._trigger(tx, trigger_id))

    def get(self, trigger_id: int) -> WorkflowEventTriggerMeta | None:
        """Return a trigger; None when there is none of that id."""
        with self._database.read() as tx:
            row = catalog.get_trigger(tx, checked_id("trigger_id", trigger_id))
        return trigger_meta(row) if row is not None else None

    def list(
        self,
        workflow_name: str,
        namespace: str = "default",
        limit: int | None = None,
        offset: int | None = None,
        after_id: int = 0,
    ) -> list[WorkflowEventTriggerMeta]:
        """Return the triggers of a workflow, oldest first."""
        page = checked_page(limit, offset, after_id)
        with self._database.read() as tx:
            workflow = self._workflow(tx, workflow_name, namespace)
            return [trigger_meta(row) for row in catalog.list_triggers(tx, workflow.id, page)]

    def pause(self, trigger_id: int) -> None:
        """Let a trigger start nothing until it is resumed; harmless when it is paused."""
        self._set_paused(trigger_id, True)

    def resume(self, trigger_id: int) -> None:
        """Let a trigger start executions again; harmless when it is not paused."""
        self._set_paused(trigger_id, False)

    def delete(self, trigger_id: int) -> None:
        """Delete a trigger, paused or not."""
        with self._database.write() as tx:
            row = self._trigger(tx, trigger_id)
            catalog.delete_trigger(tx, row.id)
            self._commands.announce_workflow(tx, row.workflow_id, now_ms=self._clock.now_ms())

    def delete_all(self, workflow_name: str, namespace: str = "default") -> None:
        """Delete all triggers of a workflow."""
        with self._database.write() as tx:
            workflow = self._workflow(tx, workflow_name, namespace)
            catalog.delete_triggers(tx, workflow.id)
            self._commands.announce_workflow(tx, workflow.id, now_ms=self._clock.now_ms())

    def _set_paused(self, trigger_id: int, is_paused: bool) -> None:
        with self._database.write() as tx:
            row = self._trigger(tx, trigger_id)
            catalog.set_trigger_paused(tx, row.id, is_paused)
            self._commands.announce_workflow(tx, row.workflow_id, now_ms=self._clock.now_ms())

    def _trigger(self, tx: ReadTransaction, trigger_id: int) -> TriggerRow:
        row = catalog.get_trigger(tx, checked_id("trigger_id", trigger_id))
        if row is None:
            raise NotFoundError("Workflow trigger", trigger_id)
        return row


def _check_condition(condition: Mapping[str, Any]) -> None:
    """Refuse a description that the scheduler could not read."""
    try:
        parse_condition(condition, "", "")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidArgumentError("condition", condition, "the description of a condition") from error
