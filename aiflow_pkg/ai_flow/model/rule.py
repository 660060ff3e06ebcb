# SPDX-License-Identifier: Apache-2.0
"""Rules: a condition, and what follows when it is met."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_flow.model.action import TaskAction
from ai_flow.model.checks import checked_action, checked_condition

if TYPE_CHECKING:
    from ai_flow.model.condition import Condition
    from ai_flow.model.context import Context
    from notification_service.model.event import Event


class TaskRule:
    """Takes ``action`` on a task when ``condition`` is met; operators make it in ``action_on_...``."""

    def __init__(self, condition: Condition, action: TaskAction) -> None:
        self.condition = checked_condition(condition)
        self.action = checked_action(action)

    def trigger(self, event: Event, context: Context) -> TaskAction | None:
        """Return the action if the condition is met by ``event``, else None."""
        return self.action if self.condition.is_met(event, context) else None


class WorkflowRule:
    """Starts an execution of a workflow when ``condition`` is met (``ops.add_workflow_trigger``).

    >>> from ai_flow.model.internal.conditions import SingleEventCondition
    >>> rule = WorkflowRule(SingleEventCondition(expect_event_key="trigger_workflow"))
    >>> rule.condition.expect_event_keys
    ['trigger_workflow']
    """

    def __init__(self, condition: Condition) -> None:
        self.condition = checked_condition(condition)

    def trigger(self, event: Event, context: Context) -> bool:
        """Tell whether ``event`` starts an execution."""
        return self.condition.is_met(event, context)
