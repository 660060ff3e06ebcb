# SPDX-License-Identifier: Apache-2.0
"""What a process does that does not decide: its own attempts, by way of the log."""

from __future__ import annotations

from ai_flow.model.action import TaskAction
from ai_flow.model.operator import Operator
from ai_flow.model.workflow import Workflow
from ai_flow.scheduler.scheduler import Send
from tests.scheduler.stage import Ended, Stage, draft, picture


def _pair() -> Workflow:
    with Workflow(name="w") as workflow:
        a, b = Operator("a"), Operator("b")
        b.start_after(a)
        a.action_on_event_received(TaskAction.STOP, "stop a")
    return workflow


def test_each_process_runs_the_tasks_of_its_own_executions_only(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    mine = stage.start(_pair(), owner="first")
    theirs = stage.start(_pair(), owner="second")
    nobodys = stage.start(_pair())

    first.step()
    second.step()
    first.step()

    assert {launch.execution_id for launch in first.launched} == {mine}
    assert {launch.execution_id for launch in second.launched} == {theirs}
    assert stage.runs(nobodys) == [("a", 1, "QUEUED", 1)]


def test_a_follower_claims_reports_and_the_holder_decides(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(_pair(), owner="second")
    first.step()

    assert second.scheduler.has_news(free_slots=1)
    assert not second.scheduler.has_news(free_slots=0)
    second.step()
    assert stage.runs(execution_id) == [("a", 1, "QUEUED", 1)]
    first.step()
    assert stage.runs(execution_id) == [("a", 1, "RUNNING", 1)]
    second.end("a")
    first.step()
    second.step()
    second.end("b")
    first.step()

    assert stage.status(execution_id) == "SUCCESS"
    assert first.launched == []
    assert first.world.executions == {}


def test_a_follower_claims_no_more_than_it_has_slots_for(stage: Stage) -> None:
    with Workflow(name="w") as workflow:
        for number in range(3):
            Operator(f"t{number}")
    first, second = stage.actor("first"), stage.actor("second", slots=2)
    stage.start(workflow, owner="second")
    first.step()

    second.step()

    assert [launch.task for launch in second.launched] == ["t0", "t1"]


def test_a_stop_reaches_the_follower_that_runs_the_task(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(_pair(), owner="second")
    first.step()
    second.step()
    first.step()

    stage.send("stop a", execution_id)
    first.step()
    assert second.scheduler.has_news(free_slots=0)
    attempt_id = second.attempt("a")
    assert second.step().stops == [attempt_id]
    assert not second.scheduler.has_news(free_slots=0), "it is being stopped"
    second.end("a", "STOPPED")
    first.step()

    assert stage.runs(execution_id) == [("a", 1, "STOPPED", 1)]
    assert stage.status(execution_id) == "SUCCESS"


def test_a_stop_before_the_claim_needs_no_follower(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(_pair(), owner="second")
    first.step()

    stage.send("stop a", execution_id)
    first.step()
    second.step()

    assert stage.runs(execution_id) == [("a", 1, "STOPPED", 1)]
    assert second.launched == []
    assert stage.rows("SELECT outcome FROM attempt") == [("REVOKED",)]


def test_a_queued_task_of_nobodys_execution_is_stopped_without_anybody(stage: Stage) -> None:
    first = stage.actor("first", takes_unowned=True, slots=0)
    execution_id = stage.start(_pair())
    first.step()

    stage.stop(execution_id)
    first.step()

    assert stage.status(execution_id) == "STOPPED"


def test_nobodys_tasks_go_to_whoever_claims_first_and_to_no_second(stage: Stage) -> None:
    with Workflow(name="w") as workflow:
        for number in range(4):
            Operator(f"t{number}")
    first = stage.actor("first", takes_unowned=True, slots=0)
    second = stage.actor("second", takes_unowned=True, slots=3)
    execution_id = stage.start(workflow)
    first.step()
    second.step()

    first.slots = 10
    first.step()
    first.step()

    assert [launch.task for launch in second.launched] == ["t0", "t1", "t2"]
    assert [launch.task for launch in first.launched] == ["t3"]
    assert {status for _, _, status, _ in stage.runs(execution_id)} == {"RUNNING"}
    assert picture(first.world) == picture(stage.load_world())


def test_the_holders_guarded_claim_fails_against_one_that_it_has_not_read(stage: Stage) -> None:
    """A claim that lies beyond the slice of events that the holder has read."""
    with Workflow(name="w") as workflow:
        Operator("t")
    first = stage.actor("first", takes_unowned=True, slots=0)
    second = stage.actor("second", takes_unowned=True)
    stage.start(workflow)
    first.step()
    stage.log.append([draft("noise") for _ in range(600)])
    second.step()

    first.slots = 10
    first.steps()

    assert first.launched == []
    assert [launch.task for launch in second.launched] == ["t"]


def test_what_a_followers_task_sends_is_stored_by_the_follower(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(_pair(), owner="second")
    first.step()
    second.step()
    first.step()

    result = second.step(sends=[Send(drafts=[draft("stop a", execution_id)])])
    (stored,) = result.stored
    assert isinstance(stored, list)
    first.step()

    assert second.step().stops == [second.attempt("a")]


def test_a_second_report_of_an_outcome_is_not_passed_on(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    stage.start(_pair(), owner="second")
    first.step()
    second.step()
    attempt_id = second.attempt("a")

    second.step(Ended(attempt_id=attempt_id))
    second.step(Ended(attempt_id=attempt_id, outcome="FAILED"))

    reports = stage.rows("SELECT count(*) FROM event WHERE value = 'ATTEMPT_FINISHED'")
    assert reports == [(1,)]
    assert stage.rows("SELECT outcome FROM attempt") == [("SUCCESS",)]


def test_an_attempt_that_never_started_at_a_follower_is_queued_again(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(_pair(), owner="second")
    first.step()
    second.step()

    second.step(Ended(attempt_id=second.attempt("a"), outcome="FAILED", never_started=True))
    first.step()
    second.step()
    first.step()

    assert stage.runs(execution_id) == [("a", 1, "RUNNING", 1)]
    assert stage.rows("SELECT outcome FROM attempt ORDER BY rowid") == [("NEVER_STARTED",), (None,)]
