# SPDX-License-Identifier: Apache-2.0
"""Uses the public API as workflow files do; it is never run, only checked by the type checker.

What must be an error is marked with the rule that has to report it; where the checker stops reporting it, it
complains about the needless comment instead.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true, reportUnusedVariable=false

from __future__ import annotations

from datetime import datetime, timedelta

from typing_extensions import assert_type

from ai_flow.model.action import TaskAction
from ai_flow.model.condition import Condition
from ai_flow.model.context import Context
from ai_flow.model.internal.conditions import MeetAllCondition, MeetAnyCondition, SingleEventCondition
from ai_flow.model.internal.contexts import TaskExecutionContext, get_runtime_task_context
from ai_flow.model.operator import AIFlowOperator, Operator
from ai_flow.model.rule import WorkflowRule
from ai_flow.model.state import ValueState, ValueStateDescriptor
from ai_flow.model.status import TASK_ALIVE_SET, TaskStatus
from ai_flow.model.workflow import Workflow
from ai_flow.notification.notification_client import (
    AIFlowNotificationClient,
    Event,
    ListenerProcessor,
    ListenerRegistrationId,
)
from ai_flow.operators.bash import BashOperator
from ai_flow.operators.flink.flink_operator import FlinkOperator
from ai_flow.operators.python import PythonOperator
from ai_flow.operators.spark.spark_sql import SparkSqlOperator
from ai_flow.operators.spark.spark_submit import SparkSubmitOperator


class NumCondition(Condition):
    def is_met(self, event: Event, context: Context) -> bool:
        state: ValueState = context.get_state(ValueStateDescriptor(name="num_state"))
        num = 0 if state.value() is None else int(str(state.value()))
        state.update(num + int(event.value or 0))
        state.clear()
        assert_type(context.get_task_status("task"), TaskStatus | None)
        return context.get_task_status("task") in TASK_ALIVE_SET


class Notify(AIFlowOperator):
    def __init__(self, name: str, whom: str, **kwargs: object) -> None:
        super().__init__(name, **kwargs)
        self.whom = whom

    def start(self, context: Context) -> None:
        self.log.info("notifying %s", self.whom)


class Counter(ListenerProcessor):
    def __init__(self) -> None:
        self.counter = 0

    def process(self, events: list[Event]) -> None:
        self.counter += len(events)


def produce(count: int) -> None:
    client = AIFlowNotificationClient("localhost:50052")
    assert_type(client.send_event(key="key", value=str(count)), Event)
    assert_type(client.send_events([Event("key", None), ("key", "value")]), list[Event])
    listener = client.register_listener(Counter(), event_keys=["key"], begin_time=datetime.now())
    assert_type(listener, ListenerRegistrationId)
    client.unregister_listener(listener)
    client.close()
    client.send_event(5)  # pyright: ignore[reportArgumentType]
    task = get_runtime_task_context()
    assert_type(task, TaskExecutionContext | None)


with Workflow(name="workflow", namespace="default") as workflow:
    assert_type(workflow, Workflow)
    first = BashOperator(name="first", bash_command="true", retries=3, retry_delay=timedelta(seconds=5))
    second = PythonOperator("second", produce, op_args=[1], op_kwargs={}, timeout=60, env={"A": "b"})
    third = FlinkOperator("third", "app.jar", target="remote", periodic_expression="cron@0 * * * *")
    fourth = SparkSubmitOperator("fourth", "app.py", env_vars={"A": 1})
    fifth = SparkSqlOperator("fifth", "SELECT 1")
    sixth = Notify("sixth", whom="me")

    second.start_after(first)
    third.start_after([first, second])
    third.start_after((first, second))
    third.start_after(task for task in workflow.tasks.values())
    fourth.action_on_task_status(TaskAction.STOP, {first: TaskStatus.FAILED})
    fifth.action_on_event_received(action=TaskAction.START, event_key="key")
    sixth.action_on_condition(TaskAction.RESTART, NumCondition(["num_event"]))
    sixth.action_on_condition(
        TaskAction.START,
        MeetAllCondition("both", [SingleEventCondition("a"), MeetAnyCondition([NumCondition(["b"])])]),
    )
    assert_type(first.retries, int)
    assert_type(first.timeout, float | None)
    assert_type(workflow.tasks["first"], Operator)

    second.start_after("first")  # pyright: ignore[reportArgumentType]
    third.action_on_event_received("key", TaskAction.START)  # pyright: ignore[reportArgumentType]
    NumCondition(5)  # pyright: ignore[reportArgumentType]

rule = WorkflowRule(SingleEventCondition(expect_event_key="trigger_workflow"))
assert_type(rule.condition, Condition)
