# SPDX-License-Identifier: Apache-2.0
"""Whatever happens in whatever order: the properties that hold for every graph and every interleaving.

Hypothesis draws small graphs with joins and scripts of outcomes, events, commands, deaths and waits, and
plays them on a real store with one to two processes. After each step the world in memory is compared with
one that is loaded anew, and the invariants are read from the store. ``AIFLOW_MORE_EXAMPLES=500`` (or any
number) makes it try that many scripts per property.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ai_flow.model.action import TaskAction
from ai_flow.model.internal.conditions import MeetAllCondition, SingleEventCondition
from ai_flow.model.operator import Operator
from ai_flow.model.status import TaskStatus
from ai_flow.model.workflow import Workflow
from ai_flow_ha import process_identity
from tests.scheduler.stage import Actor, Ended, FakeProcesses, Stage, picture

EXAMPLES = int(os.environ.get("AIFLOW_MORE_EXAMPLES", "12"))
_thorough = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="AIFLOW_MORE_EXAMPLES" not in os.environ,
    phases=[Phase.generate, Phase.shrink],
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

#: Many examples take as long as they take.
pytestmark = pytest.mark.timeout(0 if "AIFLOW_MORE_EXAMPLES" in os.environ else 120)


@contextmanager
def _stage() -> Iterator[Stage]:
    """Make a stage per example: a fixture would be shared by all examples of a test."""
    processes, real = FakeProcesses(), process_identity.creation_time
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            process_identity, "creation_time", lambda pid: processes.creation_time(pid) or real(pid)
        )
        stage = Stage(Path(directory), processes)
        try:
            yield stage
        finally:
            stage.close()


def _check(stage: Stage) -> None:
    """Read the invariants from the store."""
    for (count,) in stage.rows(
        "SELECT count(*) FROM task_execution WHERE status NOT IN ('SUCCESS', 'FAILED', 'STOPPED')"
        " GROUP BY workflow_execution_id, task_name"
    ):
        assert count == 1, "two runs of a task are alive"
    for number, count in stage.rows(
        "SELECT max(sequence_number), count(*) FROM task_execution GROUP BY workflow_execution_id, task_name"
    ):
        assert number == count, "sequence numbers have a gap"
    ((head, events),) = stage.rows("SELECT coalesce(max(offset), 0), count(*) FROM event")
    assert head == events, "offsets have a gap"
    alive = stage.rows(
        "SELECT t.id FROM task_execution AS t JOIN workflow_execution AS e ON e.id = t.workflow_execution_id"
        " WHERE e.status IN ('SUCCESS', 'FAILED', 'STOPPED')"
        " AND t.status NOT IN ('SUCCESS', 'FAILED', 'STOPPED')"
    )
    assert alive == [], "something is alive in a finished execution"
    open_attempts = stage.rows(
        "SELECT a.id FROM attempt AS a JOIN workflow_execution AS e ON e.id = a.workflow_execution_id"
        " WHERE e.status IN ('SUCCESS', 'FAILED', 'STOPPED') AND a.outcome IS NULL"
    )
    assert open_attempts == [], "an attempt of a finished execution is open"
    doubles = stage.rows(
        "SELECT event_offset FROM evaluation WHERE verdict = 'yes'"
        " GROUP BY scope_kind, scope_id, task_name, event_offset HAVING count(*) > 1"
    )
    assert doubles == [], "an event met rules of a task twice"


class _Watch:
    """Sees that what has finished stays as it is, and that no attempt is launched twice."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._finished: dict[object, tuple[object, ...]] = {}

    def look(self, actors: list[Actor], stepped: Actor) -> None:
        _check(self._stage)
        for row in self._stage.rows(
            "SELECT id, status, end_at, reason FROM workflow_execution"
            " WHERE status IN ('SUCCESS', 'FAILED', 'STOPPED')"
        ):
            assert self._finished.setdefault(row[0], row) == row, "a finished execution changed"
        launched = Counter(launch.attempt_id for actor in actors for launch in actor.launched)
        assert not launched or max(launched.values()) == 1, "an attempt was launched twice"
        if stepped.decides and not stepped.results[-1].more:
            assert picture(stepped.world) == picture(self._stage.load_world())


# Rounds of a join.


@_thorough
@given(data=st.data())
def test_a_joined_task_runs_once_per_round_under_every_interleaving(data: st.DataObject) -> None:
    upstreams = [f"u{number}" for number in range(data.draw(st.integers(1, 4), "upstreams"))]
    with Workflow(name="join") as workflow:
        Operator("stream")
        tasks = [Operator(name) for name in upstreams]
        for task in tasks:
            task.action_on_event_received(TaskAction.RESTART, "next round")
        joined = Operator("joined")
        joined.start_after(tasks)
        last = Operator("last")
        last.start_after(joined)
    with _stage() as stage:
        actor = stage.actor("one", slots=data.draw(st.integers(2, 6), "slots"))
        execution_id = stage.start(workflow, owner="one")
        actor.step()
        for round_number in range(1, data.draw(st.integers(1, 3), "rounds") + 1):
            _play_round(data, actor)
            runs = Counter(task for task, *_ in stage.runs(execution_id))
            assert runs["joined"] == runs["last"] == round_number
            assert all(runs[name] == round_number for name in upstreams)
            stage.send("next round", execution_id)
            actor.step()
        _Watch(stage).look([actor], actor)


def _play_round(data: st.DataObject, actor: Actor) -> None:
    """Let everything but the stream end, one by one or several in one step, in any order."""
    while waiting := sorted(id for id, launch in actor.running.items() if launch.task != "stream"):
        ending = data.draw(st.lists(st.sampled_from(waiting), min_size=1, unique=True), "ending")
        actor.step(*(Ended(attempt_id=id) for id in ending))


# Anything at all.


@st.composite
def _graphs(draw: st.DrawFn) -> Workflow:
    """Draw up to five tasks with rules of every kind; status rules may point anywhere, also in circles."""
    with Workflow(name="any") as workflow:
        tasks = [
            Operator(
                f"t{number}",
                retries=draw(st.sampled_from([0, 0, 1])),
                retry_delay=draw(st.sampled_from([0, 5])),
                periodic_expression=draw(st.sampled_from([None] * 5 + ["interval@0 0 0 20"])),
            )
            for number in range(draw(st.integers(1, 5)))
        ]
        for task in tasks:
            for _ in range(draw(st.integers(0, 2))):
                _draw_rule(draw, task, tasks)
    return workflow


def _draw_rule(draw: st.DrawFn, task: Operator, tasks: list[Operator]) -> None:
    action = draw(st.sampled_from(list(TaskAction)))
    kind = draw(st.sampled_from(["event", "status", "status", "all"]))
    if kind == "event":
        task.action_on_event_received(action, draw(st.sampled_from("kl")))
    elif kind == "all":
        both = MeetAllCondition(f"both-{task.name}", [SingleEventCondition("k"), SingleEventCondition("l")])
        task.action_on_condition(action, both)
    else:
        upstreams = draw(st.lists(st.sampled_from(tasks), min_size=1, max_size=3, unique=True))
        announced = sorted(set(TaskStatus) - {TaskStatus.INIT, TaskStatus.QUEUED})
        task.action_on_task_status(action, {one: draw(st.sampled_from(announced)) for one in upstreams})


@_thorough
@given(workflow=_graphs(), data=st.data())
def test_the_invariants_hold_whatever_happens(workflow: Workflow, data: st.DataObject) -> None:
    with _stage() as stage:
        actors = [stage.actor("p0", slots=data.draw(st.integers(1, 4), "slots"), takes_unowned=True)]
        if data.draw(st.booleans(), "two processes"):
            actors.append(stage.actor("p1", slots=2))
        everybody, watch = list(actors), _Watch(stage)
        owners = [None, *(actor.name for actor in actors)]
        ids = [stage.start(workflow, owner=data.draw(st.sampled_from(owners), "owner")) for _ in range(2)]
        for _ in range(data.draw(st.integers(3, 14), "length")):
            stepped = _do_something(data, stage, actors, ids, list(workflow.tasks))
            watch.look(everybody, stepped)


def _do_something(
    data: st.DataObject, stage: Stage, actors: list[Actor], ids: list[int], tasks: list[str]
) -> Actor:
    """Do one thing with one of the processes, and return it; one that dies gives way to a new one."""
    actor = data.draw(st.sampled_from(actors), "actor")
    what = data.draw(
        st.sampled_from(["end"] * 5 + ["event"] * 3 + ["command", "wait", "stop", "die"]), "what"
    )
    if what == "event":
        stage.send(data.draw(st.sampled_from("kl")), data.draw(st.sampled_from([None, *ids])))
    elif what == "command":
        stage.command(
            data.draw(st.sampled_from(ids)),
            data.draw(st.sampled_from(tasks)),
            data.draw(st.sampled_from(list(TaskAction))),
        )
    elif what == "wait":
        stage.advance(data.draw(st.sampled_from([1, 6, 25])))
    elif what == "stop" and data.draw(st.booleans()):
        stage.stop(data.draw(st.sampled_from(ids)))
    elif what == "die":
        actor.die()
        place = actors.index(actor)
        actor = actors[place] = stage.actor(_new_name(stage), slots=3, takes_unowned=True)
    outcomes: list[Ended] = []
    if what == "end" and actor.running:
        for id in data.draw(
            st.lists(st.sampled_from(sorted(actor.running)), min_size=1, max_size=3, unique=True), "ending"
        ):
            outcome = data.draw(st.sampled_from(["SUCCESS"] * 3 + ["FAILED", "STOPPED", "LOST"]), "outcome")
            outcomes.append(
                Ended(attempt_id=id, outcome=outcome, never_started=data.draw(st.integers(0, 9)) == 9)
            )
    actor.step(*outcomes, gone=actor.scheduler.dead_runners())
    return actor


def _new_name(stage: Stage) -> str:
    ((count,),) = stage.rows("SELECT count(*) FROM runner")
    return f"p{count}"
