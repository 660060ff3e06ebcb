# SPDX-License-Identifier: Apache-2.0
"""Homes that go away, come from the future, are full or cannot be used: one sentence and a clear end."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from notification_service.database.errors import NetworkFileSystemError
from notification_service.database.sqlite import SqliteDatabase
from tests.examples.program import HomeOfTest
from tests.server.mounts import is_able, needs_mounts, on_tmpfs
from tests.server.runs import store_of, wait_for, write

pytestmark = pytest.mark.slow

_STREAM = """
    with Workflow(name="w") as workflow:
        BashOperator(name="stream", bash_command="echo here; sleep 300")
"""
_QUICK = """
    with Workflow(name="w") as workflow:
        BashOperator(name="quick", bash_command="echo here")
"""


needs_capabilities = pytest.mark.skipif(
    os.getuid() == 0 and not is_able("setpriv", "--bounding-set=-dac_override,-dac_read_search", "true"),
    reason="cannot give up root's right to open everything",
)


def _sentence(text: str) -> str:
    """Return the error that a run that did not take place has printed."""
    (line,) = [line for line in text.splitlines() if line.startswith("Error: ")]
    assert "Traceback" not in text
    return line


def test_a_home_of_a_newer_version_is_refused_and_left_alone(home: HomeOfTest) -> None:
    with store_of(home):
        pass
    database = apsw.Connection(str(home.root / "aiflow.db"))
    database.execute("INSERT INTO migration VALUES ('store', 999, 'of_the_future', 999, 0)")
    database.close()

    refused = home.run(write(home, _QUICK))

    assert refused.exit_code == 2
    assert "newer version" in _sentence(refused.text)
    assert refused.document["error"]["code"] == "newer_schema"
    assert not (home.root / "logs" / "w").exists()


@needs_capabilities
def test_a_home_that_cannot_be_read_is_refused(home: HomeOfTest) -> None:
    home.root.mkdir(mode=0o000)
    if os.getuid() == 0:
        home = replace(
            home, command=("setpriv", "--bounding-set=-dac_override,-dac_read_search", *home.command)
        )

    refused = home.run(write(home, _QUICK))
    home.root.chmod(0o700)

    assert refused.exit_code == 2
    assert str(home.root) in _sentence(refused.text)
    assert list(home.root.iterdir()) == []


@needs_capabilities
def test_a_store_that_cannot_be_read_is_refused(home: HomeOfTest) -> None:
    with store_of(home):
        pass
    (home.root / "aiflow.db").chmod(0o000)
    if os.getuid() == 0:
        home = replace(
            home, command=("setpriv", "--bounding-set=-dac_override,-dac_read_search", *home.command)
        )

    refused = home.run(write(home, _QUICK))

    assert refused.exit_code == 2
    assert "it is not readable for this user" in _sentence(refused.text)


@needs_mounts
def test_a_home_on_a_read_only_disk_is_refused(home: HomeOfTest) -> None:
    refused = on_tmpfs(home, "ro").run(write(home, _QUICK))

    assert refused.exit_code == 2
    assert "Read-only file system" in _sentence(refused.text)


@needs_mounts
def test_a_home_on_a_full_disk_is_refused(home: HomeOfTest) -> None:
    refused = on_tmpfs(home, "size=64k").run(write(home, _QUICK))

    assert refused.exit_code == 2
    assert "full" in _sentence(refused.text)


def test_a_home_on_a_network_file_system_is_refused(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 98:0 / {tmp_path} rw - nfs4 server:/export rw\n")

    with pytest.raises(NetworkFileSystemError, match="network file system nfs4"):
        SqliteDatabase(tmp_path / "aiflow.db", mount_info=mounts)


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_store_that_goes_away_ends_the_run_with_a_sentence(home: HomeOfTest, how: str) -> None:
    with home.running(write(home, _STREAM)) as run:
        home.wait_for_log("w", "stream", "here")
        for path in home.root.glob("aiflow.db*"):
            path.unlink()
        if how == "replaced":
            with store_of(home):
                pass
        finished = run.finish(limit_s=30)

    assert finished.exit_code == 1
    assert "was removed or replaced while it was in use" in _sentence(finished.text)
    assert finished.document["error"]["code"] == "database_gone"


def test_a_store_that_goes_away_does_not_hold_up_ctrl_c(home: HomeOfTest) -> None:
    with home.running(write(home, _STREAM)) as run:
        home.wait_for_log("w", "stream", "here")
        shutil.rmtree(home.root)
        run.interrupt()
        finished = run.finish(limit_s=30)

    assert finished.exit_code in (1, 130), finished.text


def test_directories_of_a_deleted_store_do_not_disturb_the_next_one(home: HomeOfTest) -> None:
    with home.running(write(home, _STREAM)) as run:
        home.wait_for_log("w", "stream", "here")
        os.kill(run.pid, signal.SIGKILL)
    wait_for(lambda: not any(home.root.glob("run/*/*/*.sock")))
    for path in home.root.glob("aiflow.db*"):
        path.unlink()

    finished = home.run(write(home, _QUICK))

    assert finished.exit_code == 0, finished.text
    # The same id, workflow and path as before, but neither log nor files of the earlier store.
    assert finished.log("quick") == "here\n"
