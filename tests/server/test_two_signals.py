# SPDX-License-Identifier: Apache-2.0
"""Two signals that reach a run in one turn, as from an impatient person or a program that ends it."""

from __future__ import annotations

import signal

import pytest

from tests.examples.program import HomeOfTest, Running
from tests.server.runs import standing_of, store_of, write

pytestmark = pytest.mark.slow

#: Which of two pending signals a process with threads notes first is for the kernel to choose.
EITHER_SIGNAL = (130, 143)


def _signal_twice_at_once(run: Running) -> None:
    # While the process is stopped both become pending, so that it takes them together.
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        run.interrupt(number)


def test_tasks_killed_by_them_were_stopped_and_have_not_failed(home: HomeOfTest) -> None:
    file = write(
        home,
        """
        with Workflow(name="w") as workflow:
            work = BashOperator(name="work", bash_command="echo here; sleep 60", retries=1)
            alarm = BashOperator(name="alarm", bash_command="true")
            alarm.action_on_task_status(TaskAction.START, {work: TaskStatus.FAILED})
        """,
    )

    with home.running(file) as run:
        home.wait_for_log("w", "work", "here")
        _signal_twice_at_once(run)
        finished = run.finish(limit_s=15)

    assert finished.exit_code in EITHER_SIGNAL
    assert finished.statuses == {"work": "STOPPED", "alarm": None}
    assert finished.execution["status"] == "STOPPED"


def test_an_execution_of_which_nothing_runs_just_now_is_recorded_as_stopped(home: HomeOfTest) -> None:
    file = write(
        home,
        """
        with Workflow(name="w") as workflow:
            rare = BashOperator(name="rare", bash_command="echo here", periodic_expression="interval@1 0 0 0")
            after = BashOperator(name="after", bash_command="echo here")
            after.start_after(rare)
        """,
    )

    with home.running(file) as run:
        home.wait_for_log("w", "after", "here")
        _signal_twice_at_once(run)
        finished = run.finish(limit_s=15)

    assert finished.exit_code in EITHER_SIGNAL
    with store_of(home) as store:
        assert standing_of(store, 1).status.value == "STOPPED"
