# SPDX-License-Identifier: Apache-2.0
"""A disk that is full for a while: the acknowledged stays, and the run goes on when there is room again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples.program import HomeOfTest, Running
from tests.server.mounts import needs_mounts, on_tmpfs
from tests.server.runs import wait_for, write

pytestmark = pytest.mark.slow

#: Sends until it was refused and then acknowledged again, and checks that exactly the acknowledged are there.
_SENDER = """
    def send():
        client = AIFlowNotificationClient("localhost:50052")
        tell = open(os.environ["TOLD"], "a", buffering=1)
        acknowledged, refusals = [], 0
        while not refusals or len(acknowledged) < until:
            try:
                event = client.send_event("key", str(len(acknowledged)) + "x" * 10_000)
            except Exception as error:
                if not refusals:
                    print("refused:", error, file=tell)
                refusals += 1
                until = len(acknowledged) + 5
                time.sleep(0.05)
            else:
                acknowledged.append(event.offset)
        from notification_service.client.embedded_notification_client import EmbeddedNotificationClient
        stored = EmbeddedNotificationClient("localhost:50052", "default", "reader").list_events("key")
        print("complete:", [event.offset for event in stored] == acknowledged, file=tell)
    with Workflow(name="w") as workflow:
        sender = PythonOperator(name="sender", python_callable=send)
        after = BashOperator(name="after", bash_command="true")
        after.start_after(sender)
"""


def _fill(run: Running, home: HomeOfTest) -> Path:
    """Fill the disk that only the run sees, and return what takes the room."""
    filler = Path(f"/proc/{run.pid}/root{home.root}/filler")
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 512):
            try:
                while file.write(b"0" * size):
                    pass
            except OSError:
                continue
    return filler


@needs_mounts
def test_a_run_goes_on_when_there_is_room_again(home: HomeOfTest) -> None:
    told = home.scratch / "told"
    home = on_tmpfs(home, "size=8m")
    home.variables["TOLD"] = str(told)

    with home.running(write(home, _SENDER)) as run:
        wait_for(told.exists)
        filler = _fill(run, home)
        wait_for(lambda: "refused:" in told.read_text())
        filler.unlink()
        finished = run.finish()

    assert finished.exit_code == 0, finished.text
    assert "the disk or the quota is full" in told.read_text()
    assert "complete: True" in told.read_text()
    assert finished.statuses == {"sender": "SUCCESS", "after": "SUCCESS"}
    assert finished.text.count("ERROR") <= 2, finished.text


@needs_mounts
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_ends_a_run_on_a_full_disk(home: HomeOfTest, presses: int) -> None:
    told = home.scratch / "told"
    home = on_tmpfs(home, "size=8m")
    home.variables["TOLD"] = str(told)

    with home.running(write(home, _SENDER), "--stop-grace", "2", "--debug") as run:
        wait_for(told.exists)
        _fill(run, home)
        wait_for(lambda: "refused:" in told.read_text())
        run.interrupt()
        if presses == 2:
            wait_for(lambda: "stopping:" in run.text)
            run.interrupt()
        finished = run.finish(limit_s=20)

    assert finished.exit_code == 130, finished.text
