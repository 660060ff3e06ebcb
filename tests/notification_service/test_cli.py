# SPDX-License-Identifier: Apache-2.0
"""The command ``notification`` as a user types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
import yaml

import ai_flow
import notification_service
from notification_service.cli import main
from notification_service.client.embedded_notification_client import EmbeddedNotificationClient
from notification_service.event_log import EventLog
from notification_service.model.event import Event
from tests.notification_service.supervisor import TOKEN, Supervisor


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "home"
    monkeypatch.setenv("AIFLOW_HOME", str(path))
    return path


class Ran:
    """What a command printed and its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *words: str) -> None:
        self.code = main(words)
        self.out, self.err = capsys.readouterr()


def test_a_sent_event_is_listed_and_counted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sent = Ran(capsys, "event", "send", "k", "v\n2", "-n", "ns", "--sender", "me", "--context", '{"a": 1}')
    Ran(capsys, "event", "send", "other", "v")

    assert sent.code == 0
    assert sent.out.startswith(
        "Successfully send event: key:k, value:v\n2, namespace:ns, sender:me, create_time:"
    )
    assert sent.out.endswith('offset:1, context: {"a": 1}.\n')
    table = Ran(capsys, "event", "list", "k").out.splitlines()
    assert table[0].split(" | ")[:3] == ["namespace", "key", "value"]
    assert table[2].split(" | ")[:3] == ["ns       ", "k  ", "v\\n2 "]
    (row,) = json.loads(Ran(capsys, "event", "list", "k", "-o", "json").out)
    assert (row["key"], row["value"], row["context"], row["offset"]) == ("k", "v\n2", '{"a": 1}', 1)
    assert abs(datetime.fromisoformat(row["create_time"]).timestamp() - datetime.now().timestamp()) < 60
    assert yaml.safe_load(Ran(capsys, "event", "list", "*", "-o", "yaml").out)[1]["key"] == "other"
    assert Ran(capsys, "event", "list", "other", "-o", "plain").out.split()[:2] == ["other", "v"]
    assert Ran(capsys, "event", "count", "*").out == "2\n"
    assert Ran(capsys, "event", "list", "none").out == "No data found\n"


def test_ranges_by_offset_and_time(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        Ran(capsys, "event", "send", "k", str(number), "--sender", f"s{number}")

    assert Ran(capsys, "event", "count", "k", "--begin-offset", "1").out == "2\n"
    assert Ran(capsys, "event", "count", "k", "--sender", "s2").out == "1\n"
    assert Ran(capsys, "event", "count", "k", "--begin-time", "2020-01-01T00:00:00Z").out == "3\n"
    assert Ran(capsys, "event", "count", "k", "--begin-time", "2100-01-01").out == "0\n"
    both = Ran(capsys, "event", "count", "k", "--begin-time", "2100-01-01", "--begin-offset", "0")
    assert both.out == "3\n"


def test_looking_makes_no_store(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("list", "count"):
        looked = Ran(capsys, "event", command, "k")
        assert looked.code == 2
        assert f"There is no store at {home}/aiflow.db" in looked.err
    assert not home.exists()


@pytest.mark.parametrize(
    ("words", "code", "found"),
    [
        (
            ["event", "list", "k", "-s", "localhost:50052"],
            1,
            "No notification server is reachable at localhost:50052",
        ),
        (["event", "list", "k", "-s", "localhost:50052"], 1, "use sqlite:///PATH"),
        (["event", "list", "k", "--begin-time", "soon"], 2, "'soon' is not an ISO 8601 time"),
        (["event", "list", "k", "--begin-offset", "-1"], 2, "-1 is not in the range"),
        (["event", "send", "k"], 2, "Missing argument 'VALUE'"),
        (["event", "send", "", "v"], 1, "An event needs a key"),
        (["nonsense"], 2, "No such command 'nonsense'"),
    ],
)
def test_a_mistake_gets_a_sentence(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, found: str
) -> None:
    ran = Ran(capsys, *words)

    assert ran.code == code
    assert found in ran.err
    assert "Traceback" not in ran.err


def test_debug_shows_the_traceback(home: Path) -> None:
    with pytest.raises(Exception, match="needs a key"):
        main(["--debug", "event", "send", "", "v"])


def test_the_version_is_that_of_aiflow(capsys: pytest.CaptureFixture[str]) -> None:
    assert Ran(capsys, "version").out == f"{ai_flow.__version__}\n"
    assert Ran(capsys, "--version").out == f"notification {ai_flow.__version__}\n"
    assert notification_service.__version__ == ai_flow.__version__


def test_inside_a_task_the_supervisor_is_asked(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIFLOW_SOCKET", str(supervisor.path))
    monkeypatch.setenv("AIFLOW_ATTEMPT_ID", "a" * 32)
    monkeypatch.setenv("AIFLOW_TOKEN", TOKEN)

    assert Ran(capsys, "event", "send", "k", "v").code == 0
    assert Ran(capsys, "event", "count", "k").out == "1\n"


@pytest.mark.slow
def test_listening_follows_the_log_until_it_is_interrupted(
    home: Path, store_path: Path, log: EventLog
) -> None:
    log.append([Event("k", "old"), Event("other", "x")])
    command = [
        sys.executable,
        "-m",
        "notification_service.cli",
        "event",
        "listen",
        "k",
        "-s",
        f"sqlite:///{store_path}",
    ]
    with subprocess.Popen([*command, "--begin-offset", "0"], stdout=subprocess.PIPE, text=True) as listening:
        assert listening.stdout is not None
        lines = [listening.stdout.readline()]
        client = EmbeddedNotificationClient(f"sqlite:///{store_path}", namespace="ns")
        client.send_events([Event("other", "y"), Event("k", "new")])
        lines.append(listening.stdout.readline())
        client.close()
        listening.send_signal(signal.SIGINT)
        rest, _ = listening.communicate(timeout=10)

    assert [line.split(",")[1] for line in lines] == [" value:old", " value:new"]
    assert rest == ""
    assert listening.returncode == 130


@pytest.mark.slow
def test_help_and_version_load_nothing_heavy() -> None:
    code = (
        "import sys; from notification_service.cli import main; main(['--version']);"
        "print(sorted({'apsw', 'watchdog', 'yaml', 'rich', 'asyncio', 'json'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[1] == "[]"
