# SPDX-License-Identifier: Apache-2.0
"""What every way to the log does for a client: the file itself, and the task socket."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from notification_service.client.embedded_notification_client import EmbeddedNotificationClient
from notification_service.client.notification_client import ListenerProcessor, NotificationClient
from notification_service.client.socket_transport import SocketTransport
from notification_service.errors import (
    InvalidEventError,
    NotificationError,
    RequestRefusedError,
)
from notification_service.event_log import EventLog
from notification_service.model.event import Event, SenderEventCount
from tests.notification_service.supervisor import TOKEN, Supervisor
from tests.support import wait_until

#: Makes a client; the arguments are those of ``EmbeddedNotificationClient`` after the uri.
Connect = Callable[..., EmbeddedNotificationClient]


@pytest.fixture(params=["sqlite", "socket"])
def connect(request: pytest.FixtureRequest, store_path: Path) -> Iterator[Connect]:
    clients: list[EmbeddedNotificationClient] = []
    running: Supervisor | None = None
    if request.param == "socket":
        running = request.getfixturevalue("supervisor")

    def make(*args: object, **options: object) -> EmbeddedNotificationClient:
        if running is not None:
            options["transport"] = SocketTransport(str(running.path), attempt="a" * 32, token=TOKEN)
        client = EmbeddedNotificationClient(f"sqlite:///{store_path}", *args, **options)  # type: ignore[arg-type]
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


class Recorder(ListenerProcessor):
    """Keeps what it gets; raises or waits when told to."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.batches = 0
        self.failures = 0
        self.hold = threading.Event()
        self.hold.set()
        self.entered = threading.Event()

    def process(self, events: list[Event]) -> None:
        self.batches += 1
        self.entered.set()
        assert self.hold.wait(10)
        if self.failures:
            self.failures -= 1
            raise ValueError("on purpose")
        self.events += events

    @property
    def offsets(self) -> list[int]:
        return [event.offset or 0 for event in self.events]


# --- sending


def test_a_sent_event_is_in_the_log_when_send_returns(connect: Connect) -> None:
    client = connect(namespace="n", sender="s")

    stored = client.send_event(Event("k", "v"))

    assert isinstance(client, NotificationClient)
    assert (stored.key, stored.value, stored.namespace, stored.sender, stored.offset) == (
        "k",
        "v",
        "n",
        "s",
        1,
    )
    assert abs((stored.create_time or 0) - time.time() * 1000) < 5000
    assert client.list_events() == [stored]


def test_namespace_and_sender_are_the_clients_and_can_change(connect: Connect) -> None:
    client = connect(namespace="n", sender="s")
    event = Event("k", "v", namespace="other", sender="other", context="c")

    first = client.send_event(event)
    client.namespace, client.sender = None, "t"
    second = client.send_event(event)

    assert (first.namespace, first.sender, first.context) == ("n", "s", "c")
    assert (second.namespace, second.sender) == ("", "t")


def test_a_bulk_is_in_the_log_in_its_order(connect: Connect) -> None:
    client = connect(sender="s")

    stored = client.send_events([Event("k", str(number)) for number in range(3500)])

    assert [event.offset for event in stored] == list(range(1, 3501))
    assert client.list_events() == stored
    assert client.send_events([]) == []


def test_a_large_value_arrives_whole(connect: Connect) -> None:
    client = connect()
    value = "\N{SNOWMAN}\x00" * 1_000_000

    client.send_event(Event("k", value))

    assert client.list_events()[0].value == value


def test_an_event_that_cannot_be_is_refused_and_the_client_goes_on(connect: Connect) -> None:
    client = connect()

    with pytest.raises(InvalidEventError, match="value of an event must be a string"):
        client.send_event(Event("k", 5))  # type: ignore[arg-type]

    assert client.send_event(Event("k", "5")).offset == 1


def test_one_client_of_many_threads_loses_and_doubles_nothing(connect: Connect) -> None:
    client = connect(sender="s")
    stored: list[Event] = []

    def send(thread: int) -> None:
        for number in range(40):
            stored.append(client.send_event(Event("k", f"{thread}-{number}")))

    threads = [threading.Thread(target=send, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    events = client.list_events()
    assert sorted(event.value or "" for event in events) == sorted(
        f"{t}-{n}" for t in range(8) for n in range(40)
    )
    assert sorted(stored, key=lambda event: event.offset or 0) == events
    assert client.sequence_number == 320


# --- asking


def test_lists_and_counts_take_the_reference_arguments(connect: Connect) -> None:
    for name in ("a", "b"):
        connect("ns", name).send_events([Event(f"k{number % 2}", str(number)) for number in range(4)])
    client = connect("elsewhere", "c")

    assert [e.offset for e in client.list_events("k1", "ns", "b", 1, 7)] == [6]
    assert [e.offset for e in client.list_events("k1", "*", "")] == [2, 4, 6, 8]
    assert [e.offset for e in client.list_events(begin_offset=2, end_offset=4)] == [3, 4]
    assert client.count_events("k0") == (4, [SenderEventCount("a", 2), SenderEventCount("b", 2)])
    assert client.count_events(end_offset=3) == (3, [SenderEventCount("a", 3)])
    assert [e.offset for e in client.list_all_events(start_offset=5, end_offset=7)] == [6, 7]
    third = client.list_events()[2].create_time
    assert [e.offset for e in client.list_all_events(start_time=third, end_offset=1)] == [3, 4, 5, 6, 7, 8]


def test_long_answers_come_whole(connect: Connect) -> None:
    client = connect(sender="s")
    client.send_events([Event(f"k{number % 3}", "v") for number in range(4000)])

    assert len(client.list_events("k1")) == 1333
    assert client.count_events("k1") == (1333, [SenderEventCount("s", 1333)])


def test_a_time_becomes_an_offset(connect: Connect) -> None:
    client = connect()
    stored = client.send_event(Event("k", "v"))
    moment = datetime.fromtimestamp((stored.create_time or 0) / 1000 + 0.0005)

    assert client.time_to_offset(moment) == 1
    assert client.time_to_offset(moment.astimezone(timezone.utc)) == 1
    assert client.time_to_offset(moment - timedelta(seconds=1)) == 0


# --- listening


def test_a_listener_gets_old_and_new_events_in_order(connect: Connect) -> None:
    client = connect()
    client.send_events([Event("k", str(number)) for number in range(1200)])
    recorder = Recorder()

    client.register_listener(recorder)
    client.send_events([Event("k", str(number)) for number in range(100)])

    wait_until(lambda: len(recorder.events) >= 1300)
    assert recorder.offsets == list(range(1, 1301))


def test_a_listener_starts_above_its_offset_with_its_keys_and_namespace(connect: Connect) -> None:
    mine, other = connect("mine"), connect("other")
    mine.send_events([Event("a", "1"), Event("b", "2"), Event("a", "3")])
    here, anywhere, everything = Recorder(), Recorder(), Recorder()

    mine.register_listener(here, ["a"], offset=1)
    connect().register_listener(anywhere, event_keys=["a", "b"], offset=2)
    mine.register_listener(everything, offset=0)
    other.send_events([Event("a", "4"), Event("c", "5")])
    mine.send_event(Event("a", "6"))

    wait_until(lambda: len(here.events) >= 2 and len(anywhere.events) >= 3 and len(everything.events) >= 6)
    assert here.offsets == [3, 6]
    assert anywhere.offsets == [3, 4, 6]
    assert everything.offsets == [1, 2, 3, 4, 5, 6]


def test_a_listener_survives_a_processor_that_raises(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect()
    recorder = Recorder()
    recorder.failures = 1
    client.register_listener(recorder)

    with caplog.at_level(logging.ERROR):
        client.send_event(Event("k", "1"))
        wait_until(lambda: recorder.batches == 1)
        client.send_event(Event("k", "2"))
        wait_until(lambda: recorder.events)

    assert recorder.offsets == [2]
    assert "listener.processor_failed" in caplog.text
    assert "ValueError: on purpose" in caplog.text


def test_a_slow_listener_holds_up_nobody_and_misses_nothing(connect: Connect) -> None:
    client = connect()
    slow, quick = Recorder(), Recorder()
    slow.hold.clear()
    client.register_listener(slow)
    client.register_listener(quick)

    for number in range(30):
        client.send_event(Event("k", str(number)))
    wait_until(lambda: len(quick.events) == 30)
    assert slow.events == []
    slow.hold.set()

    wait_until(lambda: len(slow.events) == 30)
    assert slow.offsets == list(range(1, 31))


def test_an_unregistered_listener_is_not_called_again(connect: Connect) -> None:
    client = connect()
    recorder = Recorder()
    registration = client.register_listener(recorder)
    client.send_event(Event("k", "1"))
    wait_until(lambda: recorder.events)
    assert list(client.threads) == [registration.id]

    begin_s = time.monotonic()
    client.unregister_listener(registration)
    elapsed_s = time.monotonic() - begin_s

    assert elapsed_s < 1.0
    assert not client.threads
    client.send_event(Event("k", "2"))
    other = Recorder()
    client.register_listener(other)
    wait_until(lambda: len(other.events) == 2)
    assert recorder.offsets == [1]
    client.unregister_listener(registration)


def test_unregistering_drops_what_waits_and_lets_a_running_call_end(connect: Connect) -> None:
    client = connect()
    recorder = Recorder()
    recorder.hold.clear()
    registration = client.register_listener(recorder)
    client.send_event(Event("k", "1"))
    assert recorder.entered.wait(10)
    client.send_event(Event("k", "2"))

    stopping = threading.Thread(target=client.unregister_listener, args=(registration,))
    stopping.start()
    wait_until(lambda: not client.threads)
    recorder.hold.set()
    stopping.join()

    assert recorder.offsets == [1]


def test_a_listener_may_unregister_itself(connect: Connect) -> None:
    client = connect()

    class Once(Recorder):
        def process(self, events: list[Event]) -> None:
            super().process(events)
            client.unregister_listener(registration)

    once = Once()
    registration = client.register_listener(once, ["k"])
    client.send_event(Event("k", "1"))
    wait_until(lambda: once.events and not client.threads)
    client.send_event(Event("k", "2"))

    other = Recorder()
    client.register_listener(other)
    wait_until(lambda: len(other.events) == 2)
    assert once.offsets == [1]


def test_a_listener_may_send_events(connect: Connect) -> None:
    client = connect()

    class Answerer(Recorder):
        def process(self, events: list[Event]) -> None:
            super().process(events)
            for event in events:
                if event.key == "ask":
                    client.send_event(Event("answer", event.value))

    answerer = Answerer()
    client.register_listener(answerer)
    client.send_event(Event("ask", "1"))

    wait_until(lambda: [event.key for event in answerer.events] == ["ask", "answer"])


def test_a_listener_below_the_log_is_refused(connect: Connect, log: EventLog) -> None:
    client = connect()
    client.send_events([Event("k", str(number)) for number in range(10)])
    log.remove_through(5)

    with pytest.raises(NotificationError, match="events up to offset 5"):
        client.register_listener(Recorder(), offset=3)

    recorder = Recorder()
    client.register_listener(recorder)
    wait_until(lambda: len(recorder.events) == 5)
    assert recorder.offsets == [6, 7, 8, 9, 10]


def test_a_listener_that_retention_overtakes_is_told_and_goes_on(
    connect: Connect, log: EventLog, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect()
    recorder = Recorder()
    recorder.hold.clear()
    client.register_listener(recorder)
    with caplog.at_level(logging.ERROR):
        for number in range(20):
            client.send_event(Event("k", str(number)))
        assert recorder.entered.wait(10)
        log.remove_through(18)
        recorder.hold.set()
        wait_until(lambda: recorder.events and recorder.offsets[-1] == 20)

    assert recorder.offsets == sorted(set(recorder.offsets))
    if len(recorder.events) < 20:  # else all of them had been handed over before they were removed
        assert "events up to offset 18" in caplog.text


# --- client ids


def test_a_client_id_goes_on_after_what_it_sent(connect: Connect, store_path: Path) -> None:
    first = EmbeddedNotificationClient(f"sqlite:///{store_path}", sender="s")
    first.send_event(Event("k", "1"))
    assert first.client_id is not None

    second = connect(sender="s", client_id=first.client_id)
    stored = second.send_event(Event("k", "2"))

    assert stored.offset == 2
    assert second.sequence_number == 2
    first.close()


def test_a_given_sequence_number_repeats_what_was_sent(connect: Connect, store_path: Path) -> None:
    first = EmbeddedNotificationClient(f"sqlite:///{store_path}", sender="s")
    stored = [first.send_event(Event("k", str(number))) for number in range(3)]

    second = connect(sender="s", client_id=first.client_id, initial_seq_num=1)

    assert second.send_event(Event("k", "1")) == stored[1]
    assert second.send_event(Event("k", "2")) == stored[2]
    assert second.send_event(Event("k", "3")).offset == 4
    first.close()


def test_a_repeated_number_with_another_event_is_never_dropped_silently(
    connect: Connect, store_path: Path
) -> None:
    first = EmbeddedNotificationClient(f"sqlite:///{store_path}", sender="s")
    first.send_event(Event("k", "old"))

    second = connect(sender="s", client_id=first.client_id, initial_seq_num=0)

    with pytest.raises(NotificationError, match="already belongs to another event") as caught:
        second.send_event(Event("k", "new"))
    assert caught.value.code == "sequence_conflict"
    first.close()


def test_an_unknown_client_id_is_refused(connect: Connect) -> None:
    with pytest.raises(NotificationError, match="client id which have not registered: 77"):
        connect(client_id=77)


def test_a_closed_client_is_unknown_afterwards(store_path: Path) -> None:
    client = EmbeddedNotificationClient(f"sqlite:///{store_path}")
    client.close()
    client.close()

    with pytest.raises(NotificationError, match="not registered"):
        EmbeddedNotificationClient(f"sqlite:///{store_path}", client_id=client.client_id)


# --- forks


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_of_a_task_sends_as_itself(supervisor: Supervisor) -> None:
    transport = SocketTransport(str(supervisor.path), attempt="a", token=TOKEN)
    client = EmbeddedNotificationClient("-", transport=transport)
    client.send_event(Event("k", "same"))

    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if client.send_event(Event("k", "same")).offset == 2 else 2
        finally:
            os._exit(code)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.send_event(Event("k", "same")).offset == 3
    client.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_store_is_not_used_across_a_fork(store_path: Path) -> None:
    uri = f"sqlite:///{store_path}"
    client = EmbeddedNotificationClient(uri)

    child = os.fork()
    if child == 0:
        code = 1
        try:
            try:
                client.send_event(Event("k", "v"))
            except NotificationError as error:
                code = 0 if "before a fork" in str(error) else 2
            code = code or EmbeddedNotificationClient(uri).send_event(Event("k", "v")).offset != 1
        finally:
            os._exit(int(code))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.send_event(Event("k", "v")).offset == 2
    client.close()


def test_a_client_that_is_refused_says_why(supervisor: Supervisor) -> None:
    transport = SocketTransport(str(supervisor.path), attempt="b" * 32, token="wrong")

    client = EmbeddedNotificationClient("-", transport=transport)
    with pytest.raises(RequestRefusedError, match="not known to this supervisor, or its token is wrong"):
        client.send_event(Event("k", "v"))

    client.close()
