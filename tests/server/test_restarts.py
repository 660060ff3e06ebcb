# SPDX-License-Identifier: Apache-2.0
"""Tasks that run again and again: by a period, by rules, and in a storm of events from outside."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import pytest

from tests.examples.program import HomeOfTest
from tests.server.runs import events_of, store_of, wait_for, write

pytestmark = pytest.mark.slow


def test_a_periodic_task_starts_again_and_again(home: HomeOfTest) -> None:
    file = write(
        home,
        """
        class Third(Condition):
            def is_met(self, event, context):
                return event.value == "3"
        def count():
            with open("count", "a+") as file:
                file.write("x")
                file.seek(0)
                number = len(file.read())
            AIFlowNotificationClient("localhost:50052").send_event("tick", str(number))
        with Workflow(name="w") as workflow:
            tick = PythonOperator(name="tick", python_callable=count, periodic_expression="interval@0 0 0 1")
            tick.action_on_condition(TaskAction.STOP, Third(expect_event_keys=["tick"]))
        """,
    )

    finished = home.run(file, "--timeout", "30")

    assert finished.exit_code == 0, finished.text
    ticks = finished.tries("tick")
    assert len(ticks) == 3
    begun = [datetime.fromisoformat(tick["begin_date"]).timestamp() for tick in ticks]
    assert all(0.5 < later - sooner < 5 for sooner, later in pairwise(begun))


def test_a_restart_rule_ends_the_run_before_the_next_begins(home: HomeOfTest) -> None:
    file = write(
        home,
        """
        def send():
            client = AIFlowNotificationClient("localhost:50052")
            for i in range(3):
                client.send_event("again", str(i))
                folder = f"{os.environ['AIFLOW_HOME']}/logs/w/1/stream/{i + 2}.log"
                while not os.path.exists(folder) or "began" not in open(folder).read():
                    time.sleep(0.01)
        with Workflow(name="w") as workflow:
            stream = BashOperator(
                name="stream",
                bash_command="trap 'rmdir alone; exit' TERM; mkdir alone || echo OVERLAP; "
                "echo began; while :; do sleep 0.02; done",
            )
            sender = PythonOperator(name="sender", python_callable=send)
            stream.action_on_event_received(TaskAction.RESTART, "again")
            stream.action_on_task_status(TaskAction.STOP, {sender: TaskStatus.SUCCESS})
        """,
    )

    finished = home.run(file, "--timeout", "30")

    assert finished.exit_code == 0, finished.text
    assert [run["status"] for run in finished.tries("stream")] == ["STOPPED"] * 4
    assert "OVERLAP" not in finished.text


def test_a_storm_of_events_from_outside_meets_each_rule_once_and_in_order(home: HomeOfTest) -> None:
    file = write(
        home,
        """
        class All(Condition):
            def is_met(self, event, context):
                from ai_flow.model.state import ValueStateDescriptor
                seen = context.get_state(ValueStateDescriptor("seen"))
                count = seen.value() or 0
                # One that comes twice, or out of order, is never counted.
                seen.update(count + (event.value == str(count)))
                return seen.value() == 2000
        with Workflow(name="w") as workflow:
            BashOperator(name="ready", bash_command="true")
            last = BashOperator(name="last", bash_command="true")
            last.action_on_condition(TaskAction.START, All(expect_event_keys=["storm"]))
            count = BashOperator(name="count", bash_command="true")
            count.action_on_event_received(TaskAction.START, "storm")
        """,
    )
    sender = home.scratch / "sender.py"
    sender.write_text(
        "from notification_service.client.embedded_notification_client import EmbeddedNotificationClient\n"
        "from notification_service.model.event import Event\n"
        f"client = EmbeddedNotificationClient('sqlite:///{home.root}/aiflow.db', 'default', 'storm')\n"
        "for part in range(0, 2000, 100):\n"
        "    client.send_events([Event('storm', str(i)) for i in range(part, part + 100)])\n"
        "client.close()\n"
    )

    with home.running(file, "--wait-events", "60") as run:
        wait_for(home.log("w", "ready").exists)
        home.python(sender)
        finished = run.finish()

    assert finished.exit_code == 0, finished.text
    assert finished.statuses == {"ready": "SUCCESS", "last": "SUCCESS", "count": "SUCCESS"}
    assert finished.rounds["last"] == 1
    with store_of(home) as store:
        assert len(events_of(store, "storm")) == 2000
