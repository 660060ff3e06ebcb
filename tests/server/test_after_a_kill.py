# SPDX-License-Identifier: Apache-2.0
"""What the next run of a home does about one that was killed, however short it is."""

from __future__ import annotations

import os
import signal

import pytest

from tests.examples.program import HomeOfTest
from tests.server.runs import standing_of, store_of, write

pytestmark = pytest.mark.slow


def test_a_short_run_ends_what_a_killed_one_left(home: HomeOfTest) -> None:
    killed = write(
        home,
        """
        with Workflow(name="killed") as workflow:
            BashOperator(name="rare", bash_command="echo here", periodic_expression="interval@1 0 0 0")
        """,
        "killed.py",
    )
    short = write(
        home,
        """
        with Workflow(name="short") as workflow:
            BashOperator(name="nap", bash_command="sleep 0.6")
        """,
        "short.py",
    )
    with home.running(killed) as run:
        home.wait_for_log("killed", "rare", "here")
        os.kill(run.pid, signal.SIGKILL)
        os.waitpid(run.pid, 0)

    finished = home.run(short)

    assert finished.exit_code == 0
    with store_of(home) as store:
        standing = standing_of(store, 1)
    assert (standing.status.value, standing.reason) == (
        "FAILED",
        "owner gone: the process that ran it ended unexpectedly",
    )
