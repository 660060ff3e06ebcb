# SPDX-License-Identifier: Apache-2.0
"""Python tasks: what they see and how they end, as forks and in fresh interpreters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_flow.executor.attempt import Outcome
from tests.executor.executor_support import Site, is_gone, open_site

WORKFLOW = """\
import json, logging, os, random, signal, subprocess, sys, threading, time
from dataclasses import dataclass

import helper
from ai_flow.model.internal.contexts import get_runtime_task_context
from ai_flow.model.operator import AIFlowOperator
from ai_flow.model.workflow import Workflow
from ai_flow.operators.bash import BashOperator
from ai_flow.operators.python import PythonOperator

def look():
    context = get_runtime_task_context()
    print(json.dumps({
        "file": __file__, "name": __name__, "cwd": os.getcwd(), "helper": helper.WORD,
        "path": sys.path[0], "module": sys.modules[__name__].__dict__ is globals(),
        "key": str(context.task_execution_key), "workflow": context.workflow.name, "params": context.params,
        "param": os.environ["AIFLOW_PARAM_stage"], "mine": os.environ["MINE"],
        "task": os.environ["AIFLOW_TASK_NAME"], "threads": threading.active_count(),
        "main": threading.current_thread() is threading.main_thread(), "argv": sys.argv,
    }))

def talk():
    print("printed")
    print("to stderr", file=sys.stderr)
    logging.info("logged")
    logging.getLogger("some.package").debug("not shown")
    sys.stdout.buffer.write(b"\\xff\\xfe raw\\n")
    print("lone \\ud800 surrogate")
    sys.stdout.flush()
    subprocess.run(["echo", "from a child"])

def fail():
    values = {}
    return values["missing"]

def leave(code):
    sys.exit(code)

def vanish(code):
    os._exit(code)

def thread_then_end():
    threading.Thread(target=lambda: (time.sleep(0.2), print("thread is done"))).start()
    print("main is done")

def spoil():
    import atexit
    atexit.register(lambda: os._exit(5))

def segfault():
    os.kill(os.getpid(), signal.SIGSEGV)

def numbers():
    print(random.random())

def daemon():
    # As python-daemon does it: two forks and a session of its own, without exec.
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("pid", os.getpid(), flush=True)
            time.sleep(300)
            time.sleep(300)
        os._exit(0)
    os.wait()

def come_back_as_a_fork():
    if os.fork() == 0:
        raise RuntimeError("in the child")
    os.wait()

def files():
    paths = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    print(sorted({os.readlink(path).partition(":")[0] for path in paths if os.path.lexists(path)}))

class Stream(AIFlowOperator):
    def __init__(self, name, mode="", **kwargs):
        super().__init__(name, **kwargs)
        self.mode = mode
    def start(self, context):
        child = os.fork() if self.mode == "fork" else 1
        if child == 0:
            print("child", os.getpid(), flush=True)
            time.sleep(300)
        print("up")
        while True:
            try:
                time.sleep(300)
            except BaseException:
                if self.mode != "swallow":
                    raise
                return
            finally:
                print("finally")
    def stop(self, context):
        print("stop was called in", os.getpid(), "for", context.task_execution_key.task_name)
        if self.mode == "raise":
            raise RuntimeError("stop is broken")
        if self.mode == "hang":
            time.sleep(300)

class Steps(AIFlowOperator):
    def start(self, context): print("start")
    def await_termination(self, context, timeout=None): print("await_termination")

class Special(BashOperator):
    pass

with Workflow(name="w") as workflow:
    PythonOperator("look", look, env={"MINE": "yes"})
    PythonOperator("talk", talk)
    PythonOperator("fail", fail)
    PythonOperator("exit_none", leave, op_args=[None])
    PythonOperator("exit_0", leave, op_args=[0])
    PythonOperator("exit_3", leave, op_args=[3])
    PythonOperator("exit_text", leave, op_args=["no data today"])
    PythonOperator("vanish_0", vanish, op_args=[0])
    PythonOperator("vanish_4", vanish, op_args=[4])
    PythonOperator("thread", thread_then_end)
    PythonOperator("spoil", spoil)
    PythonOperator("segfault", segfault)
    PythonOperator("numbers", numbers)
    PythonOperator("daemon", daemon)
    PythonOperator("fork", come_back_as_a_fork)
    PythonOperator("files", files)
    Stream("stream")
    Stream("stream_raise", mode="raise")
    Stream("stream_hang", mode="hang")
    Stream("stream_swallow", mode="swallow")
    Stream("stream_fork", mode="fork")
    Steps("steps")
    Special("special", "echo special in $PWD; exit 6")
"""


@pytest.fixture(params=["fork", "spawn"])
def flow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A site with the workflow above, whose tasks are forks, or fresh interpreters."""
    with open_site(tmp_path) as site:
        site.start(preload=request.param == "fork")
        site.write_workflow(WORKFLOW, helper="WORD = 'helped'\n")
        yield site


@pytest.fixture
def forked(tmp_path: Path) -> Iterator[Site]:
    """A site whose tasks are forks."""
    with open_site(tmp_path) as site:
        site.write_workflow(WORKFLOW, helper="WORD = 'helped'\n")
        yield site


def run(site: Site, task_name: str, **fields: Any) -> tuple[Outcome, str | None, str]:
    spec = site.python(task_name, **fields)
    report = site.finish(spec)
    return report.outcome, report.reason, site.log(spec)


def test_task_sees_its_file_its_place_and_itself(flow: Site) -> None:
    spec = flow.python("look", env={"MINE": "yes"}, params={"stage": "test"}, number=3)

    assert flow.finish(spec).outcome is Outcome.SUCCESS, flow.log(spec)

    import json

    directory = str(spec.working_dir / "wf")
    assert json.loads(flow.log(spec)) == {
        "file": f"{directory}/wf.py",
        "name": "wf",
        "cwd": directory,
        "helper": "helped",
        "path": directory,
        "module": True,
        "key": "7_look_3",
        "workflow": "w",
        "params": {"stage": "test"},
        "param": "test",
        "mine": "yes",
        "task": "look",
        "threads": 1,
        "main": True,
        "argv": [f"{directory}/wf.py"],
    }


def test_everything_a_task_says_is_in_its_log(flow: Site) -> None:
    outcome, _, log = run(flow, "talk")

    assert outcome is Outcome.SUCCESS
    lines = log.splitlines()
    assert lines[:2] == ["printed", "to stderr"]
    assert lines[2].startswith("[20") and lines[2].endswith("- INFO: logged")
    assert lines[3:] == ["\ufffd\ufffd raw", "lone \\ud800 surrogate", "from a child"]


def test_task_inherits_no_socket_of_ours(flow: Site) -> None:
    spec = flow.python("files")
    flow.finish(spec)

    assert flow.log(spec) == f"{['/dev/null', str(spec.log_path)]}\n"


def test_exception_is_the_reason_and_its_traceback_is_in_the_log(flow: Site) -> None:
    outcome, reason, log = run(flow, "fail")

    line = 1 + WORKFLOW.splitlines().index('    return values["missing"]')
    assert (outcome, reason) == (Outcome.FAILED, f"KeyError: 'missing' (wf.py:{line}, in fail)")
    assert "Traceback (most recent call last):" in log
    assert 'return values["missing"]' in log
    assert "task_process.py" not in log.partition("Traceback")[2]


@pytest.mark.parametrize(
    ("task_name", "outcome", "reason"),
    [
        ("exit_none", Outcome.SUCCESS, None),
        ("exit_0", Outcome.SUCCESS, None),
        ("exit_3", Outcome.FAILED, "exit code 3: sys.exit(3)"),
        ("exit_text", Outcome.FAILED, "no data today"),
        ("vanish_4", Outcome.FAILED, "exit code 4"),
        ("spoil", Outcome.FAILED, "exit code 5 after the operator had finished"),
        ("segfault", Outcome.FAILED, "killed by signal 11 (SIGSEGV)"),
        ("steps", Outcome.SUCCESS, None),
        ("fork", Outcome.SUCCESS, None),
    ],
)
def test_end_of_the_process_decides(flow: Site, task_name: str, outcome: Outcome, reason: str | None) -> None:
    assert run(flow, task_name)[:2] == (outcome, reason)


def test_exit_code_0_alone_is_no_success(flow: Site) -> None:
    outcome, reason, _ = run(flow, "vanish_0")

    assert outcome is Outcome.FAILED
    assert reason is not None and "before the operator had finished" in reason


def test_task_ends_with_its_threads(flow: Site) -> None:
    assert run(flow, "thread") == (Outcome.SUCCESS, None, "main is done\nthread is done\n")


def test_subclass_of_an_operator_runs_in_python(flow: Site) -> None:
    outcome, reason, log = run(flow, "special")

    assert outcome is Outcome.FAILED
    assert reason is not None and "exit" in reason
    assert log.startswith(f"special in {flow.home.working_dir / 'w' / '7' / 'wf'}\n")


def test_stop_calls_the_operator_and_unwinds_its_code(flow: Site) -> None:
    spec = flow.python("stream")
    pid = flow.launch(spec, until="up")

    flow.executor.stop(spec.attempt_id)
    report = flow.report_of(spec)

    assert (report.outcome, report.reason) == (Outcome.STOPPED, None)
    assert f"stop was called in {pid} for stream\nfinally\n" in flow.log(spec)


@pytest.mark.parametrize("task_name", ["stream_raise", "stream_swallow", "stream_fork"])
def test_stop_succeeds_whatever_the_operator_does(forked: Site, task_name: str) -> None:
    spec = forked.python(task_name)
    pid = forked.launch(spec, until="up")
    forked.executor.stop(spec.attempt_id)

    report = forked.report_of(spec)

    assert report.outcome is Outcome.STOPPED
    assert forked.log(spec).count("stop was called") == 1
    assert all(is_gone(child) for child in [pid, *forked.pids_in(spec, "child")])


def test_operator_that_hangs_in_stop_is_killed(forked: Site) -> None:
    spec = forked.python("stream_hang", stop_grace_s=0.2)
    pid = forked.launch(spec, until="up")
    forked.executor.stop(spec.attempt_id)

    assert forked.report_of(spec).outcome is Outcome.STOPPED
    assert is_gone(pid)


def test_sigterm_from_outside_is_a_failure_that_says_so(forked: Site) -> None:
    spec = forked.python("stream")
    pid = forked.launch(spec, until="up")
    os.kill(pid, 15)

    report = forked.report_of(spec)

    assert (report.outcome, report.reason) == (
        Outcome.FAILED,
        "stopped by a SIGTERM that did not come from aiflow",
    )


def test_timeout_stops_the_operator_too(forked: Site) -> None:
    spec = forked.python("stream", timeout_s=0.3)
    report = forked.finish(spec)

    assert (report.outcome, report.reason) == (Outcome.FAILED, "timed out after 0.3 s")
    assert "stop was called" in forked.log(spec)


def test_daemon_without_exec_is_found_and_ended(flow: Site) -> None:
    spec = flow.python("daemon")
    report = flow.finish(spec)

    assert report.outcome is Outcome.SUCCESS
    flow.until(lambda: all(is_gone(pid) for pid in flow.pids_in(spec)))
    assert "the task's processes outlived it and were ended: " in flow.log(spec)


def test_forks_draw_different_random_numbers(forked: Site) -> None:
    logs = {run(forked, "numbers", number=number)[2] for number in (1, 2, 3)}

    assert len(logs) == 3


def test_file_that_defines_something_else_is_refused(forked: Site) -> None:
    spec = forked.python("steps")
    changed = dict(spec.task) | {"retries": 4}

    assert run(forked, "steps", task=changed)[:2] == (
        Outcome.FAILED,
        "executing the workflow file again gave something else: task steps of workflow default.w differs in "
        "retries; let what it defines not depend on time, chance or the environment",
    )
    assert "the tasks of workflow default.w are others now" in str(run(forked, "steps", task_names=["a"])[1])
    assert "it defines no workflow default.other" in str(run(forked, "steps", workflow_name="other")[1])


def test_attempts_of_one_snapshot_share_one_server(forked: Site) -> None:
    server = forked.fork_server()
    specs = [forked.python("steps", number=number) for number in (1, 2, 3)]
    for spec in specs:
        forked.executor.launch(spec)

    assert {forked.report_of(spec).outcome for spec in specs} == {Outcome.SUCCESS}
    assert forked.fork_server() is server


def test_stop_before_the_server_is_ready_starts_nothing(tmp_path: Path) -> None:
    with open_site(tmp_path) as site:
        site.write_workflow(WORKFLOW, helper="WORD = 'helped'\n")
        spec = site.python("steps", snapshot="another")
        site.executor.launch(spec)
        site.executor.stop(spec.attempt_id)

        report = site.report_of(spec)

        assert (report.outcome, report.reason) == (Outcome.STOPPED, "stopped before it started")
        assert not spec.log_path.exists()
