# SPDX-License-Identifier: Apache-2.0
"""Events that tasks send and hear: large ones, from many threads at once, and through failing listeners."""

from __future__ import annotations

import pytest

from tests.examples.program import HomeOfTest
from tests.server.runs import events_of, store_of, write

pytestmark = pytest.mark.slow


def test_a_large_value_works_and_a_too_large_one_is_refused_in_the_task(home: HomeOfTest) -> None:
    file = write(
        home,
        """
        def send():
            client = AIFlowNotificationClient("localhost:50052")
            event = client.send_event("large", "x" * 10_000_000)
            print("stored", len(event.value))
            try:
                client.send_event("too large", "x" * (17 << 20))
            except Exception as error:
                print("refused:", error)
            client.send_event("small", "y")
        with Workflow(name="w") as workflow:
            PythonOperator(name="sender", python_callable=send)
            heard = BashOperator(name="heard", bash_command="true")
            heard.action_on_event_received(TaskAction.START, "large")
        """,
    )

    finished = home.run(file)

    assert finished.exit_code == 0, finished.text
    assert finished.statuses == {"sender": "SUCCESS", "heard": "SUCCESS"}
    log = finished.log("sender")
    assert "stored 10000000\n" in log
    assert "refused: The value of the event 'too large' has 17,825,792 bytes" in log
    with store_of(home) as store:
        assert [len(event.value or "") for event in events_of(store, "large")] == [10_000_000]
        assert events_of(store, "too large") == []
        assert len(events_of(store, "small")) == 1


def test_one_client_shared_by_threads_loses_and_doubles_nothing(home: HomeOfTest) -> None:
    file = write(
        home,
        """
        from concurrent.futures import ThreadPoolExecutor
        def send():
            client = AIFlowNotificationClient("localhost:50052")
            def send_fifty(number):
                return [client.send_event("key", f"{number}-{i}").offset for i in range(50)]
            with ThreadPoolExecutor(8) as pool:
                offsets = [offset for part in pool.map(send_fifty, range(8)) for offset in part]
            print("acknowledged", len(set(offsets)))
        with Workflow(name="w") as workflow:
            PythonOperator(name="sender", python_callable=send)
        """,
    )

    finished = home.run(file)

    assert finished.exit_code == 0, finished.text
    assert finished.log("sender") == "acknowledged 400\n"
    with store_of(home) as store:
        values = [event.value or "" for event in events_of(store, "key")]
    assert sorted(values) == sorted(f"{number}-{i}" for number in range(8) for i in range(50))
    for number in range(8):
        own = [value for value in values if value.startswith(f"{number}-")]
        assert own == [f"{number}-{i}" for i in range(50)]


def test_a_listener_hears_everything_of_another_task_although_its_processor_raises(home: HomeOfTest) -> None:
    file = write(
        home,
        """
        class Processor(ListenerProcessor):
            heard = []
            def process(self, events):
                self.heard += [event.value for event in events]
                if "7" in self.heard and not self.heard.count("raised"):
                    self.heard.append("raised")
                    raise RuntimeError("a bad day")
        def listen():
            client = AIFlowNotificationClient("localhost:50052")
            processor = Processor()
            registration = client.register_listener(processor, event_keys=["key"])
            client.send_event("listening", "")
            while processor.heard[-1:] != ["99"]:
                time.sleep(0.01)
            client.unregister_listener(registration)
            print([value for value in processor.heard if value != "raised"] == [str(i) for i in range(100)])
            print("raised" in processor.heard)
        def send():
            client = AIFlowNotificationClient("localhost:50052")
            for i in range(100):
                client.send_event("key", str(i))
        with Workflow(name="w") as workflow:
            PythonOperator(name="listener", python_callable=listen)
            sender = PythonOperator(name="sender", python_callable=send)
            sender.action_on_event_received(TaskAction.START, "listening")
        """,
    )

    finished = home.run(file, "--timeout", "30")

    assert finished.exit_code == 0, finished.text
    assert finished.log("listener").endswith("True\nTrue\n"), finished.log("listener")
    assert "a bad day" in finished.log("listener")
