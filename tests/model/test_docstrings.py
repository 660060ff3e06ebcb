# SPDX-License-Identifier: Apache-2.0
"""The examples in the docstrings of the public packages work as written."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import ai_flow

PACKAGES = ("blob_manager", "common", "model", "notification", "operators", "task_executor")


def _modules() -> list[str]:
    root = Path(ai_flow.__file__).parent
    names = ["ai_flow", "ai_flow.notification_client"]
    for package in PACKAGES:
        names.append(f"ai_flow.{package}")
        found = pkgutil.walk_packages([str(root / package)], f"ai_flow.{package}.")
        names.extend(module.name for module in found)
    return names


@pytest.mark.usefixtures("no_task")
@pytest.mark.parametrize("name", _modules())
def test_examples_work_as_written(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    module: ModuleType = importlib.import_module(name)

    result = doctest.testmod(module, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)

    assert result.failed == 0


@pytest.mark.parametrize(
    "name",
    [
        "ai_flow.model.workflow.Workflow",
        "ai_flow.model.operator.Operator",
        "ai_flow.model.operator.AIFlowOperator",
        "ai_flow.model.condition.Condition",
        "ai_flow.model.rule.WorkflowRule",
        "ai_flow.model.state.ValueState",
        "ai_flow.model.task_execution.TaskExecutionKey",
        "ai_flow.operators.bash.BashOperator",
        "ai_flow.operators.python.PythonOperator",
        "ai_flow.operators.flink.flink_operator.FlinkOperator",
        "ai_flow.operators.spark.spark_submit.SparkSubmitOperator",
        "ai_flow.operators.spark.spark_sql.SparkSqlOperator",
        "ai_flow.notification.notification_client.AIFlowNotificationClient",
        "ai_flow.blob_manager.impl.local_blob_manager.LocalBlobManager",
    ],
)
def test_what_users_build_on_is_documented_with_an_example(name: str) -> None:
    module, _, thing = name.rpartition(".")

    assert ">>>" in (getattr(importlib.import_module(module), thing).__doc__ or "")
