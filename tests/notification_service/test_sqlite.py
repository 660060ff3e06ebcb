# SPDX-License-Identifier: Apache-2.0
"""What only the SQLite database does: its file, its refusals, and several processes on one file."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from notification_service.database import connection
from notification_service.database.connection import check_sqlite_version
from notification_service.database.errors import (
    DatabaseBusyError,
    DatabaseCorruptError,
    DatabaseGoneError,
    DatabaseUnavailableError,
    DiskFullError,
    ForeignDatabaseError,
    NetworkFileSystemError,
    UnsupportedSqliteError,
)
from notification_service.database.sqlite import SqliteDatabase
from notification_service.event_log import LOG_MIGRATIONS, EventFilter, EventLog
from notification_service.model.event import Event
from notification_service.wake import wake_directory
from tests.support import wait_until


def open_log(path: Path) -> EventLog:
    return EventLog(SqliteDatabase(path, migrations=[LOG_MIGRATIONS]))


def run_python(code: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)  # type: ignore[call-overload]


# --- the file


def test_files_are_for_their_owner_only(database: SqliteDatabase) -> None:
    EventLog(database).append([Event("k", "v")])

    directory = database.path.parent
    assert directory.stat().st_mode & 0o777 == 0o700
    for file in [*directory.glob("aiflow.db*"), *wake_directory(database.path).iterdir()]:
        assert file.stat().st_mode & 0o777 == 0o600, file


def test_a_home_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(DatabaseUnavailableError, match=r"Cannot open the store .*file/home/aiflow\.db: "):
        SqliteDatabase(tmp_path / "file" / "home" / "aiflow.db")


def test_a_directory_in_place_of_the_store_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match="it is a directory"):
        SqliteDatabase(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
@pytest.mark.parametrize(("mode", "found"), [(0o600, "not readable"), (0o644, "not writable")])
def test_a_store_of_another_user_is_a_clear_error(tmp_path: Path, mode: int, found: str) -> None:
    path = tmp_path / "aiflow.db"
    SqliteDatabase(path).close()
    path.chmod(mode)
    for directory in [tmp_path, *tmp_path.parents]:
        if directory.owner() == "root" and directory != Path("/") and directory != Path("/tmp"):
            directory.chmod(directory.stat().st_mode | 0o055)

    child = os.fork()
    if child == 0:  # a fork, because another user may not be able to read this Python
        code = 1
        try:
            os.setgid(65534)
            os.setuid(65534)
            SqliteDatabase(path)
        except DatabaseUnavailableError as error:
            code = 0 if found in str(error) else 2
        finally:
            os._exit(code)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_damaged_file_is_a_clear_error_and_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "aiflow.db"
    path.write_bytes(b"this is no database" * 1000)

    with pytest.raises(DatabaseCorruptError, match="damaged or not a database") as caught:
        SqliteDatabase(path)

    assert caught.value.hint
    assert path.read_bytes().startswith(b"this is no database")


def test_damage_inside_the_file_is_found_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "aiflow.db"
    log = open_log(path)
    log.append([Event(f"key {n}", "v" * 500) for n in range(1000)])
    log.database.close()
    content = bytearray(path.read_bytes())
    content[8192 : len(content) - 8192] = b"\xa5" * (len(content) - 16384)
    path.write_bytes(content)

    with pytest.raises(DatabaseCorruptError):
        opened = open_log(path)
        try:
            opened.list_events(EventFilter())
        finally:
            opened.database.close()


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    before = path.read_bytes()

    with pytest.raises(ForeignDatabaseError, match="of another program"):
        SqliteDatabase(path)

    assert path.read_bytes() == before


def test_a_full_disk_is_a_clear_error_and_changes_nothing(database: SqliteDatabase) -> None:
    log = EventLog(database)
    log.append([Event("k", "v")])
    with database.write() as tx:
        pages = tx.apsw.execute("PRAGMA page_count").fetchall()[0][0]  # type: ignore[attr-defined]
        tx.apsw.execute(f"PRAGMA max_page_count={pages + 4}")  # type: ignore[attr-defined]

    with pytest.raises(DiskFullError, match=r"is full\. Nothing was changed\."):
        log.append([Event("k", "v" * 100_000)])

    assert log.count_events(EventFilter())[0] == 1
    assert log.append([Event("k", "small")])[0].offset == 2


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mount"), reason="needs root, to mount a small disk"
)
def test_a_disk_that_is_really_full_is_a_clear_error(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("may not mount here")
    try:
        log = open_log(disk / "aiflow.db")
        with pytest.raises(DiskFullError):
            for _ in range(100):
                log.append([Event("k", "v" * 20_000)])
        events = log.list_events(EventFilter())
        assert [event.offset for event in events] == list(range(1, len(events) + 1))
        log.database.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_an_old_sqlite_is_refused() -> None:
    check_sqlite_version("3.51.3")
    check_sqlite_version("3.60.0")
    with pytest.raises(UnsupportedSqliteError, match=r"SQLite 3\.51\.2 is too old: 3\.51\.3 or newer"):
        check_sqlite_version("3.51.2")


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "ceph"])
def test_a_network_file_system_is_refused(tmp_path: Path, kind: str) -> None:
    home = tmp_path / "with space" / "home"
    mount_point = str(tmp_path / "with space").replace(" ", "\\040")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"40 22 0:50 / {mount_point} rw shared:5 - {kind} server:/export rw\n"
    )

    with pytest.raises(NetworkFileSystemError, match=f"network file system {kind} mounted at .*with space"):
        SqliteDatabase(home / "aiflow.db", mount_info=mounts)

    assert not home.exists()
    SqliteDatabase(tmp_path / "elsewhere.db", mount_info=mounts).close()


def test_a_local_disk_inside_a_network_mount_is_fine(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"22 1 8:1 / / rw - nfs4 server:/ rw\n23 22 8:2 / {tmp_path} rw - ext4 /dev/sda2 rw\nnonsense\n"
    )

    SqliteDatabase(tmp_path / "aiflow.db", mount_info=mounts).close()


def test_a_system_without_mountinfo_is_trusted(tmp_path: Path) -> None:
    SqliteDatabase(tmp_path / "aiflow.db", mount_info=tmp_path / "absent").close()


def test_nothing_is_written_to_a_store_that_was_removed(database: SqliteDatabase) -> None:
    log = EventLog(database)
    log.append([Event("k", "v")])
    database.path.unlink()

    with pytest.raises(DatabaseGoneError, match="removed or replaced"):
        log.append([Event("k", "lost")])


def test_a_writer_that_cannot_get_in_gets_a_clear_error(
    store_path: Path, database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BUSY_LIMIT_S", 0.05)
    impatient = open_log(store_path)

    with database.write(), pytest.raises(DatabaseBusyError, match="another process is keeping it"):
        impatient.append([Event("k", "v")])

    impatient.append([Event("k", "v")])
    impatient.database.close()


# --- durability and the write-ahead log


def test_commits_are_synced_and_the_log_of_pages_stays_bounded(database: SqliteDatabase) -> None:
    with database.write() as tx:
        assert tx.apsw.execute("PRAGMA synchronous").fetchall() == [(2,)]  # type: ignore[attr-defined]
        assert tx.apsw.execute("PRAGMA journal_mode").fetchall() == [("wal",)]  # type: ignore[attr-defined]
    log = EventLog(database)
    wal = Path(f"{database.path}-wal")

    largest = 0
    for _ in range(60):
        log.append([Event("k", "v" * 1000)] * 1000)
        largest = max(largest, wal.stat().st_size)

    assert database.path.stat().st_size > 30_000_000
    assert largest < 100_000_000


def test_the_page_log_stays_for_the_next_program(database: SqliteDatabase) -> None:
    EventLog(database).append([Event("k", "v")])
    database.close()

    assert Path(f"{database.path}-wal").exists()


WRITER = """
import sys
from notification_service.database.sqlite import SqliteDatabase
from notification_service.event_log import EventLog, LOG_MIGRATIONS
from notification_service.model.event import Event

path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
log = EventLog(SqliteDatabase(path, migrations=[LOG_MIGRATIONS]))
for number in range(count):
    event, = log.append([Event("k", str(number), sender=name)], producer=name, sequence=number)
    print(event.offset, flush=True)
"""


def test_processes_that_write_at_once_never_meet_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "aiflow.db"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen([*command, f"w{n}", "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]

    outputs = [writer.communicate(timeout=60) for writer in writers]

    assert [errors for _, errors in outputs] == [""] * 4
    log = open_log(path)
    events = log.list_events(EventFilter())
    assert [event.offset for event in events] == list(range(1, 241))
    for number, (output, _) in enumerate(outputs):
        offsets = [int(line) for line in output.split()]
        assert [e.offset for e in events if e.sender == f"w{number}"] == offsets
        assert [e.value for e in events if e.sender == f"w{number}"] == [str(n) for n in range(60)]
    log.database.close()


def test_a_killed_writer_loses_nothing_that_it_was_told_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "aiflow.db"
    command = [sys.executable, "-c", WRITER, str(path), "victim", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(50)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().split("\n")[:-1]]

    log = open_log(path)
    events = log.list_events(EventFilter())
    assert [event.offset for event in events] == list(range(1, len(events) + 1))
    assert acknowledged == [event.offset for event in events][: len(acknowledged)]
    assert len(events) <= len(acknowledged) + 1
    repeated = log.append([Event("k", "3", sender="victim")], producer="victim", sequence=3)
    assert repeated[0].offset == 4
    log.database.close()


def test_a_reader_in_this_process_sees_commits_of_another(database: SqliteDatabase) -> None:
    log = EventLog(database)

    result = run_python(WRITER, database.path, "other", 2)

    assert result.stderr == ""
    assert wait_until(lambda: log.count_events(EventFilter(sender="other"))[0]) == 2
