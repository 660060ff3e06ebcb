# SPDX-License-Identifier: Apache-2.0
"""Logs are followed without loss, in bounded portions, and never harm a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_flow.cli.run.log_tail import LONGEST_LINE, Limits, LogFollower, LogTail, last_lines

_MUCH = Limits(per_look=1 << 20, ahead=1 << 30, kept=1 << 20)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "1.log"


def _append(log: Path, content: bytes) -> None:
    with log.open("ab") as file:
        file.write(content)


def _all(content: bytes, log: Path, limits: Limits = _MUCH) -> list[str]:
    log.write_bytes(content)
    return LogTail(log, limits).end()


def test_lines_come_when_they_are_whole(log: Path) -> None:
    tail = LogTail(log, _MUCH)
    _append(log, b"one\ntw")

    first = tail.read(100)
    _append(log, b"o\n")
    second = tail.read(100)
    tail.close()

    assert (first, second) == (["one"], ["two"])


def test_a_log_may_appear_late(log: Path) -> None:
    tail = LogTail(log, _MUCH)

    before = tail.read(100)
    _append(log, b"late\n")
    after = tail.end()

    assert (before, after) == ([], ["late"])


def test_a_log_that_never_appears_has_no_lines(log: Path) -> None:
    assert LogTail(log, _MUCH).end() == []


def test_the_end_brings_the_unfinished_line(log: Path) -> None:
    assert _all(b"whole\nunfinished", log) == ["whole", "unfinished"]


def test_empty_lines_stay(log: Path) -> None:
    assert _all(b"a\n\n\nb\n", log) == ["a", "", "", "b"]


@pytest.mark.parametrize("portion", [1, 2, 3, 7])
def test_a_letter_may_be_cut_by_a_portion(log: Path, portion: int) -> None:
    text = "grüße an 世界 🎉"
    log.write_bytes(f"{text}\n".encode())
    tail = LogTail(log, _MUCH)

    lines = [line for _ in range(40) for line in tail.read(portion)]
    tail.close()

    assert lines == [text]


def test_what_is_not_utf_8_is_replaced(log: Path) -> None:
    assert _all(b"caf\xe9 ok\n\xff\n", log) == ["caf\ufffd ok", "\ufffd"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (b"\x1b[2J\x1b[1;1Hcleared\n", "cleared"),
        (b"\x1b]0;title\x07text\n", "text"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n", "link"),
        (b"\x1b[31mred\x1b[0m\n", "red"),
        (b"\x1bcreset\n", "reset"),
        (b"bell\x07 back\x08 nul\x00\n", "bell back nul"),
        ("\u009b31mC1\n".encode(), "31mC1"),
        (b"tab\there\n", "tab\there"),
        (b"windows\r\n", "windows"),
        (b"10 %\r20 %\r100 %\n", "100 %"),
        (b"\x1b[", ""),
    ],
)
def test_nothing_reaches_a_terminal_that_could_wreck_it(log: Path, written: bytes, shown: str) -> None:
    lines = _all(written, log)

    assert lines == [shown]


def test_a_very_long_line_comes_in_pieces(log: Path) -> None:
    lines = _all(b"x" * (3 * LONGEST_LINE + 5), log)

    assert [len(line) for line in lines] == [LONGEST_LINE] * 3 + [5]


def test_a_line_without_end_takes_bounded_memory(log: Path) -> None:
    tail = LogTail(log, _MUCH)
    log.write_bytes(b"x" * 1_000_000)

    lines = tail.read(1_000_000)

    assert sum(map(len, lines)) > 990_000
    tail.close()


def test_a_progress_bar_is_shown_as_it_ended(log: Path) -> None:
    tail = LogTail(log, Limits(per_look=1000, ahead=1 << 30, kept=1))
    log.write_bytes(b"".join(b"%d %% done\r" % percent for percent in range(10_000)))

    lines = tail.end()

    assert lines == ["9999 % done"]


def test_a_log_far_ahead_is_continued_near_its_end(log: Path) -> None:
    content = b"".join(b"line %d\n" % number for number in range(100_000))

    note, *lines = _all(content, log, Limits(per_look=4096, ahead=100_000, kept=10_000))

    assert note.endswith(f"left out here: they are in {log}")
    assert lines[-1] == "line 99999"
    assert all(line.startswith("line ") for line in lines)
    assert sum(len(line) + 1 for line in lines) <= 10_000


def test_one_look_reads_a_bounded_portion_of_each_log(tmp_path: Path) -> None:
    follower = LogFollower(Limits(per_look=16_384, ahead=1 << 30, kept=1))
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"0123456\n" * 100_000)
        follower.follow(name, name, tmp_path / name)

    read = {name: sum(len(line) + 1 for line in lines) for name, lines in follower.look()}

    assert read == {"a": 8192, "b": 8192}
    assert dict(follower.end_all()).keys() == {"a", "b"}


def test_attempts_are_told_apart(tmp_path: Path) -> None:
    follower = LogFollower()
    for name in ("a", "b"):
        follower.follow(name, f"task {name}", tmp_path / name)
    (tmp_path / "b").write_bytes(b"from b\n")

    looked = list(follower.look())
    (tmp_path / "a").write_bytes(b"from a")
    ended = follower.end("a")

    assert looked == [("task b", ["from b"])]
    assert ended == ["from a"]
    assert follower.end("a") == []
    list(follower.end_all())


def test_following_twice_shows_everything_once(log: Path) -> None:
    follower = LogFollower()
    log.write_bytes(b"once\n")
    follower.follow("k", "t", log)

    first = list(follower.look())
    follower.follow("k", "t", log)

    assert first == [("t", ["once"])]
    assert list(follower.look()) == []
    assert follower.end("k") == []


def test_a_log_that_was_emptied_does_not_stop_the_rest(log: Path) -> None:
    tail = LogTail(log, _MUCH)
    log.write_bytes(b"before\n")

    lines = tail.read(100)
    log.write_bytes(b"")

    assert lines + tail.end() == ["before"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n\n", []),
        (b"a\nb\nc\n", ["b", "c"]),
        (b"a\nb\nc", ["b", "c"]),
        (b"\xff\n\x1b[31mb\n", ["\ufffd", "b"]),
        (b"x" * 50 + b"\nlast\n", ["last"]),
    ],
)
def test_the_last_lines_of_a_log(log: Path, content: bytes, expected: list[str]) -> None:
    log.write_bytes(content)

    assert last_lines(log, 2, within=30) == expected


def test_a_missing_log_has_no_last_lines(log: Path) -> None:
    assert last_lines(log, 2) == []
