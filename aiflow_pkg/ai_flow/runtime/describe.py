# SPDX-License-Identifier: Apache-2.0
"""Turn a ``Workflow`` object into plain data.

The scheduler never sees a user's objects: a workflow reaches it as the JSON-able dictionary made here, in a
child process of the user's own Python. Conditions that need no user code become data that the engine
evaluates itself; a condition of the user's own class becomes its keys and its name, and is evaluated by a
condition host. ``ai_flow.engine.graph`` is the reader of this format; both change together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_flow.model.internal import conditions as built_in
from ai_flow.model.operator import Operator
from ai_flow.operators.bash import BashOperator

if TYPE_CHECKING:
    from ai_flow.model.condition import Condition
    from ai_flow.model.workflow import Workflow

#: Raised when the meaning of a field changes; the engine refuses a graph of a format it does not know.
GRAPH_FORMAT = 1

TaskDescription = dict[str, Any]
WorkflowDescription = dict[str, Any]


def describe_workflow(workflow: Workflow) -> WorkflowDescription:
    """Return ``workflow`` as JSON-able data, tasks and rules in definition order."""
    return {
        "format": GRAPH_FORMAT,
        "namespace": workflow.namespace,
        "name": workflow.name,
        "tasks": [describe_task(workflow, task) for task in workflow.tasks.values()],
    }


def describe_task(workflow: Workflow, operator: Operator) -> TaskDescription:
    """Return one task of ``workflow`` with its options and rules."""
    options = operator.task_options
    bash_command = operator.bash_command if type(operator) is BashOperator else None
    return {
        "name": operator.name,
        "kind": _kind_of(operator),
        "operator": type(operator).__name__,
        "bash_command": bash_command,
        "env": dict(options.env),
        "retries": options.retries,
        "retry_delay": options.retry_delay,
        "retry_backoff": options.retry_backoff,
        "retry_max_delay": options.retry_max_delay,
        "timeout": options.timeout,
        "periodic_expression": options.periodic_expression,
        "rules": [
            {"action": rule.action.value, "condition": describe_condition(rule.condition)}
            for rule in workflow.rules.get(operator.name, [])
        ],
    }


def _kind_of(operator: Operator) -> str:
    """Return who runs a task: bash, nobody, or a Python process. Subclasses are the user's own code."""
    if type(operator) is BashOperator:
        return "bash"
    return "noop" if type(operator) is Operator else "python"


def describe_condition(condition: Condition) -> dict[str, Any]:
    """Return ``condition`` as data, or as ``user`` when only the user's code can evaluate it.

    A composite is data only if all its parts are; otherwise the whole of it is evaluated by the host,
    because its parts share the state of one event.
    """
    described = _describe_built_in(condition)
    if described is not None:
        return described
    return {
        "type": "user",
        "keys": list(dict.fromkeys(condition.expect_event_keys)),
        "class": type(condition).__name__,
    }


def _describe_built_in(condition: Condition) -> dict[str, Any] | None:
    """Return the data of a built-in condition, None for any other. Subclasses are the user's."""
    if type(condition) is built_in.TaskStatusAllMetCondition:
        return {
            "type": "status",
            "expect": {part.task_name: str(part.expect_status.value) for part in condition.conditions},
        }
    if type(condition) is built_in.TaskStatusCondition:
        return {
            "type": "task_status",
            "key": condition.expect_event_keys[0],
            "status": str(condition.expect_status.value),
        }
    if type(condition) is built_in.SingleEventCondition:
        return {"type": "event", "key": condition.expect_event_keys[0]}
    if type(condition) is built_in.MeetAllCondition:
        return _describe_composite("all", condition.conditions, name=condition.name)
    if type(condition) is built_in.MeetAnyCondition:
        return _describe_composite("any", condition.conditions)
    return None


def _describe_composite(kind: str, parts: list[Condition], **fields: str) -> dict[str, Any] | None:
    described = [_describe_built_in(part) for part in parts]
    if any(part is None for part in described):
        return None
    return {"type": kind, **fields, "conditions": described}
