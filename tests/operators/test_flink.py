# SPDX-License-Identifier: Apache-2.0
"""``FlinkOperator`` with stand-ins for ``flink``, ``yarn`` and ``kubectl``."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.model.context import Context
from ai_flow.model.errors import InvalidOptionError
from ai_flow.operators.flink import flink_operator
from ai_flow.operators.flink.flink_operator import FlinkOperator
from tests.operators.fakes import FakePrograms
from tests.support import wait_until

JOB = "5e20cb6b0f357591171dfcca2eea09de"
YARN_APPLICATION = "application_1700000000000_0001"
SUBMITTED = f"echo 'Job has been submitted with JobID {JOB}'"
#: Runs until the job is cancelled or stopped, as an attached client does.
ATTACHED = f"""
case $1 in
  run) {SUBMITTED}; while ! [ -e "$CALLS.ended" ]; do sleep 0.01; done;;
  cancel|stop) touch "$CALLS.ended";;
esac
"""


def make(target: str | None = None, **kwargs: Any) -> FlinkOperator:
    return FlinkOperator("job", "app.jar", target=target, jobs_info_poll_interval=0.01, **kwargs)


def run(task: FlinkOperator, context: Context) -> None:
    task.start(context)
    task.await_termination(context, timeout=60)


@pytest.mark.parametrize("target", [None, "local", "remote", "yarn-per-job", "yarn-session"])
def test_a_job_is_submitted_to_its_target_and_waited_for(
    target: str | None, programs: FakePrograms, context: Context
) -> None:
    programs.add("flink", SUBMITTED)

    run(make(target, application_args=["--n", 5], command_options="-c my.Main -p 2"), context)

    flag = f"--target {target} " if target else ""
    assert programs.calls() == [f"flink run {flag}-c my.Main -p 2 app.jar --n 5"]


def test_a_session_on_kubernetes_is_found_by_its_cluster_id(programs: FakePrograms, context: Context) -> None:
    programs.add("flink", SUBMITTED)

    run(make("kubernetes-session", kubernetes_cluster_id="my-cluster"), context)

    assert programs.calls() == [
        "flink run --target kubernetes-session -Dkubernetes.cluster-id=my-cluster app.jar"
    ]


def test_a_client_that_fails_fails_the_task_without_showing_secrets(
    programs: FakePrograms,
    context: Context,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    programs.add("flink", 'echo "using -Dmy.secret=abc"; exit 3')
    task = make(command_options="-Dmy.secret=abc --password abc")

    with caplog.at_level(logging.INFO), pytest.raises(AIFlowException) as raised:
        run(task, context)

    flink = programs.folder / "flink"
    shown = f"{flink} run -Dmy.secret=****** --password ****** app.jar"
    assert str(raised.value) == f"Cannot execute: {shown}. Error code is: 3."
    assert f"Executing: {shown}" in caplog.text
    assert capfd.readouterr().out == "using -Dmy.secret=******\n"


@pytest.mark.parametrize(
    ("target", "flags"),
    [
        (None, ""),
        ("remote", "-t remote "),
        ("yarn-per-job", f"-t yarn-per-job -Dyarn.application.id={YARN_APPLICATION} "),
        ("yarn-session", f"-t yarn-session -Dyarn.application.id={YARN_APPLICATION} "),
    ],
)
@pytest.mark.parametrize(("with_savepoint", "command"), [(False, "cancel"), (True, "stop")])
def test_stopping_ends_the_job_and_the_client_follows(
    target: str | None,
    flags: str,
    with_savepoint: bool,
    command: str,
    programs: FakePrograms,
    context: Context,
) -> None:
    programs.add("flink", f"[ $1 = run ] && echo 'Submitted application {YARN_APPLICATION}'\n{ATTACHED}")
    task = make(target, stop_with_savepoint=with_savepoint)
    task.start(context)
    wait_until(lambda: task._job_id)

    task.stop(context)

    assert programs.calls()[1:] == [f"flink {command} {flags}{JOB}"]
    assert task._client is not None and task._client.exit_code == 0  # it was not killed


def test_the_address_given_for_submitting_is_used_for_cancelling(
    programs: FakePrograms, context: Context
) -> None:
    programs.add("flink", ATTACHED)
    task = make(command_options="-m host:8081 -Drest.port=9 -Dparallelism.default=2 -p 3")
    task.start(context)
    wait_until(lambda: task._job_id)

    task.stop(context)

    assert programs.calls()[1:] == [f"flink cancel -m host:8081 -Drest.port=9 {JOB}"]


def test_a_local_job_is_stopped_with_its_client(programs: FakePrograms, context: Context) -> None:
    programs.add("flink", ATTACHED)
    task = make("local")
    task.start(context)
    wait_until(lambda: task._job_id)

    task.stop(context)

    assert len(programs.calls()) == 1
    assert task._client is not None and task._client.exit_code is not None


def test_stopping_before_there_is_a_job_says_so_and_ends_the_client(
    programs: FakePrograms, context: Context
) -> None:
    programs.add("flink", "sleep 60")
    task = make()
    task.start(context)

    with pytest.raises(AIFlowException, match=r"Flink job id has not been obtained."):
        task.stop(context)

    assert task._client is not None and task._client.exit_code is not None


def test_a_cancel_that_fails_is_reported_and_the_client_is_ended(
    programs: FakePrograms, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flink_operator, "STOP_GRACE_S", 0.05)
    programs.add("flink", f"case $1 in run) {SUBMITTED}; sleep 60;; *) echo refused; exit 1;; esac")
    task = make()
    task.start(context)
    wait_until(lambda: task._job_id)

    with pytest.raises(AIFlowException, match=r"Error code is: 1. Output: refused"):
        task.stop(context)

    assert task._client is not None and task._client.exit_code is not None


def test_stopping_before_the_start_or_after_the_end_does_nothing(
    programs: FakePrograms, context: Context
) -> None:
    programs.add("flink", SUBMITTED)
    task = make()

    task.stop(context)
    run(task, context)
    task.stop(context)

    assert len(programs.calls()) == 1


def test_a_yarn_application_is_asked_for_until_it_has_succeeded(
    programs: FakePrograms, context: Context
) -> None:
    programs.add("flink", f"echo 'Submitted application {YARN_APPLICATION}'")
    programs.add("yarn", _third_time("Final-State : UNDEFINED", "Final-State : SUCCEEDED"))

    run(make("yarn-application", application_mode=True), context)

    asked = f"yarn application --status {YARN_APPLICATION}"
    assert programs.calls() == ["flink run-application --target yarn-application app.jar", *[asked] * 3]


def test_a_yarn_application_that_failed_fails_the_task(programs: FakePrograms, context: Context) -> None:
    programs.add("flink", f"echo 'Submitted application {YARN_APPLICATION}'")
    programs.add("yarn", "echo ' Final-State : KILLED'")

    with pytest.raises(AIFlowException, match=f"{YARN_APPLICATION} ended in the final state KILLED"):
        run(make("yarn-application", application_mode=True), context)


def test_a_yarn_application_without_id_fails_the_task(programs: FakePrograms, context: Context) -> None:
    programs.add("flink")
    programs.add("yarn")

    with pytest.raises(AIFlowException, match=r"Yarn application id has not been obtained."):
        run(make("yarn-application", application_mode=True), context)


def test_waiting_for_an_application_has_a_limit(programs: FakePrograms, context: Context) -> None:
    programs.add("flink", f"echo 'Submitted application {YARN_APPLICATION}'")
    programs.add("yarn", "echo 'Final-State : UNDEFINED'")
    task = make("yarn-application", application_mode=True)
    task.start(context)

    with pytest.raises(subprocess.TimeoutExpired) as raised:
        task.await_termination(context, timeout=1)

    assert raised.value.timeout == 1


def test_a_cluster_that_never_answers_is_given_up(
    programs: FakePrograms, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flink_operator, "_MAX_FAILED_POLLS", 3)
    programs.add("flink", f"echo 'Submitted application {YARN_APPLICATION}'")
    programs.add("yarn", "echo unreachable; exit 9")

    with pytest.raises(AIFlowException, match=r"Error code is: 9, 3 times in a row. Output: unreachable"):
        run(make("yarn-application", application_mode=True), context)


def test_stopping_a_yarn_application_cancels_the_job_that_its_cluster_lists(
    programs: FakePrograms, context: Context
) -> None:
    programs.add(
        "flink",
        f"""case $1 in
          run-application) echo 'Submitted application {YARN_APPLICATION}';;
          list) echo '23.11.2026 10:00:00 : 0ld : Before (FINISHED)'
                echo '23.11.2026 10:00:00 : {JOB} : Count words (now) (RUNNING)';;
        esac""",
    )
    programs.add("yarn")
    task = make("yarn-application", application_mode=True)
    task.start(context)
    wait_until(lambda: task._yarn_application_id)

    task.stop(context)

    where = f"-t yarn-application -Dyarn.application.id={YARN_APPLICATION}"
    assert programs.calls()[1:] == [f"flink list -a {where}", f"flink cancel {where} {JOB}"]


def test_stopping_a_yarn_application_without_a_listed_job_kills_it(
    programs: FakePrograms, context: Context
) -> None:
    programs.add("flink", f"[ $1 = list ] && exit 1; echo 'Submitted application {YARN_APPLICATION}'")
    programs.add("yarn")
    task = make("yarn-application", application_mode=True)
    task.start(context)
    wait_until(lambda: task._yarn_application_id)

    task.stop(context)

    assert programs.calls()[-1] == f"yarn application -kill {YARN_APPLICATION}"


def _on_kubernetes(**kwargs: Any) -> FlinkOperator:
    return make("kubernetes-application", application_mode=True, kubernetes_cluster_id="my-cluster", **kwargs)


def test_an_application_on_kubernetes_is_waited_for_and_its_cluster_removed(
    programs: FakePrograms, context: Context
) -> None:
    listed = _third_time(f"d t : {JOB} : Count (RUNNING)", f"d t : {JOB} : Count (FINISHED)")
    programs.add("flink", f"[ $1 = list ] || exit 0\n{listed}")
    programs.add("kubectl")

    run(_on_kubernetes(command_options="-Dkubernetes.namespace=team"), context)

    where = "-t kubernetes-application -Dkubernetes.cluster-id=my-cluster -Dkubernetes.namespace=team"
    assert programs.calls() == [
        "flink run-application --target kubernetes-application "
        "-Dexecution.shutdown-on-application-finish=false -Dkubernetes.cluster-id=my-cluster "
        "-Dkubernetes.namespace=team app.jar",
        *[f"flink list -a {where}"] * 3,
        "kubectl delete deployments/my-cluster --ignore-not-found --namespace team",
    ]


@pytest.mark.parametrize("state", ["FAILED", "CANCELED", "SUSPENDED"])
def test_an_application_on_kubernetes_that_ended_otherwise_fails_the_task_and_leaves_no_cluster(
    state: str, programs: FakePrograms, context: Context
) -> None:
    programs.add("flink", f"[ $1 = list ] && echo 'd t : {JOB} : Count ({state})'; exit 0")
    programs.add("kubectl")

    with pytest.raises(AIFlowException, match=f"ended as {state}"):
        run(_on_kubernetes(), context)

    assert programs.calls()[-1] == "kubectl delete deployments/my-cluster --ignore-not-found"


def test_stopping_an_application_on_kubernetes_leaves_no_cluster(
    programs: FakePrograms, context: Context
) -> None:
    programs.add("flink", f"[ $1 = list ] && echo 'd t : {JOB} : Count (RUNNING)'; exit 0")
    programs.add("kubectl")
    task = _on_kubernetes()
    task.start(context)
    assert task._client is not None
    task._client.wait_for_exit(60)

    task.stop(context)

    where = "-t kubernetes-application -Dkubernetes.cluster-id=my-cluster"
    assert programs.calls()[1:] == [
        f"flink list -a {where}",
        f"flink cancel {where} {JOB}",
        "kubectl delete deployments/my-cluster --ignore-not-found",
    ]


@pytest.mark.parametrize(
    ("target", "program"), [("yarn-application", "yarn"), ("kubernetes-application", "kubectl")]
)
def test_a_tool_that_will_be_needed_is_missed_at_the_start(
    target: str, program: str, programs: FakePrograms, context: Context
) -> None:
    programs.add("flink")
    task = make(target, application_mode=True, kubernetes_cluster_id="my-cluster")

    with pytest.raises(AIFlowException, match=f"Cannot find {program} command on PATH"):
        task.start(context)

    assert programs.calls() == []


@pytest.mark.parametrize(
    ("target", "application_mode", "message"),
    [
        ("yarn-application", False, "Invalid --target option: yarn-application set to `flink run`"),
        ("moon", False, "Invalid --target option: moon set to `flink run`"),
        ("remote", True, "Invalid --target option: remote set to `flink run-application`"),
        (None, True, "Invalid --target option: None set to `flink run-application`"),
    ],
)
def test_a_target_of_the_wrong_mode_is_refused_in_the_definition(
    target: str | None, application_mode: bool, message: str
) -> None:
    with pytest.raises(AIFlowException) as raised:
        make(target, application_mode=application_mode)

    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("target", "application_mode"), [("kubernetes-session", False), ("kubernetes-application", True)]
)
def test_kubernetes_needs_a_cluster_id(target: str, application_mode: bool) -> None:
    with pytest.raises(InvalidOptionError, match="kubernetes_cluster_id must be set"):
        make(target, application_mode=application_mode)


def test_env_reaches_the_client(programs: FakePrograms, context: Context, tmp_path: Path) -> None:
    programs.add("flink", f'echo "$STAGE" > {tmp_path}/stage')

    run(make(env={"STAGE": "test"}), context)

    assert (tmp_path / "stage").read_text() == "test\n"


def _third_time(before: str, then: str) -> str:
    """A body that prints ``before`` twice and ``then`` from the third time on."""
    return f"""
    if ! [ -e "$CALLS.1" ]; then touch "$CALLS.1"; echo '{before}'
    elif ! [ -e "$CALLS.2" ]; then touch "$CALLS.2"; echo '{before}'
    else echo '{then}'; fi
    """
