# SPDX-License-Identifier: Apache-2.0
"""Who decides: taking over from the dead and the stopped, and what a superseded holder can do (nothing)."""

from __future__ import annotations

import pytest

from ai_flow.model.action import TaskAction
from ai_flow.model.operator import Operator
from ai_flow.model.workflow import Workflow
from ai_flow.scheduler.scheduler import Send
from notification_service.database.connection import Connection
from notification_service.database.errors import DatabaseError
from tests.scheduler.stage import Ended, Stage, draft, picture


def _chain(**options: object) -> Workflow:
    with Workflow(name="chain") as workflow:
        a, b = Operator("a", **options), Operator("b")
        b.start_after(a)
    return workflow


def test_the_first_to_come_decides_and_the_second_follows(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")

    first.step()
    second.step()

    assert first.decides
    assert not second.decides


def test_a_dead_holder_is_replaced_at_once(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    first.step()

    first.die()
    assert second.scheduler.has_news(free_slots=0)
    second.step()

    assert second.decides
    assert second.lease.term == 2


def test_a_stopped_holder_is_replaced_when_its_lease_has_expired(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    first.step()

    stage.advance(9.9)
    second.step()
    assert not second.decides
    stage.advance(0.2)
    second.step()

    assert second.decides


def test_a_holder_that_works_keeps_its_lease(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    for _ in range(10):
        first.step()
        stage.advance(5)
        assert first.scheduler.has_news(free_slots=0), "a renewal is due"

    first.step()
    second.step()

    assert first.decides
    assert not second.decides
    assert first.lease.term == 1


def test_a_superseded_holder_commits_nothing_and_follows(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(_chain(), owner="first")
    first.step()
    stage.advance(11)
    second.step()
    stage.boot_ms -= 11_000  # the first was stopped: as far as it knows, no time has passed

    first.end("a")

    assert not first.decides
    assert stage.runs(execution_id) == [("a", 1, "RUNNING", 1)]
    second.step()
    assert stage.runs(execution_id) == [("a", 1, "SUCCESS", 1), ("b", 1, "QUEUED", 1)]
    first.step()
    second.step()
    assert stage.runs(execution_id)[1] == ("b", 1, "RUNNING", 1)


def test_a_holder_that_resigns_is_followed_at_once(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    first.step()

    first.scheduler.resign()
    second.step()

    assert second.decides
    assert second.scheduler.dead_runners() == []


def test_the_successor_goes_on_where_the_holder_was(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(_chain(retries=2, retry_delay=10), owner="second")
    first.step()
    second.step()
    second.end("a", "FAILED", "exit code 1")
    first.step()
    assert stage.runs(execution_id) == [("a", 1, "RETRYING", 1)]

    first.die()
    second.step()
    assert second.scheduler.next_due_ms() == stage.clock.now_ms() + 10_000
    stage.advance(10)
    second.step()
    second.end("a")
    second.end("b")

    assert stage.runs(execution_id) == [("a", 1, "SUCCESS", 2), ("b", 1, "SUCCESS", 1)]
    assert stage.status(execution_id) == "SUCCESS"


def test_an_outcome_that_was_reported_but_not_read_survives_the_reader(stage: Stage) -> None:
    """The attempt's row has its outcome already when the next holder loads the world."""
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(_chain(), owner="second")
    first.step()
    second.step()
    first.step()
    second.end("a")

    first.die()
    second.step()
    second.step()

    assert stage.runs(execution_id)[0] == ("a", 1, "SUCCESS", 1)
    assert [launch.task for launch in second.launched] == ["a", "b"]


def test_an_outcome_whose_claim_was_not_read_either_survives(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(_chain(), owner="second")
    first.step()
    second.step()
    second.end("a")

    first.die()
    second.steps()

    assert stage.runs(execution_id) == [("a", 1, "SUCCESS", 1), ("b", 1, "RUNNING", 1)]


def test_an_outcome_before_a_long_backlog_is_not_lost(stage: Stage) -> None:
    """The claim's event lies behind 600 others when the new holder's executor reports the end."""
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(_chain(), owner="second")
    first.step()
    stage.log.append([draft("noise") for _ in range(600)])
    second.step()

    first.die()
    second.end("a")
    second.steps()

    assert stage.runs(execution_id) == [("a", 1, "SUCCESS", 1), ("b", 1, "RUNNING", 1)]


def test_an_execution_whose_owner_died_fails_and_says_so(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(_chain(), owner="second")
    first.step()
    second.step()
    first.step()

    second.die()
    assert first.scheduler.dead_runners() == ["second"]
    first.step(gone=["second"])

    assert stage.status(execution_id) == "FAILED"
    assert (stage.reason(execution_id) or "").startswith("owner gone")
    assert stage.runs(execution_id) == [("a", 1, "FAILED", 1)]
    assert stage.rows("SELECT outcome FROM attempt") == [("LOST",)]
    assert first.scheduler.dead_runners() == []


def test_what_the_dead_reported_last_counts(stage: Stage) -> None:
    with Workflow(name="one") as workflow:
        Operator("a")
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(workflow, owner="second")
    first.step()
    second.step()
    second.end("a")

    second.die()
    first.step(gone=["second"])

    assert stage.status(execution_id) == "SUCCESS"


def test_a_start_that_the_dead_asked_for_last_fails_too(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    first.step()
    execution_id = stage.start(_chain(), owner="second")

    second.die()
    first.step(gone=["second"])

    assert stage.status(execution_id) == "FAILED"


def test_the_dead_are_accounted_for_when_the_log_has_been_read(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    first.step()
    stage.log.append([draft("noise") for _ in range(600)])
    execution_id = stage.start(_chain(), owner="second")
    second.die()

    assert first.step(gone=["second"]).more
    assert first.scheduler.dead_runners() == ["second"]
    first.steps()
    first.step(gone=first.scheduler.dead_runners())

    assert stage.status(execution_id) == "FAILED"


def test_attempts_of_nobodys_executions_are_lost_with_their_supervisor(stage: Stage) -> None:
    first = stage.actor("first", takes_unowned=True)
    execution_id = stage.start(_chain(retries=1))
    first.step()
    second = stage.actor("second", takes_unowned=True)

    first.die()
    second.step()
    second.step(gone=["first"])
    second.step()

    assert stage.runs(execution_id) == [("a", 1, "RUNNING", 2)]
    assert stage.rows("SELECT outcome, claimed_by FROM attempt ORDER BY rowid") == [
        ("LOST", "first"),
        (None, "second"),
    ]


def test_a_stop_that_was_decided_but_not_carried_out_is_told_to_the_successor(stage: Stage) -> None:
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(_chain(), owner="second")
    first.step()
    second.step()
    first.step()
    stage.stop(execution_id)
    first.step()

    first.die()
    attempt_id = second.attempt("a")
    assert second.step().stops == [attempt_id]
    assert second.step().stops == []
    second.end("a", "STOPPED")

    assert stage.status(execution_id) == "STOPPED"


def test_a_start_wished_for_while_stopping_survives_the_holder(stage: Stage) -> None:
    with Workflow(name="w") as workflow:
        Operator("stream")
        task = Operator("t")
        task.action_on_event_received(TaskAction.STOP, "stop")
        task.action_on_event_received(TaskAction.RESTART, "again")
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(workflow, owner="second")
    first.step()
    second.step()
    for key in ("stop", "again"):
        stage.send(key, execution_id)
        first.step()

    first.die()
    second.step()
    second.end("t", "STOPPED")

    assert stage.runs(execution_id)[-1] == ("t", 2, "RUNNING", 1)


@pytest.mark.parametrize("failing", ["insert_run", "move_cursor", "update_run", "finish_attempt"])
def test_after_a_failed_commit_the_inputs_may_be_given_again(
    stage: Stage, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = stage.actor("one")
    execution_id = stage.start(_chain(), owner="one")
    actor.step()
    attempt_id = actor.attempt("a")
    sends = [Send(drafts=[draft("k", execution_id)], producer="p", sequence=1)]

    with monkeypatch.context() as patch:
        _let_fail(patch, failing)
        with pytest.raises(DatabaseError):
            actor.step(Ended(attempt_id=attempt_id), sends=sends)
    assert not actor.decides
    assert stage.runs(execution_id) == [("a", 1, "RUNNING", 1)]
    actor.step(Ended(attempt_id=attempt_id), sends=sends)
    actor.step(sends=sends)

    assert stage.runs(execution_id) == [("a", 1, "SUCCESS", 1), ("b", 1, "RUNNING", 1)]
    assert stage.rows("SELECT count(*) FROM event WHERE key = 'k'") == [(1,)]
    assert picture(actor.world) == picture(stage.load_world())


def test_a_claim_that_another_made_meanwhile_is_decided_anew(stage: Stage) -> None:
    """The stop of a queued run meets the claim of the run's owner: neither is lost."""
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(_chain(), owner="second")
    first.step()
    second.step()  # claims; the first has not read it
    stage.stop(execution_id)

    first.step()
    attempt_id = second.attempt("a")
    assert stage.runs(execution_id) == [("a", 1, "STOPPING", 1)]
    second.step()
    assert second.stopping == [attempt_id]
    second.end("a", "STOPPED")
    first.step()

    assert stage.status(execution_id) == "STOPPED"


def _let_fail(patch: pytest.MonkeyPatch, statement: str) -> None:
    execute = Connection.execute

    def failing(self: Connection, stmt, /, **params):  # type: ignore[no-untyped-def]
        if stmt.name == statement:
            raise DatabaseError("the disk is full")
        return execute(self, stmt, **params)

    patch.setattr(Connection, "execute", failing)


def test_what_a_process_leaves_behind_when_it_resigns_is_found(stage: Stage) -> None:
    """A run that is ended at once (a second Ctrl-C) gives the lease back before its execution has ended."""
    first, second = stage.actor("first"), stage.actor("second")
    execution_id = stage.start(_chain(), owner="first")
    first.step()

    first.scheduler.resign(leaves_work=True)
    first.die()
    second.step()
    assert second.scheduler.dead_runners() == ["first"]
    second.step(gone=["first"])

    assert stage.status(execution_id) == "FAILED"
