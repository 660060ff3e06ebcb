# SPDX-License-Identifier: Apache-2.0
"""A task that joins two others runs once per round, however long each of them takes.

The property test of the engine tries every order of the outcomes; here the same is seen in real runs, with
real processes whose durations are random. The joined task writes what it finds of each upstream when it
starts, so a start that came too early, too late or twice shows in its lines.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples.program import HomeOfTest

pytestmark = pytest.mark.slow

#: A stream sends an event per round, as soon as the joined task has succeeded in the round before.
_BY_EVENTS = """
import json, queue, random, time
from ai_flow.model.action import TaskAction
from ai_flow.model.internal.contexts import get_runtime_task_context
from ai_flow.model.workflow import Workflow
from ai_flow.notification.notification_client import AIFlowNotificationClient, ListenerProcessor
from ai_flow.operators.bash import BashOperator
from ai_flow.operators.python import PythonOperator

class Successes(ListenerProcessor):
    def __init__(self):
        self.seen = queue.Queue()

    def process(self, events):
        for event in events:
            if json.loads(event.context)["task_status"] == "SUCCESS":
                self.seen.put(event)

def drive():
    rounds = int(get_runtime_task_context().params["rounds"])
    successes = Successes()
    with AIFlowNotificationClient("localhost:50052") as client:
        client.register_listener(successes, event_keys=["[task_status_change].default.rounds.c"])
        for number in range(rounds):
            client.send_event("round", str(number))
            successes.seen.get(timeout=20)

def work():
    time.sleep(random.random() * 0.04)
    with open("b.txt", "a") as file:
        file.write("done\\n")

with Workflow(name="rounds") as workflow:
    driver = PythonOperator("driver", drive)
    a = BashOperator("a", "sleep 0.0$((RANDOM % 4)); echo done >> a.txt")
    b = PythonOperator("b", work)
    c = BashOperator("c", "echo $(wc -l < a.txt) $(wc -l < b.txt) >> c.txt")
    for upstream in (a, b):
        upstream.action_on_event_received(TaskAction.START, "round")
    c.start_after([a, b])
"""

#: Both upstreams run every second.
_BY_TICKS = """
from ai_flow.model.action import TaskAction
from ai_flow.model.internal.contexts import get_runtime_task_context
from ai_flow.model.workflow import Workflow
from ai_flow.notification.notification_client import AIFlowNotificationClient
from ai_flow.operators.bash import BashOperator
from ai_flow.operators.python import PythonOperator

EVERY_SECOND = dict(periodic_expression="interval@0 0 0 1")

def count():
    done = [len(open(name).readlines()) for name in ("a.txt", "b.txt")]
    with open("c.txt", "a") as file:
        file.write(" ".join(map(str, done)) + "\\n")
    if done[0] >= int(get_runtime_task_context().params["rounds"]):
        with AIFlowNotificationClient("localhost:50052") as client:
            client.send_event("enough")

with Workflow(name="rounds") as workflow:
    a = BashOperator("a", "sleep 0.$((RANDOM % 7)); echo done >> a.txt", **EVERY_SECOND)
    b = BashOperator("b", "sleep 0.$((RANDOM % 7)); echo done >> b.txt", **EVERY_SECOND)
    c = PythonOperator("c", count)
    for upstream in (a, b):
        upstream.action_on_event_received(TaskAction.STOP, "enough")
    c.start_after([a, b])
"""


@pytest.mark.parametrize(("source", "rounds"), [(_BY_EVENTS, 60), (_BY_TICKS, 8)], ids=["events", "ticks"])
def test_a_joined_task_runs_once_per_round(
    home: HomeOfTest, tmp_path: Path, source: str, rounds: int
) -> None:
    file = tmp_path / "joined.py"
    file.write_text(source)

    finished = home.run(file, "--param", f"rounds={rounds}")

    assert (finished.exit_code, finished.execution["status"]) == (0, "SUCCESS"), finished.text
    assert {task: finished.rounds[task] for task in "abc"} == dict.fromkeys("abc", rounds)
    found = (home.working_dir("rounds", "joined") / "c.txt").read_text().splitlines()
    assert found == [f"{number} {number}" for number in range(1, rounds + 1)]
