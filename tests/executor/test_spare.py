# SPDX-License-Identifier: Apache-2.0
"""The fork that waits for the next Python attempt: used, replaced, and never in the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_flow.executor.attempt import Outcome
from tests.executor.executor_support import Site, is_gone, kill, open_site

_FLOW = """\
import os
from ai_flow.model.workflow import Workflow
from ai_flow.operators.python import PythonOperator

with Workflow(name="w") as workflow:
    PythonOperator("t", lambda: print("pid", os.getpid()))
    PythonOperator("wait", lambda: (print("up"), __import__("time").sleep(300)))
"""


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Site]:
    """A site with a workflow whose fork server has a spare."""
    with open_site(tmp_path) as site:
        site.write_workflow(_FLOW)
        yield site


def children(site: Site) -> list[int]:
    server = site.fork_server().pid
    return [int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()]


def spare(site: Site) -> int:
    return site.until(lambda: children(site))[0]


def test_attempt_runs_in_the_fork_that_waited_and_another_takes_its_place(flow: Site) -> None:
    waiting = spare(flow)
    spec = flow.python("t")

    assert flow.finish(spec).outcome is Outcome.SUCCESS

    assert flow.pids_in(spec) == [waiting]
    assert flow.until(lambda: [pid for pid in children(flow) if pid != waiting])


def test_attempt_runs_when_the_waiting_fork_has_died(flow: Site) -> None:
    kill(spare(flow))
    spec = flow.python("t")

    assert flow.finish(spec).outcome is Outcome.SUCCESS


def test_request_that_fills_the_pipe_is_forked_at_once(flow: Site) -> None:
    waiting = spare(flow)
    spec = flow.python("t", params={"long": "x" * 100_000})

    assert flow.finish(spec).outcome is Outcome.SUCCESS

    assert flow.pids_in(spec) != [waiting]
    assert not is_gone(waiting)


@pytest.mark.parametrize("running", [False, True])
def test_waiting_fork_ends_with_its_server(flow: Site, running: bool) -> None:
    if running:
        flow.launch(flow.python("wait"), until="up")
    waiting = flow.until(lambda: [pid for pid in children(flow) if pid not in busy(flow)])[0]

    kill(flow.fork_server().pid)

    flow.until(lambda: is_gone(waiting))


def busy(site: Site) -> list[int | None]:
    return [site.executor.pid_of(attempt_id) for attempt_id in site.executor.running()]


def test_file_that_is_changed_in_its_working_copy_is_what_runs(flow: Site) -> None:
    spec = flow.python("t", number=1)
    flow.finish(spec)
    copy = spec.working_dir / "wf" / "wf.py"
    copy.write_text(copy.read_text().replace('"pid"', '"changed"'))

    second = flow.python("t", number=2)
    flow.finish(second)

    assert flow.log(second).startswith("changed ")
