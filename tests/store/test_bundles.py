# SPDX-License-Identifier: Apache-2.0
"""Bundles: named by their content, whole or not at all, and nothing lands outside of them."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from ai_flow.common.home import Home
from ai_flow.store import bundles
from ai_flow.store.bundles import BundleError, make_bundle


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A directory with a workflow file and things beside it."""
    work = tmp_path / "work"
    (work / "data" / "deep").mkdir(parents=True)
    (work / "flow.py").write_text("print('flow')\n")
    (work / "helper.py").write_text("x = 1\n")
    (work / "data" / "a.txt").write_text("a")
    (work / "data" / "deep" / "b.txt").write_text("b")
    return work


def _files(home: Home, digest: str) -> dict[str, str]:
    root = home.snapshots / digest
    return {
        str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()
    }


def test_a_bundle_holds_the_workflow_file_under_its_stem(home: Home, work: Path) -> None:
    digest, entry = make_bundle(home, work / "flow.py", [])

    assert entry == "flow/flow.py"
    assert _files(home, digest) == {"flow/flow.py": "print('flow')\n"}


def test_files_and_directories_keep_their_place_beside_the_workflow_file(home: Home, work: Path) -> None:
    digest, _ = make_bundle(home, work / "flow.py", [work / "helper.py", work / "data"])

    assert set(_files(home, digest)) == {
        "flow/flow.py",
        "flow/helper.py",
        "flow/data/a.txt",
        "flow/data/deep/b.txt",
    }


def test_a_file_from_elsewhere_lies_beside_it_under_its_own_name(
    home: Home, work: Path, tmp_path: Path
) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "far.py").write_text("far")

    digest, _ = make_bundle(home, work / "flow.py", [tmp_path / "else" / "far.py", work / "data" / "a.txt"])

    assert set(_files(home, digest)) == {"flow/flow.py", "flow/far.py", "flow/data/a.txt"}


def test_equal_content_is_one_bundle_and_is_copied_once(home: Home, work: Path, tmp_path: Path) -> None:
    first, _ = make_bundle(home, work / "flow.py", [work / "helper.py"])
    made_at = (home.snapshots / first).stat().st_mtime_ns
    shutil.copytree(work, tmp_path / "copy")

    second, _ = make_bundle(home, tmp_path / "copy" / "flow.py", [tmp_path / "copy" / "helper.py"])

    assert second == first
    assert (home.snapshots / first).stat().st_mtime_ns == made_at


@pytest.mark.parametrize("change", ["content", "name", "mode", "more", "stem"])
def test_whatever_differs_makes_another_bundle(home: Home, work: Path, change: str) -> None:
    first, _ = make_bundle(home, work / "flow.py", [work / "helper.py"])
    workflow_file, beside = work / "flow.py", [work / "helper.py"]
    if change == "content":
        (work / "helper.py").write_text("x = 2\n")
    elif change == "name":
        beside = [(work / "helper.py").rename(work / "other.py")]
    elif change == "mode":
        (work / "helper.py").chmod(0o755)
    elif change == "more":
        beside.append(work / "data")
    else:
        workflow_file = workflow_file.rename(work / "river.py")

    second, _ = make_bundle(home, workflow_file, beside)

    assert second != first
    assert _files(home, first)["flow/helper.py"] == "x = 1\n", "the first is as it was"


def test_files_of_one_name_never_overwrite_each_other(home: Home, tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "flow.py").write_text(name)
        digests.append(make_bundle(home, tmp_path / name / "flow.py", [])[0])

    assert [_files(home, digest)["flow/flow.py"] for digest in digests] == ["one", "two"]


def test_executable_files_stay_so_and_nothing_can_be_written(home: Home, work: Path) -> None:
    script = work / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)

    digest, _ = make_bundle(home, work / "flow.py", [script])

    root = home.snapshots / digest / "flow"
    assert stat.S_IMODE((root / "run.sh").stat().st_mode) == 0o500
    assert stat.S_IMODE((root / "flow.py").stat().st_mode) == 0o400


def test_a_missing_file_is_named(home: Home, work: Path) -> None:
    with pytest.raises(BundleError, match=r"nothing\.csv does not exist.*beside flow\.py"):
        make_bundle(home, work / "flow.py", [work / "nothing.csv"])

    assert not home.snapshots.exists() or list(home.snapshots.iterdir()) == []


def test_two_different_files_for_one_place_are_refused(home: Home, work: Path, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "helper.py").write_text("other")

    with pytest.raises(BundleError, match=r"Two files would be 'helper\.py'.*Rename one"):
        make_bundle(home, work / "flow.py", [work / "helper.py", tmp_path / "else" / "helper.py"])


def test_a_file_and_a_directory_for_one_place_are_refused(home: Home, work: Path, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "data").write_text("a file called as the directory")

    with pytest.raises(BundleError, match=r"'data'"):
        make_bundle(home, work / "flow.py", [work / "data", tmp_path / "else" / "data"])


def test_one_file_named_twice_is_one_file(home: Home, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(work)

    digest, _ = make_bundle(home, work / "flow.py", [Path("helper.py"), work / "helper.py", work / "flow.py"])

    assert set(_files(home, digest)) == {"flow/flow.py", "flow/helper.py"}


def test_relative_and_absolute_paths_make_the_same_bundle(
    home: Home, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work)

    relative = make_bundle(home, Path("flow.py"), [Path("data"), work / "helper.py"])

    assert relative == make_bundle(home, work / "flow.py", [work / "data", Path("helper.py")])


def test_a_path_with_dots_cannot_leave_the_bundle(home: Home, work: Path) -> None:
    outside = work / "data" / ".." / ".." / "outside.txt"
    outside.write_text("outside")

    digest, _ = make_bundle(home, work / "flow.py", [outside])

    assert set(_files(home, digest)) == {"flow/flow.py", "flow/outside.txt"}


def test_compiled_files_are_left_out(home: Home, work: Path) -> None:
    (work / "data" / "__pycache__").mkdir()
    (work / "data" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"")
    (work / "data" / "y.pyc").write_bytes(b"")

    digest, _ = make_bundle(home, work / "flow.py", [work / "data"])

    assert {Path(name).name for name in _files(home, digest)} == {"flow.py", "a.txt", "b.txt"}


def test_a_linked_directory_is_copied_like_any_other(home: Home, work: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "c.txt").write_text("c")
    (work / "data" / "link").symlink_to(tmp_path / "shared")

    digest, _ = make_bundle(home, work / "flow.py", [work / "data"])

    assert _files(home, digest)["flow/data/link/c.txt"] == "c"


def test_a_link_in_a_circle_ends(home: Home, work: Path) -> None:
    (work / "data" / "again").symlink_to(work / "data")

    digest, _ = make_bundle(home, work / "flow.py", [work / "data"])

    assert "flow/data/a.txt" in _files(home, digest)


@pytest.mark.parametrize("kind", ["pipe", "broken link"])
def test_what_is_no_file_is_refused_and_named(home: Home, work: Path, kind: str) -> None:
    strange = work / "data" / "strange"
    if kind == "pipe":
        os.mkfifo(strange)
    else:
        strange.symlink_to(work / "gone")

    with pytest.raises(BundleError, match=r"strange"):
        make_bundle(home, work / "flow.py", [work / "data"])


def test_an_interrupted_copy_leaves_no_bundle_and_the_next_one_succeeds(
    home: Home, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = 0

    def copy_one_then_fail(source: Path, target: Path) -> None:
        nonlocal copied
        copied += 1
        if copied > 1:
            raise KeyboardInterrupt
        shutil.copyfile(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(bundles, "_copy_file", copy_one_then_fail)
        with pytest.raises(KeyboardInterrupt):
            make_bundle(home, work / "flow.py", [work / "helper.py"])
    assert list(home.snapshots.iterdir()) == []

    digest, _ = make_bundle(home, work / "flow.py", [work / "helper.py"])
    assert set(_files(home, digest)) == {"flow/flow.py", "flow/helper.py"}


def test_what_a_killed_copy_left_behind_is_no_bundle(home: Home, work: Path) -> None:
    (home.snapshots / ".making-left" / "bundle" / "flow").mkdir(parents=True)

    digest, _ = make_bundle(home, work / "flow.py", [])

    assert set(_files(home, digest)) == {"flow/flow.py"}


def test_a_file_that_changes_while_it_is_copied_is_not_taken_for_the_first(
    home: Home, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change_then_copy(source: Path, target: Path) -> None:
        source.write_text("changed meanwhile")
        shutil.copyfile(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(bundles, "_copy_file", change_then_copy)
        with pytest.raises(BundleError, match="changed while"):
            make_bundle(home, work / "flow.py", [])

    digest, _ = make_bundle(home, work / "flow.py", [])
    assert _files(home, digest) == {"flow/flow.py": "changed meanwhile"}


def test_a_bundle_that_another_made_meanwhile_is_used(
    home: Home, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = make_bundle(Home(work / "another home"), work / "flow.py", [])

    def another_is_faster(source: Path, target: Path) -> None:
        shutil.copyfile(source, target)
        shutil.copytree(work / "another home" / "snapshots" / expected, home.snapshots / expected)

    with monkeypatch.context() as patch:
        patch.setattr(bundles, "_copy_file", another_is_faster)
        digest, _ = make_bundle(home, work / "flow.py", [])

    assert digest == expected
    assert os.listdir(home.snapshots) == [expected]
