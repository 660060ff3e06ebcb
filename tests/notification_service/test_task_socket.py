# SPDX-License-Identifier: Apache-2.0
"""The task socket: frames, who may speak, and a supervisor that goes away and comes back."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from notification_service.client.embedded_notification_client import EmbeddedNotificationClient
from notification_service.client.notification_client import ListenerProcessor
from notification_service.client.socket_transport import SocketTransport
from notification_service.errors import ProtocolError, RequestRefusedError, ServerUnreachableError
from notification_service.event_log import EventFilter, EventLog
from notification_service.model.event import Event
from notification_service.wire import FrameReader, Message, SocketAddress, encode_frame, unix_socket
from tests.notification_service.supervisor import TOKEN, Supervisor
from tests.support import wait_until

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


class Peer:
    """A raw connection to the socket."""

    def __init__(self, path: Path) -> None:
        self.socket = unix_socket()
        self.socket.settimeout(10)
        with SocketAddress(path) as address:
            self.socket.connect(address)
        self._frames = FrameReader()
        self._messages: list[Message] = []

    def send(self, message: Message) -> None:
        self.socket.sendall(encode_frame(message))

    def receive(self) -> Message | None:
        """Return the next message, None when the other side closed."""
        while not self._messages:
            data = self.socket.recv(65536)
            if not data:
                return None
            self._messages += self._frames.feed(data)
        return self._messages.pop(0)

    def ask(self, **message: Any) -> Message:
        self.send({"id": 1, **message})
        answer = self.receive()
        assert answer is not None
        return answer


@pytest.fixture
def peer(supervisor: Supervisor) -> Iterator[Peer]:
    connected = Peer(supervisor.path)
    yield connected
    connected.socket.close()


@pytest.fixture
def admitted(peer: Peer) -> Peer:
    assert peer.ask(op="hello", attempt="a" * 32, token=TOKEN) == {"id": 1, "ok": {}}
    return peer


# --- frames


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=3), max_size=3), st.integers(1, 9))
def test_frames_come_out_as_they_went_in_however_they_are_cut(messages: list[Message], size: int) -> None:
    stream = b"".join(encode_frame(message) for message in messages)
    reader = FrameReader()

    found = [m for begin in range(0, len(stream), size) for m in reader.feed(stream[begin : begin + size])]

    assert found == json.loads(json.dumps(messages))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (struct.pack(">I", 4) + b"nope", "not JSON"),
        (struct.pack(">I", 2) + b"[]", "not a JSON object"),
        (struct.pack(">I", 1000), "1,000 bytes came; the limit is 100"),
        (struct.pack(">I", 4) + b"{\xff\xfe}", "not JSON"),
    ],
)
def test_what_is_no_frame_is_named(data: bytes, found: str) -> None:
    with pytest.raises(ProtocolError, match=found):
        list(FrameReader(100).feed(data))


# --- who may speak


def test_the_socket_is_for_its_owner_only(supervisor: Supervisor) -> None:
    assert supervisor.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "message",
    [
        {"op": "hello", "attempt": "a", "token": "wrong"},
        {"op": "hello", "attempt": None, "token": None},
        {"op": "list"},
        {},
    ],
)
def test_a_stranger_gets_an_error_and_is_cut_off(peer: Peer, message: Message) -> None:
    answer = peer.ask(**message)

    assert answer["error"]["code"] == "not_admitted"
    assert peer.receive() is None


def test_a_stranger_may_not_send_large_frames(peer: Peer) -> None:
    peer.socket.sendall(struct.pack(">I", 100_000))

    answer = peer.receive()

    assert answer is not None and "the limit is 4,096" in answer["error"]["message"]
    assert peer.receive() is None


def test_nonsense_ends_only_the_connection_that_sent_it(supervisor: Supervisor, admitted: Peer) -> None:
    other = Peer(supervisor.path)
    other.ask(op="hello", attempt="b", token=TOKEN)
    other.socket.sendall(struct.pack(">I", 3) + b"???")

    answer = other.receive()

    assert answer is not None and answer["error"]["code"] == "protocol_error"
    assert other.receive() is None
    assert admitted.ask(op="head") == {"id": 1, "ok": 0}
    other.socket.close()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (
            {"op": "send", "events": [{"key": "", "value": "v"}], "producer": "p", "sequence": 0},
            "invalid_event",
        ),
        (
            {"op": "send", "events": [{"key": "k", "value": 1}], "producer": "p", "sequence": 0},
            "invalid_event",
        ),
        (
            {"op": "send", "events": [{"key": "k", "value": "\ud800"}], "producer": "p", "sequence": 0},
            "invalid_event",
        ),
        (
            {"op": "send", "events": [{"key": "k", "value": "v"}], "producer": "p", "sequence": -1},
            "invalid_event",
        ),
        ({"op": "send", "events": [{"key": "k", "value": "v"}]}, "invalid_event"),
        ({"op": "send"}, "internal_error"),
        ({"op": 5}, "protocol_error"),
        ({"op": "listen", "listener": "x"}, "internal_error"),
        ({"op": "list", "filter": {"nonsense": 1}}, "internal_error"),
        ({"op": "fail"}, "internal_error"),
        ({"op": "resume_client", "client_id": 9}, "unknown_client"),
    ],
)
def test_a_bad_request_gets_an_error_and_the_connection_goes_on(
    admitted: Peer, message: Message, code: str
) -> None:
    body = json.dumps({"id": 1, **message}).encode()
    admitted.socket.sendall(struct.pack(">I", len(body)) + body)

    answer = admitted.receive()

    assert answer is not None and answer["error"]["code"] == code
    assert answer["error"]["message"]
    assert admitted.ask(op="head") == {"id": 1, "ok": 0}


def test_operations_of_other_parts_are_passed_on(supervisor: Supervisor) -> None:
    transport = SocketTransport(str(supervisor.path), attempt="a", token=TOKEN)

    assert transport.ask("ops", {"name": "start"}) == {"operation": "ops", "name": "start"}
    with pytest.raises(RequestRefusedError, match="on purpose"):
        transport.ask("fail")
    transport.close()


def test_a_path_longer_than_a_socket_address_works(log: EventLog, tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    running = Supervisor(log, directory / "task.sock")
    running.start()
    transport = SocketTransport(str(running.path), attempt="a", token=TOKEN)

    assert transport.time_to_offset(0) == 0
    transport.close()
    running.stop()


# --- a supervisor that goes away


@pytest.fixture
def client(supervisor: Supervisor) -> Iterator[EmbeddedNotificationClient]:
    transport = SocketTransport(str(supervisor.path), attempt="a" * 32, token=TOKEN)
    made = EmbeddedNotificationClient("-", transport=transport)
    yield made
    made.close()


def values(log: EventLog) -> list[str | None]:
    return [event.value for event in log.list_events(EventFilter())]


def test_a_send_is_acknowledged_only_after_its_commit(
    supervisor: Supervisor, client: EmbeddedNotificationClient
) -> None:
    supervisor.commits.clear()
    stored: list[Event] = []
    sending = threading.Thread(target=lambda: stored.append(client.send_event(Event("k", "v"))))
    sending.start()
    sending.join(0.1)
    assert stored == [] and values(supervisor.log) == []

    supervisor.commits.set()
    sending.join()

    assert [event.offset for event in stored] == [1]


def test_a_lost_answer_does_not_double_the_event(
    supervisor: Supervisor, client: EmbeddedNotificationClient
) -> None:
    supervisor.lose_answers = 2

    stored = [client.send_event(Event("k", str(number))) for number in range(3)]

    assert [event.offset for event in stored] == [1, 2, 3]
    assert values(supervisor.log) == ["0", "1", "2"]


def test_sends_wait_for_a_successor(supervisor: Supervisor, client: EmbeddedNotificationClient) -> None:
    client.send_event(Event("k", "before"))
    supervisor.stop()
    threads = [
        threading.Thread(target=client.send_event, args=(Event("k", f"during {number}"),))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()

    supervisor.start()
    for thread in threads:
        thread.join(10)

    assert sorted(map(str, values(supervisor.log))) == [
        "before",
        *(f"during {number}" for number in range(4)),
    ]


def test_an_uncommitted_send_is_repeated_to_the_successor(
    supervisor: Supervisor, client: EmbeddedNotificationClient
) -> None:
    supervisor.commits.clear()
    sending = threading.Thread(target=client.send_event, args=(Event("k", "v"),))
    sending.start()
    sending.join(0.05)
    supervisor.stop()
    supervisor.commits.set()

    supervisor.start()
    sending.join(10)

    assert values(supervisor.log) == ["v"]


def test_a_listener_goes_on_with_a_successor_and_gets_each_event_once(
    supervisor: Supervisor, client: EmbeddedNotificationClient
) -> None:
    got: list[int] = []

    class Recorder(ListenerProcessor):
        def process(self, events: list[Event]) -> None:
            got.extend(event.offset or 0 for event in events)

    client.register_listener(Recorder())
    for _ in range(3):
        client.send_events([Event("k", "v")] * 5)
        supervisor.stop()
        supervisor.log.append([Event("k", "while nobody served")])
        supervisor.start()

    wait_until(lambda: len(got) >= 18)
    client.send_event(Event("k", "last"))
    wait_until(lambda: got[-1] == 19)
    assert got == list(range(1, 20))


def test_a_supervisor_that_stays_away_is_a_clear_error(tmp_path: Path) -> None:
    transport = SocketTransport(str(tmp_path / "gone.sock"), attempt="a", token=TOKEN, limit_s=0.2)

    with pytest.raises(
        ServerUnreachableError, match=r"gone\.sock.* has not answered for 0\.2 s \(No such file"
    ):
        transport.ask("head", repeatable=True)

    transport.close()


def test_a_supervisor_that_hangs_is_a_clear_error(tmp_path: Path) -> None:
    silent = unix_socket()
    silent.bind(str(tmp_path / "s.sock"))
    silent.listen()
    transport = SocketTransport(str(tmp_path / "s.sock"), attempt="a", token=TOKEN, limit_s=0.2)

    with pytest.raises(ServerUnreachableError, match=r"has not answered for 0\.2 s"):
        transport.ask("head", repeatable=True)

    silent.close()
    transport.close()


def test_what_may_not_be_repeated_fails_when_its_answer_is_lost(supervisor: Supervisor) -> None:
    supervisor.lose_answers = 1
    transport = SocketTransport(str(supervisor.path), attempt="a", token=TOKEN)
    event = {"key": "k", "value": "v"}

    with pytest.raises(ServerUnreachableError, match="went away before it answered"):
        transport.ask("send", {"events": [event], "producer": "p", "sequence": 0})

    assert values(supervisor.log) == ["v"]
    transport.close()


def test_closing_fails_a_request_that_waits(supervisor: Supervisor) -> None:
    supervisor.commits.clear()
    transport = SocketTransport(str(supervisor.path), attempt="a", token=TOKEN)
    errors: list[Exception] = []

    def send() -> None:
        try:
            transport.send([Event("k", "v")], namespace=None, sender=None, producer="p", sequence=0)
        except ServerUnreachableError as error:
            errors.append(error)

    sending = threading.Thread(target=send)
    sending.start()
    sending.join(0.05)
    transport.close()
    sending.join(10)
    supervisor.commits.set()

    assert "this client was closed" in str(errors[0])
    with pytest.raises(ServerUnreachableError, match="closed"):
        transport.ask("head")


def test_a_task_that_reads_nothing_does_not_hold_up_others(supervisor: Supervisor, admitted: Peer) -> None:
    admitted.ask(op="listen", listener=1, keys=None, namespace=None, offset=0)
    admitted.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    supervisor.log.append([Event("k", "x" * 500_000)] * 40)
    supervisor.poke()
    transport = SocketTransport(str(supervisor.path), attempt="b", token=TOKEN)

    assert transport.ask("head", repeatable=True) == 40
    got = 0
    while got < 40:
        message = admitted.receive()
        assert message is not None
        got += len(message["events"])
        admitted.send({"op": "consumed", "listener": 1, "offset": message["offset"]})
    transport.close()
