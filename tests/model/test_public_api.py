# SPDX-License-Identifier: Apache-2.0
"""The names that workflow files use are frozen.

What is written here is a promise to users: a test that fails says that a workflow file somewhere stops
working. Parameters are written as in a ``def``, without annotations. Things may be added to the packages;
nothing that is listed may change or go away.
"""

from __future__ import annotations

import importlib
import inspect
from abc import ABC
from collections.abc import Iterator
from enum import Enum

import pytest

#: Module -> functions and classes -> for a class its members. A member's text is its parameters.
API: dict[str, dict[str, str | dict[str, str]]] = {
    "ai_flow.model.workflow": {
        "Workflow": {
            "__init__": "(self, name, namespace='default', **kwargs)",
            "action_on_condition": "(self, task_name, action, condition)",
            "action_on_event_received": "(self, task_name, event_key, action)",
            "action_on_task_status": "(self, task_name, action, upstream_task_status_dict)",
            "__enter__": "(self)",
            "__exit__": "(self, exc_type, exc_value, traceback)",
        },
        "WorkflowContextManager": {
            "push_context_managed_workflow": "(workflow)",
            "pop_context_managed_workflow": "()",
            "get_current_workflow": "()",
        },
    },
    "ai_flow.model.operator": {
        "Operator": {
            "__init__": "(self, name, **kwargs)",
            "action_on_condition": "(self, action, condition)",
            "action_on_event_received": "(self, action, event_key)",
            "action_on_task_status": "(self, action, upstream_task_status_dict)",
            "start_after": "(self, tasks)",
        },
        "AIFlowOperator": {
            "__init__": "(self, task_name, **kwargs)",
            "start": "(self, context)",
            "stop": "(self, context)",
            "await_termination": "(self, context, timeout=None)",
            "get_metrics": "(self, context)",
        },
    },
    "ai_flow.model.condition": {
        "Condition": {"__init__": "(self, expect_event_keys)", "is_met": "(self, event, context)"}
    },
    "ai_flow.model.context": {
        "Context": {"get_state": "(self, state_descriptor)", "get_task_status": "(self, task_name)"}
    },
    "ai_flow.model.state": {
        "State": {"clear": "(self)"},
        "StateDescriptor": {"__init__": "(self, name)"},
        "ValueState": {"value": "(self)", "update": "(self, state)", "clear": "(self)"},
        "ValueStateDescriptor": {"__init__": "(self, name)"},
    },
    "ai_flow.model.rule": {
        "TaskRule": {"__init__": "(self, condition, action)", "trigger": "(self, event, context)"},
        "WorkflowRule": {"__init__": "(self, condition)", "trigger": "(self, event, context)"},
    },
    "ai_flow.model.task_execution": {
        "TaskExecutionKey": {
            "__init__": "(self, workflow_execution_id, task_name, seq_num)",
            "__str__": "(self)",
        },
        "TaskExecution": {
            "__init__": "(self, workflow_execution_id, task_name, sequence_number, execution_type, "
            "begin_date=None, end_date=None, status='INIT', id=None)"
        },
    },
    "ai_flow.model.workflow_execution": {
        "WorkflowExecution": {
            "__init__": "(self, workflow_id, execution_type, begin_date, end_date, status, id=None)"
        }
    },
    "ai_flow.model.internal.conditions": {
        "match_events": "(event_keys, event)",
        "SingleEventCondition": {"__init__": "(self, expect_event_key)", "is_met": "(self, event, context)"},
        "MeetAllCondition": {"__init__": "(self, name, conditions)", "is_met": "(self, event, context)"},
        "MeetAnyCondition": {"__init__": "(self, conditions)", "is_met": "(self, event, context)"},
        "TaskStatusCondition": {
            "__init__": "(self, workflow_name, task_name, namespace, expect_status)",
            "is_met": "(self, event, context)",
        },
        "TaskStatusAllMetCondition": {
            "__init__": "(self, condition_list)",
            "is_met": "(self, event, context)",
        },
    },
    "ai_flow.model.internal.events": {
        "StartWorkflowExecutionEvent": {"__init__": "(self, workflow_id, workflow_snapshot_id)"},
        "StopWorkflowExecutionEvent": {"__init__": "(self, workflow_execution_id)"},
        "StartTaskExecutionEvent": {"__init__": "(self, workflow_execution_id, task_name)"},
        "ReStartTaskExecutionEvent": {"__init__": "(self, workflow_execution_id, task_name)"},
        "StopTaskExecutionEvent": {"__init__": "(self, workflow_execution_id, task_execution_id)"},
        "PeriodicRunWorkflowEvent": {"__init__": "(self, workflow_id, workflow_schedule_id)"},
        "PeriodicRunTaskEvent": {"__init__": "(self, workflow_execution_id, task_name)"},
        "TaskStatusEvent": {
            "__init__": "(self, workflow_execution_id, task_name, sequence_number, task_status)"
        },
        "TaskHeartbeatTimeoutEvent": {
            "__init__": "(self, workflow_execution_id, task_name, sequence_number)"
        },
        "TaskStatusChangedEvent": {
            "__init__": "(self, namespace, workflow_execution_id, workflow_name, task_name, task_status)"
        },
    },
    "ai_flow.model.internal.contexts": {
        "WorkflowContext": {
            "get_state": "(self, state_descriptor)",
            "get_task_status": "(self, task_name)",
        },
        "WorkflowExecutionContext": {
            "get_state": "(self, state_descriptor)",
            "get_task_status": "(self, task_name)",
        },
        "TaskExecutionContext": {
            "__init__": "(self, workflow, task_execution_key, params=None)",
            "get_state": "(self, state_descriptor)",
            "get_task_status": "(self, task_name)",
        },
        "set_runtime_task_context": "(context)",
        "get_runtime_task_context": "()",
    },
    "ai_flow.operators.bash": {
        "BashOperator": {
            "__init__": "(self, name, bash_command, **kwargs)",
            "start": "(self, context)",
            "await_termination": "(self, context, timeout=None)",
            "stop": "(self, context)",
        }
    },
    "ai_flow.operators.python": {
        "PythonOperator": {
            "__init__": "(self, name, python_callable, op_args=None, op_kwargs=None, **kwargs)",
            "start": "(self, context)",
        }
    },
    "ai_flow.operators.flink.flink_operator": {
        "FlinkOperator": {
            "__init__": "(self, name, application, target=None, application_args=None, executable_path=None, "
            "application_mode=False, stop_with_savepoint=False, kubernetes_cluster_id=None, "
            "command_options=None, jobs_info_poll_interval=1, **kwargs)",
            "start": "(self, context)",
            "await_termination": "(self, context, timeout=None)",
            "stop": "(self, context)",
        }
    },
    "ai_flow.operators.spark.spark_submit": {
        "SparkSubmitOperator": {
            "__init__": "(self, name, application, application_args=None, executable_path=None, "
            "master='yarn', deploy_mode='client', application_name=None, submit_options=None, "
            "k8s_namespace=None, env_vars=None, **kwargs)",
            "start": "(self, context)",
            "await_termination": "(self, context, timeout=None)",
            "stop": "(self, context)",
        }
    },
    "ai_flow.operators.spark.spark_sql": {
        "SparkSqlOperator": {
            "__init__": "(self, name, sql, master='yarn', application_name=None, executable_path=None, "
            "**kwargs)",
            "start": "(self, context)",
            "await_termination": "(self, context, timeout=None)",
            "stop": "(self, context)",
        }
    },
    "ai_flow.notification.notification_client": {
        "AIFlowNotificationClient": {
            "__init__": "(self, server_uri)",
            "send_event": "(self, key, value=None)",
            "send_events": "(self, events)",
            "register_listener": "(self, listener_processor, event_keys=None, begin_time=None)",
            "unregister_listener": "(self, registration_id)",
            "close": "(self)",
        },
        "Event": {},
        "ListenerProcessor": {"process": "(self, events)"},
        "ListenerRegistrationId": {},
    },
    "ai_flow.notification_client": {
        "AIFlowNotificationClient": {},
        "Event": {},
        "ListenerProcessor": {},
        "ListenerRegistrationId": {},
    },
    "ai_flow.common.env": {
        "expand_env_var": "(env_var)",
        "expand_env_vars": "(env_var)",
        "get_aiflow_home": "()",
    },
    "ai_flow.common.util.mock_context": {"set_mock_runtime_context": "()"},
    "ai_flow.blob_manager.blob_manager_interface": {
        "BlobManager": {
            "__init__": "(self, config)",
            "upload": "(self, local_file_path)",
            "download": "(self, remote_file_path, local_dir)",
        },
        "BlobManagerConfig": {"get_class": "(self)", "get_customized_config": "(self)"},
        "BlobManagerFactory": {"create_blob_manager": "(config)", "get_default_blob_manager": "()"},
    },
    "ai_flow.blob_manager.impl.local_blob_manager": {
        "LocalBlobManager": {
            "__init__": "(self, config)",
            "upload": "(self, local_file_path)",
            "download": "(self, remote_file_path, local_dir=None)",
        }
    },
    "ai_flow.task_executor.task_executor": {
        "TaskExecutor": {"schedule_task": "(self, command)", "start": "(self)", "stop": "(self)"},
        "TaskExecutorFactory": {"get_task_executor": "(executor_type)"},
    },
}

#: Module, enumeration -> its members, whose values are their names.
ENUMERATIONS = {
    ("ai_flow.model.action", "TaskAction"): "START RESTART STOP",
    ("ai_flow.model.execution_type", "ExecutionType"): "MANUAL EVENT PERIODIC",
    ("ai_flow.model.status", "TaskStatus"): "INIT QUEUED RUNNING SUCCESS FAILED STOPPING STOPPED RETRYING",
    ("ai_flow.model.status", "WorkflowStatus"): "INIT RUNNING SUCCESS FAILED STOPPED",
    ("ai_flow.model.internal.events", "SchedulingEventType"): (
        "START_WORKFLOW_EXECUTION STOP_WORKFLOW_EXECUTION START_TASK_EXECUTION RESTART_TASK_EXECUTION "
        "STOP_TASK_EXECUTION PERIODIC_RUN_WORKFLOW PERIODIC_RUN_TASK TASK_STATUS TASK_HEARTBEAT_TIMEOUT"
    ),
}

#: Module, class -> its constants.
CONSTANTS = {
    ("ai_flow.model.state", "StateType"): {"VALUE": "value"},
    ("ai_flow.model.operator", "OperatorConfigItem"): {"PERIODIC_EXPRESSION": "periodic_expression"},
    ("ai_flow.model.internal.events", "AIFlowEventType"): {
        "AIFLOW_SCHEDULING_EVENT": "AIFLOW_SCHEDULING_EVENT",
        "TASK_STATUS_CHANGED": "TASK_STATUS_CHANGED",
    },
    ("ai_flow.model.internal.events", "EventContextConstant"): {
        name.upper(): name
        for name in (
            "namespace",
            "workflow_name",
            "workflow_id",
            "workflow_execution_id",
            "task_name",
            "task_execution_id",
            "workflow_schedule_id",
            "workflow_snapshot_id",
            "sequence_number",
            "task_status",
        )
    },
}

#: Module -> class -> the base that users may rely on.
BASES = {
    ("ai_flow.model.operator", "AIFlowOperator"): ("ai_flow.model.operator", "Operator"),
    ("ai_flow.operators.bash", "BashOperator"): ("ai_flow.model.operator", "AIFlowOperator"),
    ("ai_flow.operators.python", "PythonOperator"): ("ai_flow.model.operator", "AIFlowOperator"),
    ("ai_flow.operators.flink.flink_operator", "FlinkOperator"): (
        "ai_flow.model.operator",
        "AIFlowOperator",
    ),
    ("ai_flow.operators.spark.spark_submit", "SparkSubmitOperator"): (
        "ai_flow.model.operator",
        "AIFlowOperator",
    ),
    ("ai_flow.operators.spark.spark_sql", "SparkSqlOperator"): ("ai_flow.model.operator", "AIFlowOperator"),
    ("ai_flow.model.state", "ValueState"): ("ai_flow.model.state", "State"),
    ("ai_flow.model.state", "ValueStateDescriptor"): ("ai_flow.model.state", "StateDescriptor"),
    ("ai_flow.blob_manager.blob_manager_interface", "BlobManagerConfig"): ("builtins", "dict"),
    **{
        ("ai_flow.common.exception.exceptions", name): (
            "ai_flow.common.exception.exceptions",
            "AIFlowException",
        )
        for name in (
            "AIFlowConfigException",
            "AIFlowDBException",
            "AIFlowYAMLException",
            "TaskFailedException",
            "TaskForceStoppedException",
            "AIFlowK8sException",
        )
    },
    **{
        ("ai_flow.model.internal.conditions", name): ("ai_flow.model.condition", "Condition")
        for name in (
            "SingleEventCondition",
            "MeetAllCondition",
            "MeetAnyCondition",
            "TaskStatusCondition",
            "TaskStatusAllMetCondition",
        )
    },
    **{
        ("ai_flow.model.internal.contexts", name): ("ai_flow.model.context", "Context")
        for name in ("WorkflowContext", "WorkflowExecutionContext", "TaskExecutionContext")
    },
}

#: Classes whose listed methods a subclass must define.
ABSTRACT = {
    ("ai_flow.model.operator", "AIFlowOperator"): {"start"},
    ("ai_flow.model.condition", "Condition"): {"is_met"},
    ("ai_flow.model.state", "ValueState"): {"value", "update", "clear"},
    ("ai_flow.blob_manager.blob_manager_interface", "BlobManager"): {"upload", "download"},
    ("ai_flow.task_executor.task_executor", "TaskExecutor"): {"schedule_task", "start", "stop"},
}

SETS = ("TASK_FINISHED_SET", "TASK_ALIVE_SET", "WORKFLOW_FINISHED_SET", "WORKFLOW_ALIVE_SET")


def _functions() -> Iterator[tuple[str, str, str | None, str]]:
    for module, things in API.items():
        for name, members in things.items():
            if isinstance(members, str):
                yield module, name, None, members
                continue
            for member, parameters in members.items():
                yield module, name, member, parameters


def _find(module: str, name: str) -> object:
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(("module", "name"), [(module, name) for module in API for name in API[module]])
def test_the_name_is_there(module: str, name: str) -> None:
    found = _find(module, name)

    assert inspect.isclass(found) or inspect.isfunction(found)


@pytest.mark.parametrize(("module", "name", "member", "parameters"), list(_functions()))
def test_the_parameters_are_the_same(module: str, name: str, member: str | None, parameters: str) -> None:
    found = _find(module, name)

    assert _parameters_of(getattr(found, member) if member else found) == parameters


@pytest.mark.parametrize(("where", "members"), ENUMERATIONS.items())
def test_the_enumeration_has_the_same_members(where: tuple[str, str], members: str) -> None:
    found = _find(*where)

    assert inspect.isclass(found) and issubclass(found, str) and issubclass(found, Enum)
    assert {member.name: member.value for member in found} == {name: name for name in members.split()}


@pytest.mark.parametrize(("where", "constants"), CONSTANTS.items())
def test_the_constants_are_the_same(where: tuple[str, str], constants: dict[str, str]) -> None:
    found = _find(*where)

    assert {name: getattr(found, name) for name in constants} == constants


@pytest.mark.parametrize(("where", "base"), BASES.items())
def test_the_class_has_its_base(where: tuple[str, str], base: tuple[str, str]) -> None:
    found, of = _find(*where), _find(*base)

    assert inspect.isclass(found) and inspect.isclass(of) and issubclass(found, of)


@pytest.mark.parametrize(("where", "methods"), ABSTRACT.items())
def test_a_subclass_has_to_define_exactly_this(where: tuple[str, str], methods: set[str]) -> None:
    found = _find(*where)

    assert inspect.isclass(found) and issubclass(found, ABC)
    assert found.__abstractmethods__ == methods


@pytest.mark.parametrize("name", SETS)
def test_the_set_of_statuses_is_there(name: str) -> None:
    assert isinstance(_find("ai_flow.model.status", name), frozenset)


def test_the_root_of_all_exceptions_takes_a_message() -> None:
    error = _find("ai_flow.common.exception.exceptions", "AIFlowException")

    assert inspect.isclass(error) and issubclass(error, Exception)
    assert str(error("a message")) == "a message"


def test_both_paths_of_the_client_lead_to_one_class() -> None:
    for name in API["ai_flow.notification_client"]:
        assert _find("ai_flow.notification_client", name) is _find(
            "ai_flow.notification.notification_client", name
        )


def test_the_attributes_of_objects_are_there() -> None:
    from datetime import datetime

    from ai_flow.model.execution_type import ExecutionType
    from ai_flow.model.internal.contexts import (
        TaskExecutionContext,
        WorkflowContext,
        WorkflowExecutionContext,
    )
    from ai_flow.model.operator import Operator
    from ai_flow.model.status import TaskStatus, WorkflowStatus
    from ai_flow.model.task_execution import TaskExecution, TaskExecutionKey
    from ai_flow.model.workflow import Workflow
    from ai_flow.model.workflow_execution import WorkflowExecution

    with Workflow("w") as workflow:
        task = Operator("task")
    key = TaskExecutionKey(1, "task", 2)
    run = TaskExecution(1, "task", 2, ExecutionType.MANUAL)
    execution = WorkflowExecution(
        1, ExecutionType.EVENT, datetime(2026, 1, 1), datetime(2026, 1, 2), WorkflowStatus.SUCCESS, id=7
    )

    for thing, attributes in {
        workflow: "name namespace config tasks rules",
        task: "name config workflow retries retry_delay retry_backoff retry_max_delay timeout env "
        "periodic_expression task_options",
        key: "workflow_execution_id task_name seq_num",
        run: "workflow_execution_id task_name sequence_number execution_type begin_date end_date status id "
        "try_number",
        execution: "workflow_id execution_type begin_date end_date status id",
        WorkflowContext(): "namespace workflow",
        WorkflowExecutionContext(): "workflow workflow_execution",
        TaskExecutionContext(workflow, key): "workflow task_execution_key params",
    }.items():
        assert [name for name in attributes.split() if not hasattr(thing, name)] == []
    assert (run.status, run.try_number, run.id) == (TaskStatus.INIT, 0, None)
    assert str(key) == "1_task_2"


def _parameters_of(function: object) -> str:
    assert callable(function)
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty, default=_plain(parameter.default))
        for parameter in inspect.signature(function).parameters.values()
    ]
    return str(inspect.Signature(parameters))


def _plain(default: object) -> object:
    return default.value if isinstance(default, Enum) else default
