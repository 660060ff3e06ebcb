# SPDX-License-Identifier: Apache-2.0
"""Operations on workflow triggers (manual, sections 4.9 and 9.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_flow.metadata.workflow_event_trigger import WorkflowEventTriggerMeta
from ai_flow.ops.reach import call, refuse_in_user_code

if TYPE_CHECKING:
    from ai_flow.model.rule import WorkflowRule


def add_workflow_trigger(
    rule: WorkflowRule, workflow_name: str, namespace: str = "default"
) -> WorkflowEventTriggerMeta:
    """Start an execution of a workflow whenever the rule is met, and return the trigger.

    The trigger sees the events that are sent after this call has returned. Its condition is kept with the
    classes of the calling script; they need not be in the workflow file.
    """
    refuse_in_user_code("add_workflow_trigger")
    from ai_flow.service.rules import pack_rule

    packed = pack_rule(rule)
    return call(
        "triggers.add",
        condition=packed.condition,
        rule=packed.rule,
        python=packed.python,
        workflow_name=workflow_name,
        namespace=namespace,
    )


def get_workflow_trigger(trigger_id: int) -> WorkflowEventTriggerMeta | None:
    """Return a trigger; None when there is none of that id."""
    return call("triggers.get", trigger_id=trigger_id)


def list_workflow_triggers(
    workflow_name: str, namespace: str = "default", limit: int | None = None, offset: int | None = None
) -> list[WorkflowEventTriggerMeta]:
    """Return the triggers of a workflow, oldest first: at most ``limit``, after the first ``offset``."""
    return call("triggers.list", workflow_name=workflow_name, namespace=namespace, limit=limit, offset=offset)


def pause_workflow_trigger(trigger_id: int) -> None:
    """Let a trigger start nothing until it is resumed; harmless when it is paused."""
    call("triggers.pause", trigger_id=trigger_id)


def resume_workflow_trigger(trigger_id: int) -> None:
    """Let a trigger start executions again; harmless when it is not paused."""
    call("triggers.resume", trigger_id=trigger_id)


def delete_workflow_trigger(trigger_id: int) -> None:
    """Delete a trigger, paused or not."""
    call("triggers.delete", trigger_id=trigger_id)


def delete_workflow_triggers(workflow_name: str, namespace: str = "default") -> None:
    """Delete all triggers of a workflow."""
    call("triggers.delete_all", workflow_name=workflow_name, namespace=namespace)
