# SPDX-License-Identifier: Apache-2.0
"""What a run leaves in the home: its records, logs and working directories, and nothing of its own."""

from __future__ import annotations

import signal

import pytest

from tests.examples.program import HomeOfTest
from tests.server.runs import standing_of, store_of, wait_for, write

pytestmark = pytest.mark.slow

_QUICK = """
    with Workflow(name="w") as workflow:
        a = BashOperator(name="a", bash_command="true")
        b = PythonOperator(name="b", python_callable=lambda: None)
        b.start_after(a)
"""


def test_the_run_directory_is_empty_afterwards(home: HomeOfTest) -> None:
    finished = home.run(write(home, _QUICK))

    assert finished.exit_code == 0, finished.text
    assert list((home.root / "run").iterdir()) == []


def test_a_run_that_is_ended_at_once_leaves_its_execution_stopped(home: HomeOfTest) -> None:
    file = write(
        home,
        """
        with Workflow(name="w") as workflow:
            BashOperator(name="deaf", bash_command="trap '' TERM; echo here; while :; do sleep 0.05; done")
        """,
    )

    with home.running(file, "--stop-grace", "60") as run:
        home.wait_for_log("w", "deaf", "here")
        run.interrupt(signal.SIGINT)
        wait_for(lambda: "is being stopped" in run.text)
        run.interrupt(signal.SIGINT)
        finished = run.finish()

    assert finished.exit_code == 130
    with store_of(home) as store:
        assert standing_of(store, 1).status.value == "STOPPED"
    assert list((home.root / "run").iterdir()) == []
