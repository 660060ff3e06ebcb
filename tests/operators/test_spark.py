# SPDX-License-Identifier: Apache-2.0
"""``SparkSubmitOperator`` and ``SparkSqlOperator`` with stand-ins for the commands of Spark."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.model.context import Context
from ai_flow.model.errors import InvalidOptionError
from ai_flow.model.operator import AIFlowOperator
from ai_flow.operators.spark.spark_sql import SparkSqlOperator
from ai_flow.operators.spark.spark_submit import SparkSubmitOperator
from tests.operators.fakes import FakePrograms
from tests.support import wait_until

YARN_APPLICATION = "application_1700000000000_0001"


def submit(**kwargs: Any) -> SparkSubmitOperator:
    return SparkSubmitOperator("pi", "app.py", **kwargs)


def run(task: AIFlowOperator, context: Context) -> None:
    task.start(context)
    task.await_termination(context, timeout=60)


def test_the_defaults_are_yarn_and_client_mode(programs: FakePrograms, context: Context) -> None:
    programs.add("spark-submit")

    run(submit(application_args=[100, "x"], submit_options="--class my.Pi --conf 'a=b c'"), context)

    assert programs.calls() == [
        "spark-submit --master yarn --deploy-mode client --name spark_submit_task_pi "
        "--class my.Pi --conf a=b c app.py 100 x"
    ]


@pytest.mark.parametrize(
    ("master", "extra", "flags"),
    [
        ("yarn", {}, "--conf spark.yarn.appMasterEnv.KEY=1 "),
        (
            "k8s://https://host:6443",
            {"k8s_namespace": "team"},
            "--conf spark.kubernetes.driverEnv.KEY=1 --conf spark.kubernetes.namespace=team ",
        ),
        ("local[2]", {}, ""),
        ("spark://host:7077", {}, ""),
        ("mesos://host:5050", {}, ""),
    ],
)
def test_variables_reach_the_driver_of_every_kind_of_master(
    master: str, extra: dict[str, str], flags: str, programs: FakePrograms, context: Context
) -> None:
    programs.add("spark-submit", 'echo "KEY is $KEY" >> "$CALLS"')

    run(submit(master=master, application_name="my name", env_vars={"KEY": 1}, **extra), context)

    in_client = "" if master.startswith("k8s") else "1"
    assert programs.calls() == [
        f"spark-submit --master {master} --deploy-mode client --name my name {flags}app.py",
        f"KEY is {in_client}",
    ]


def test_in_cluster_mode_on_yarn_variables_reach_the_client_too(
    programs: FakePrograms, context: Context
) -> None:
    programs.add("spark-submit", 'echo "KEY is $KEY" >> "$CALLS"')

    run(submit(deploy_mode="cluster", env_vars={"KEY": 1}), context)

    assert programs.calls()[-1] == "KEY is 1"


def test_a_failing_application_fails_the_task_without_showing_secrets(
    programs: FakePrograms,
    context: Context,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    programs.add("spark-submit", 'echo "spark.my.password=abc" >&2; exit 5')

    with caplog.at_level(logging.INFO), pytest.raises(AIFlowException) as raised:
        run(submit(env_vars={"DB_PASSWORD": "abc"}), context)

    assert "Error code is: 5." in str(raised.value)
    assert "DB_PASSWORD=******" in str(raised.value)
    assert "abc" not in str(raised.value) + caplog.text
    assert capfd.readouterr().out == "spark.my.password=******\n"


def test_the_exit_code_of_a_driver_on_kubernetes_decides(programs: FakePrograms, context: Context) -> None:
    programs.add("spark-submit", "echo '   exit code: 13'; exit 0")

    with pytest.raises(AIFlowException, match="Error code is: 13"):
        run(submit(master="k8s://host", deploy_mode="cluster", k8s_namespace="team"), context)


def test_in_client_mode_stopping_ends_the_driver(programs: FakePrograms, context: Context) -> None:
    programs.add("spark-submit", f"echo {YARN_APPLICATION}; sleep 60")
    programs.add("yarn")
    task = submit()
    task.start(context)

    task.stop(context)

    assert task._process is not None and task._process.exit_code is not None
    assert not any(call.startswith("yarn") for call in programs.calls())


def test_in_cluster_mode_on_yarn_stopping_kills_the_application(
    programs: FakePrograms, context: Context
) -> None:
    programs.add("spark-submit", f"echo 'Submitted application {YARN_APPLICATION}'; sleep 60")
    programs.add("yarn")
    task = submit(deploy_mode="cluster")
    task.start(context)
    wait_until(lambda: task._yarn_application_id)

    task.stop(context)

    assert programs.calls()[-1] == f"yarn application -kill {YARN_APPLICATION}"


def test_in_cluster_mode_on_kubernetes_stopping_kills_the_driver(
    programs: FakePrograms, context: Context
) -> None:
    programs.add("spark-submit", "echo '  pod name: pi-driver'; [ $3 = --kill ] || sleep 60")
    task = submit(master="k8s://host", deploy_mode="cluster", k8s_namespace="team")
    task.start(context)
    wait_until(lambda: task._driver_pod)

    task.stop(context)

    assert programs.calls()[-1] == "spark-submit --master k8s://host --kill team:pi-driver"


def test_stopping_before_there_is_an_application_says_so(programs: FakePrograms, context: Context) -> None:
    programs.add("spark-submit", "sleep 60")
    task = submit(deploy_mode="cluster")
    task.start(context)

    with pytest.raises(AIFlowException, match=r"Spark application id has not been obtained."):
        task.stop(context)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"master": "spark://h", "deploy_mode": "cluster"},
            "Only client mode is supported with standalone cluster.",
        ),
        (
            {"master": "mesos://h", "deploy_mode": "cluster"},
            "Only client mode is supported with mesos cluster.",
        ),
        ({"master": "k8s://h"}, "Param k8s_namespace must be set when submit to k8s."),
    ],
)
def test_what_spark_cannot_do_is_refused_in_the_definition(options: dict[str, str], message: str) -> None:
    with pytest.raises(AIFlowException) as raised:
        submit(**options)

    assert str(raised.value) == message


def test_an_unknown_deploy_mode_is_refused() -> None:
    with pytest.raises(InvalidOptionError, match="deploy_mode must be 'client' or 'cluster'"):
        submit(deploy_mode="moon")


def test_a_home_is_used_when_the_command_is_not_on_path(
    programs: FakePrograms, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_HOME", str(tmp_path / "spark"))
    programs.add("spark-submit", folder=tmp_path / "spark" / "bin")
    programs.add("spark-sql", folder=tmp_path / "spark" / "bin")

    run(submit(), context)
    run(SparkSqlOperator("sql", "SELECT 1"), context)

    assert [call.split()[0] for call in programs.calls()] == ["spark-submit", "spark-sql"]


@pytest.mark.parametrize(
    ("sql", "flags"),
    [("SELECT 1", "-e SELECT 1"), ("query.sql", "-f query.sql"), ("dir/query.hql ", "-f dir/query.hql")],
)
def test_sql_is_a_statement_or_a_file(sql: str, flags: str, programs: FakePrograms, context: Context) -> None:
    programs.add("spark-sql")

    run(SparkSqlOperator("count", sql, master="local[2]"), context)

    assert programs.calls() == [f"spark-sql --master local[2] --name spark_sql_task_count {flags}"]


def test_failing_sql_fails_the_task(programs: FakePrograms, context: Context) -> None:
    programs.add("spark-sql", "exit 2")

    with pytest.raises(AIFlowException) as raised:
        run(SparkSqlOperator("count", "SELECT 1"), context)

    assert str(raised.value) == "Cannot execute 'SELECT 1' on yarn. Process exit code: 2."


def test_sql_can_be_stopped_and_waiting_has_a_limit(programs: FakePrograms, context: Context) -> None:
    programs.add("spark-sql", "sleep 60")
    task = SparkSqlOperator("count", "SELECT 1", application_name="my name")
    task.stop(context)
    task.start(context)
    with pytest.raises(subprocess.TimeoutExpired):
        task.await_termination(context, timeout=0)

    task.stop(context)

    with pytest.raises(AIFlowException, match="Process exit code: -15"):
        task.await_termination(context)


def test_sql_that_is_empty_is_refused() -> None:
    with pytest.raises(InvalidOptionError, match="sql must be a statement"):
        SparkSqlOperator("count", "  ")


@pytest.mark.parametrize("make", [submit, lambda: SparkSqlOperator("sql", "SELECT 1")])
def test_waiting_before_the_start_is_a_clear_error(make: Any, context: Context) -> None:
    with pytest.raises(AIFlowException, match="has not been started"):
        make().await_termination(context)
