# SPDX-License-Identifier: Apache-2.0
"""Wake-ups: hints that come quickly, and readers that do not depend on them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from notification_service import wake
from notification_service.client import shared_store
from notification_service.client.embedded_notification_client import EmbeddedNotificationClient
from notification_service.client.notification_client import ListenerProcessor
from notification_service.database.errors import DatabaseUnavailableError
from notification_service.database.sqlite import SqliteDatabase
from notification_service.event_log import EventLog
from notification_service.feed import Feed
from notification_service.model.event import Event
from notification_service.wake import IDLE_POLL_S, PollPacing, WakeFile, WakeWatcher, wake_directory
from tests.support import ManualClock, wait_until


class Recorder(ListenerProcessor):
    def __init__(self) -> None:
        self.seen_s: list[float] = []

    def process(self, events: list[Event]) -> None:
        self.seen_s += [time.monotonic()] * len(events)


def test_a_touch_wakes_a_watcher(tmp_path: Path) -> None:
    woken = threading.Event()
    watcher = WakeWatcher(tmp_path / "wake", woken.set)
    file = WakeFile(tmp_path / "wake")

    for _ in range(3):
        file.touch()
        assert woken.wait(10)
        woken.clear()

    watcher.close()
    file.close()


def test_every_commit_touches_the_file_and_a_rollback_does_not(database: SqliteDatabase) -> None:
    file = wake_directory(database.path) / wake.WAKE_FILE_NAME
    log = EventLog(database)
    log.append([Event("k", "v")])
    first = file.stat().st_mtime_ns

    with pytest.raises(RuntimeError), database.write():
        raise RuntimeError
    assert file.stat().st_mtime_ns == first

    wait_until(lambda: log.append([Event("k", "v")]) and file.stat().st_mtime_ns > first)


def test_a_wake_file_that_cannot_be_touched_does_not_fail_the_commit(database: SqliteDatabase) -> None:
    directory = wake_directory(database.path)
    for file in directory.iterdir():
        file.unlink()
    directory.rmdir()
    directory.write_text("in the way")

    assert EventLog(database).append([Event("k", "v")])[0].offset == 1


def test_polls_come_quickly_after_a_hint_and_seldom_otherwise() -> None:
    clock = ManualClock()
    pacing = PollPacing(clock.monotonic_s)
    assert pacing.wait_s() == IDLE_POLL_S

    pacing.hint()
    waits: list[float] = []
    while (wait := pacing.wait_s()) != IDLE_POLL_S:
        waits.append(wait)
        clock.advance(wait)

    assert waits[:4] == [0.0002, 0.0004, 0.0008, 0.0016]
    assert max(waits) == 0.02
    assert 0.1 <= sum(waits) < 0.13


SEND = """
import sys
from notification_service.client.embedded_notification_client import EmbeddedNotificationClient
from notification_service.model.event import Event

client = EmbeddedNotificationClient(sys.argv[1])
for line in sys.stdin:
    client.send_event(Event("k", line))
"""


@pytest.mark.parametrize("watched", [True, False])
def test_listeners_hear_of_other_processes_with_and_without_a_watcher(
    store_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, watched: bool
) -> None:
    if not watched:

        def no_more_watches(*_arguments: object) -> None:
            raise OSError("inotify watch limit reached")

        monkeypatch.setattr(shared_store, "WakeWatcher", no_more_watches)
    uri = f"sqlite:///{store_path}"
    recorder = Recorder()
    client = EmbeddedNotificationClient(uri)
    client.register_listener(recorder)
    command = [sys.executable, "-c", SEND, uri]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as sender:
        assert sender.stdin is not None
        for number in range(1, 4):
            sender.stdin.write("x\n")
            sender.stdin.flush()
            wait_until(lambda number=number: len(recorder.seen_s) == number)
        sender.stdin.close()

    client.close()
    assert ("wake.not_watched" in caplog.text) is not watched


def test_a_listener_survives_trouble_with_the_database(
    store_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shared_store, "AFTER_ERROR_S", 0.01)
    client = EmbeddedNotificationClient(f"sqlite:///{store_path}")
    recorder = Recorder()
    client.register_listener(recorder)
    client.send_event(Event("k", "v"))
    wait_until(lambda: recorder.seen_s)

    def fails(*_arguments: object) -> bool:
        raise DatabaseUnavailableError(store_path, "the disk does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(Feed, "pump", fails)
        client.send_event(Event("k", "v"))
        wait_until(lambda: "the disk does not answer" in caplog.text)

    wait_until(lambda: len(recorder.seen_s) == 2)
    client.close()
