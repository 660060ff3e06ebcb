# SPDX-License-Identifier: Apache-2.0
"""Cost follows change: what a step does not grow with what has finished (design, rule 8)."""

from __future__ import annotations

import pytest

from ai_flow.model.action import TaskAction
from ai_flow.model.operator import Operator
from ai_flow.model.workflow import Workflow
from notification_service.database.connection import Connection
from tests.scheduler.stage import Actor, Stage, draft


def _counting() -> Workflow:
    with Workflow(name="w") as workflow:
        Operator("stream")
        Operator("t").action_on_event_received(TaskAction.START, "k")
    return workflow


class _Counter:
    """Counts the statements that go to the database."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        for method in ("rows", "execute", "insert", "execute_many"):
            self._watch(patch, method)

    def _watch(self, patch: pytest.MonkeyPatch, method: str) -> None:
        original = getattr(Connection, method)

        def counted(connection, statement, /, *args, **params):  # type: ignore[no-untyped-def]
            self.names.append(statement.name)
            return original(connection, statement, *args, **params)

        patch.setattr(Connection, method, counted)

    def of(self, actor: Actor) -> list[str]:
        """Return the statements of one step."""
        self.names.clear()
        actor.step()
        return list(self.names)


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> _Counter:
    return _Counter(monkeypatch)


def _finish_one(stage: Stage, actor: Actor) -> None:
    with Workflow(name="short") as workflow:
        Operator("a")
        Operator("b").action_on_event_received(TaskAction.RESTART, "k")
    stage.start(workflow, owner="one")
    actor.step()
    actor.end("a")
    actor.end("b")


def test_an_event_costs_the_same_after_many_finished_executions(stage: Stage, counter: _Counter) -> None:
    actor = stage.actor("one")
    execution_id = stage.start(_counting(), owner="one")
    actor.step()
    _finish_one(stage, actor)
    actor.step()
    stage.send("k", execution_id)
    first = counter.of(actor)
    actor.end("t")

    for _ in range(20):
        _finish_one(stage, actor)
    stage.log.append([draft("noise") for _ in range(400)])
    actor.step()
    stage.send("k", execution_id)

    assert counter.of(actor) == first
    assert len(first) < 20


def test_an_idle_step_reads_three_rows_and_writes_none(stage: Stage, counter: _Counter) -> None:
    actor = stage.actor("one")
    stage.start(_counting(), owner="one")
    actor.step()
    actor.step()

    statements = counter.of(actor)

    assert set(statements) <= {"check_term", "read_bounds", "read_after", "measure_after"}
    assert len(statements) <= 6


def test_asking_for_news_is_one_small_question(stage: Stage, counter: _Counter) -> None:
    actor = stage.actor("one")
    actor.step()
    counter.names.clear()

    assert not actor.scheduler.has_news(free_slots=5)

    assert counter.names == ["read_bounds"]


def test_an_event_that_nobody_listens_to_writes_the_cursor_only(stage: Stage, counter: _Counter) -> None:
    actor = stage.actor("one")
    for _ in range(10):
        stage.start(_counting(), owner="one")
    actor.step()
    actor.step()
    stage.send("noise")

    statements = counter.of(actor)

    writes = [
        name for name in statements if name.split("_")[0] in ("insert", "update", "put", "move", "append")
    ]
    assert writes == ["move_cursor"]


def test_taking_over_does_not_read_what_has_finished(stage: Stage, counter: _Counter) -> None:
    actor = stage.actor("one")
    stage.start(_counting(), owner="one")
    actor.step()
    successors = [stage.actor("two"), stage.actor("three")]
    actor.die()
    first = counter.of(successors[0])
    for _ in range(10):
        with Workflow(name="empty") as workflow:
            Operator("t").action_on_event_received(TaskAction.STOP, "x")
        stage.stop(stage.start(workflow, owner="two"))
    successors[0].step()
    for launch in list(successors[0].running.values()):
        successors[0].end(launch.task)
    successors[0].die()

    second = counter.of(successors[1])

    assert sorted(second) == sorted(first)
