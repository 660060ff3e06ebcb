# SPDX-License-Identifier: Apache-2.0
"""What the manual's chapter on concepts shows runs unchanged, with no server, and ends as it says."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from notification_service.client.embedded_notification_client import EmbeddedNotificationClient
from notification_service.model.event import Event
from tests.examples.program import HomeOfTest, interrupted
from tests.manual.typing_in import type_in

pytestmark = pytest.mark.slow


def test_1_2_quickstart(home: HomeOfTest, tmp_path: Path) -> None:
    finished = home.run(type_in("1.2-quickstart", tmp_path / "quickstart_workflow.py"))

    assert (finished.exit_code, finished.execution["status"]) == (0, "SUCCESS")
    assert finished.statuses == dict.fromkeys(["task1", "task2", "task3", "task4"], "SUCCESS")
    logs = {task: home.log("quickstart_workflow", task).read_text() for task in finished.statuses}
    assert logs == {
        "task1": "I am the 1st task.\n",
        "task2": "I am the 2nd task.\n",
        "task3": "Sending event with key: key\n",
        "task4": "I am the 4th task.\n",
    }


def test_4_5_1_a_task_starts_after_another_succeeded(home: HomeOfTest, tmp_path: Path) -> None:
    finished = home.run(type_in("4.5.1-start_after", tmp_path / "workflow.py"))

    assert (finished.exit_code, finished.execution["status"]) == (0, "SUCCESS")
    assert home.log("my_workflow", "task_2").read_text() == "I am the 2nd task\n"
    assert finished.tries("task_2")[0]["begin_date"] >= finished.tries("task_1")[0]["end_date"]


def test_4_5_1_a_task_is_stopped_when_two_others_succeeded(home: HomeOfTest, tmp_path: Path) -> None:
    home.variables["PATH"] = f"{_with_a_quicker_sleep(tmp_path)}:{home.environment['PATH']}"

    finished = home.run(type_in("4.5.1-task_status", tmp_path / "workflow.py"))

    assert (finished.exit_code, finished.execution["status"]) == (0, "SUCCESS")
    assert finished.statuses == {"task_1": "SUCCESS", "task_2": "SUCCESS", "task_3": "STOPPED"}
    (stopped,) = finished.tries("task_3")
    assert stopped["begin_date"] < finished.tries("task_1")[0]["end_date"]
    assert stopped["end_date"] >= finished.tries("task_2")[0]["end_date"]
    assert 1.8 < stopped["duration_s"] < 9


def test_4_5_2_an_event_starts_a_task(home: HomeOfTest, tmp_path: Path) -> None:
    finished = home.run(type_in("4.5.2-single_event", tmp_path / "workflow.py"))

    assert (finished.exit_code, finished.execution["status"]) == (0, "SUCCESS")
    assert finished.log("task1") == "I am the 1st task\n"
    assert finished.log("task2") == "I am the 2nd task.\n"


def test_4_5_3_a_condition_adds_up_the_events_of_a_producer_that_never_ends(
    home: HomeOfTest, tmp_path: Path
) -> None:
    with home.running(type_in("4.5.3-custom_rule", tmp_path / "workflow.py")) as running:
        # One number from 0 to 9 a second: 22 seconds on average.
        home.wait_for_log("condition_workflow", "consumer", "Got 100 records.", limit_s=80)
        finished = interrupted(running)

    assert finished.statuses == {"producer": "STOPPED", "consumer": "SUCCESS"}
    assert finished.execution["rule_failures"] == []
    numbers = _numbers_before_the_consumer(home)
    assert sum(numbers) >= 100 > sum(numbers[:-1])


def test_4_6_a_condition_also_sees_what_is_sent_from_outside(home: HomeOfTest, tmp_path: Path) -> None:
    # The manual shows the same workflow once more, with the client from another module.
    file = type_in(
        "4.5.3-custom_rule",
        tmp_path / "workflow.py",
        {"from ai_flow.notification.notification_client": "from ai_flow.notification_client"},
    )

    with home.running(file) as running:
        home.wait_for_log("condition_workflow", "producer", "")
        with closing(_client_of(home)) as client:
            client.send_event(Event("num_event", "99"))
            client.send_event(Event("num_event", "1"))
        home.wait_for_log("condition_workflow", "consumer", "Got 100 records.")
        finished = interrupted(running)

    assert finished.statuses == {"producer": "STOPPED", "consumer": "SUCCESS"}


def test_4_7_1_an_event_sent_by_one_task_starts_another(home: HomeOfTest, tmp_path: Path) -> None:
    finished = home.run(type_in("4.7.1-sending", tmp_path / "workflow.py"))

    assert (finished.exit_code, finished.execution["status"]) == (0, "SUCCESS")
    assert finished.log("task2") == "I am the 2nd task.\n"


def test_4_7_2_a_listener_gets_the_events_of_its_key_until_it_is_unregistered(
    home: HomeOfTest, tmp_path: Path
) -> None:
    finished = home.run(type_in("4.7.2-listening", tmp_path / "workflow.py"))

    assert (finished.exit_code, finished.execution["status"]) == (0, "SUCCESS")
    assert finished.log("counting") == "counted 3\n"


def _with_a_quicker_sleep(folder: Path) -> Path:
    """Return a directory for the PATH whose `sleep` takes a tenth of the time: the text says 10 to 100 s."""
    programs = folder / "programs"
    programs.mkdir()
    sleep = programs / "sleep"
    sleep.write_text('#!/bin/sh\nexec /bin/sleep "$(echo "$1" | sed "s/.$/.&/")"\n')
    sleep.chmod(0o755)
    return programs


def _client_of(home: HomeOfTest) -> EmbeddedNotificationClient:
    return EmbeddedNotificationClient(f"sqlite:///{home.root}/aiflow.db", namespace="default")


def _numbers_before_the_consumer(home: HomeOfTest) -> list[int]:
    with closing(_client_of(home)) as client:
        numbers = client.list_events(key="num_event")
        started = client.list_events(key="[task_status_change].default.condition_workflow.consumer")[0]
    assert started.offset is not None
    return [int(event.value or 0) for event in numbers if (event.offset or 0) < started.offset]
