# SPDX-License-Identifier: Apache-2.0
"""Which way to the log a server uri means, inside and outside a task."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from notification_service.client.socket_transport import SocketTransport
from notification_service.client.transport import names_own_log, open_transport, sqlite_path
from notification_service.errors import ServerUnreachableError

TASK = {
    "AIFLOW_SOCKET": "/nowhere.sock",
    "AIFLOW_HOME": "/homes/mine",
    "AIFLOW_NOTIFICATION_URI": "127.0.0.1:50052",
}


@pytest.mark.parametrize(
    "uri",
    [
        "localhost:50052",
        "127.0.0.1:50052",
        " LOCALHOST:50052 ",
        "[::1]:50052",
        "other:1,localhost:50052",
        "sqlite:////homes/mine/aiflow.db",
        "sqlite:////homes/../homes/mine/aiflow.db",
    ],
)
def test_inside_a_task_its_own_log_is_the_socket(uri: str) -> None:
    transport = open_transport(uri, TASK)

    assert isinstance(transport, SocketTransport)
    transport.close()


@pytest.mark.parametrize(
    "uri", ["localhost:50053", "example.com:50052", "sqlite:////homes/other/aiflow.db", ""]
)
def test_another_log_is_not_the_tasks_own(uri: str) -> None:
    assert not names_own_log(uri, TASK)


def test_inside_a_task_another_server_is_refused_with_what_works() -> None:
    with pytest.raises(
        ServerUnreachableError, match=r"at example\.com:50052.*Inside this task use 127\.0\.0\.1:50052"
    ):
        open_transport("example.com:50052", TASK)


@pytest.mark.parametrize("uri", ["localhost:50052", "http://x", "mysql://user@host/db", "", "sqlite:///"])
def test_outside_a_task_a_server_is_refused_with_what_works(uri: str) -> None:
    with pytest.raises(
        ServerUnreachableError, match=r"No notification server is reachable at .*use sqlite:///PATH"
    ):
        open_transport(uri, {})


def test_paths_of_sqlite_uris(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("STORE", "/data")

    assert sqlite_path("sqlite:////abs/x.db") == "/abs/x.db"
    assert sqlite_path("sqlite:///rel/x.db") == str(tmp_path / "rel/x.db")
    assert sqlite_path("sqlite:///~/x.db") == "/home/me/x.db"
    assert sqlite_path("sqlite:///${STORE}/x.db") == "/data/x.db"


def test_a_python_without_apsw_is_told_what_is_missing() -> None:
    code = (
        "import sys; sys.modules['apsw'] = None\n"
        "from notification_service.client.embedded_notification_client import EmbeddedNotificationClient\n"
        "EmbeddedNotificationClient('sqlite:////tmp/never.db')\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "ServerUnreachableError" in done.stderr
    assert "it has no package apsw" in done.stderr


def test_the_client_side_needs_only_the_standard_library() -> None:
    code = (
        "import sys\n"
        "for name in ('apsw', 'click', 'psutil', 'watchdog', 'grpc', 'yaml'): sys.modules[name] = None\n"
        "import notification_service.model.event, notification_service.wire\n"
        "import notification_service.client.embedded_notification_client\n"
        "import notification_service.client.socket_transport\n"
        "print('fine')\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stdout == "fine\n", done.stderr
