# SPDX-License-Identifier: Apache-2.0
"""The periodic tasks of the manual (4.4.1): by the clock, at an interval, and what follows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples.program import HomeOfTest, interrupted
from tests.manual.typing_in import type_in

pytestmark = pytest.mark.slow


def test_4_4_1_tasks_run_at_once_and_then_every_minute(home: HomeOfTest, tmp_path: Path) -> None:
    with home.running(type_in("4.4-periodic", tmp_path / "workflow.py")) as running:
        home.wait_for_log("periodic_task_example", "task_3", "I am the 3rd task", number=2, limit_s=70)
        finished = interrupted(running)

    assert finished.statuses == dict.fromkeys(["task_1", "task_2", "task_3"], "SUCCESS")
    assert finished.rounds["task_1"] == finished.rounds["task_3"] == 2
    second = finished.tries("task_1")[1]["begin_date"]
    assert second[17:19] == "00", f"a crontab line fires at the full minute, not at {second}"


def test_4_4_1_an_interval_of_seconds_fires_every_second(home: HomeOfTest, tmp_path: Path) -> None:
    # The text with seconds for minutes, and the other task as the one that is followed.
    file = type_in(
        "4.4-periodic",
        tmp_path / "workflow.py",
        {"interval@0 0 1 0": "interval@0 0 0 1", "start_after([task1, ])": "start_after([task2, ])"},
    )

    with home.running(file) as running:
        home.wait_for_log("periodic_task_example", "task_3", "I am the 3rd task", number=4)
        finished = interrupted(running)

    assert finished.rounds["task_2"] in (4, 5)
    assert 2.8 < finished.execution["duration_s"] < 10
