# SPDX-License-Identifier: Apache-2.0
"""Every file in `examples` does what its first lines say, run as they say."""

from __future__ import annotations

import re

import pytest

from tests.examples.program import EXAMPLES, HomeOfTest

pytestmark = pytest.mark.slow


def test_the_quickstart_joins_two_tasks_and_starts_another_by_an_event(home: HomeOfTest) -> None:
    finished = home.run(EXAMPLES / "quickstart_workflow.py")

    assert (finished.exit_code, finished.execution["status"]) == (0, "SUCCESS")
    assert finished.statuses == dict.fromkeys(["north", "south", "total", "report"], "SUCCESS")
    assert set(finished.rounds.values()) == {1}
    assert home.log("quickstart_workflow", "total").read_text() == "The total is 42.\n"
    assert home.log("quickstart_workflow", "report").read_text() == "Reported: 42 orders.\n"
    begun = {task: finished.tries(task)[0]["begin_date"] for task in finished.statuses}
    assert begun["total"] >= max(finished.tries(task)[0]["end_date"] for task in ("north", "south"))


def test_status_rules_stop_a_task_that_would_run_for_ever(home: HomeOfTest) -> None:
    finished = home.run(EXAMPLES / "status_rules.py")

    assert (finished.exit_code, finished.execution["status"]) == (0, "SUCCESS")
    assert finished.statuses == {
        "import_orders": "SUCCESS",
        "import_prices": "SUCCESS",
        "watch": "STOPPED",
        "summary": "SUCCESS",
        "alarm": None,
    }
    assert [never["task"] for never in finished.execution["never_started"]] == ["alarm"]
    watched = finished.log("watch").count("Watching.")
    assert watched >= 2
    assert finished.log("summary") == f"Watched {watched} times.\n"


def test_the_condition_is_met_once_and_the_consumer_ends_the_producers(home: HomeOfTest) -> None:
    finished = home.run(EXAMPLES / "custom_condition.py")

    assert (finished.exit_code, finished.execution["status"]) == (0, "SUCCESS")
    assert finished.execution["rule_failures"] == []
    assert finished.statuses == {
        "consumer": "SUCCESS",
        "producer_1": "STOPPED",
        "producer_2": "STOPPED",
        "producer_3": "STOPPED",
    }
    assert finished.rounds["consumer"] == 1
    assert finished.log("consumer") == "Got at least 100 records.\n"
    assert list((home.root / "run").iterdir()) == []


def test_the_trigger_starts_the_second_workflow(home: HomeOfTest) -> None:
    said = home.python(EXAMPLES / "event_triggered_workflow.py")
    finished = home.run(EXAMPLES / "quickstart_workflow.py", "--until-idle")

    assert said == "Added trigger 1, asked for workflow execution 1.\n"
    assert finished.exit_code == 0
    assert {name: execution["status"] for name, execution in finished.executions.items()} == {
        "import_orders": "SUCCESS",
        "refresh_report": "SUCCESS",
        "quickstart_workflow": "SUCCESS",
    }
    assert home.log("import_orders", "import", execution_id=1).read_text() == "Imported 42 orders.\n"
    assert home.log("refresh_report", "refresh", execution_id=3).read_text() == "The report is fresh.\n"


def test_without_its_trigger_the_file_runs_both_workflows_side_by_side(home: HomeOfTest) -> None:
    finished = home.run(EXAMPLES / "event_triggered_workflow.py")

    assert finished.exit_code == 0
    assert [execution["workflow"] for execution in finished.document["executions"]] == [
        "import_orders",
        "refresh_report",
    ]
    assert {execution["status"] for execution in finished.document["executions"]} == {"SUCCESS"}


def test_the_periodic_task_takes_its_downstream_along_until_a_rule_stops_it(home: HomeOfTest) -> None:
    finished = home.run(EXAMPLES / "periodic_task.py")

    assert (finished.exit_code, finished.execution["status"]) == (0, "SUCCESS")
    assert finished.rounds == {"measure": 3, "average": 3}
    for number in (1, 2, 3):
        assert home.log("periodic_task", "average", number).read_text().startswith(f"Round {number}: ")
    assert 1.8 < finished.execution["duration_s"] < 10


def test_online_learning_serves_three_models_and_ends_its_streams(home: HomeOfTest) -> None:
    pytest.importorskip("sklearn", reason="needs the extra example_requires", exc_type=ImportError)

    finished = home.run(EXAMPLES / "online_learning.py")

    assert (finished.exit_code, finished.execution["status"]) == (0, "SUCCESS")
    assert finished.statuses == {
        "preprocess": "STOPPED",
        "train": "SUCCESS",
        "validate": "SUCCESS",
        "deploy": "SUCCESS",
        "predict": "STOPPED",
    }
    predictions = home.working_dir("online_learning", "online_learning") / "predictions.txt"
    right = [int(number) for number in re.findall(r": (\d+) of 1797", predictions.read_text())]
    assert len(right) == 3
    assert right[-1] > 1500


def test_failed_tries_are_repeated_with_growing_delays_and_parameters_arrive(home: HomeOfTest) -> None:
    finished = home.run(
        EXAMPLES / "retries.py", "--param", "failures=2", "--param", "city=São Paulo, 2 o'clock"
    )

    assert (finished.exit_code, finished.execution["status"]) == (0, "SUCCESS")
    assert [attempt["status"] for attempt in finished.tries("download")] == ["FAILED", "FAILED", "SUCCESS"]
    assert "The network went away in try 2." in finished.tries("download")[1]["reason"]
    assert [attempt["reason"] for attempt in finished.tries("convert")] == ["timed out after 1 s", None]
    assert finished.log("convert") == "Converted in parquet.\n"
    assert finished.log("greet") == "Hello, São Paulo, 2 o'clock.\n"
    assert home.log("retries", "download").with_name("1.3.log").read_text() == "This is try 3.\n"


def test_too_many_failures_fail_the_execution(home: HomeOfTest) -> None:
    finished = home.run(EXAMPLES / "retries.py", "--param", "failures=4", "--keep-going")

    assert (finished.exit_code, finished.execution["status"]) == (1, "FAILED")
    assert finished.statuses == {"download": "FAILED", "convert": "SUCCESS", "greet": None}
    assert len(finished.tries("download")) == 4
