# SPDX-License-Identifier: Apache-2.0
"""What a bash or no-op attempt sees, and how its end is told."""

from __future__ import annotations

import os
import stat

import pytest

from ai_flow.executor.attempt import Outcome
from tests.executor.executor_support import Site, is_gone


def test_success_is_reported_with_what_it_used(site: Site) -> None:
    report = site.finish(site.bash("echo hello"))

    assert (report.outcome, report.reason, report.exit_code) == (Outcome.SUCCESS, None, 0)
    assert report.started_at_ms is not None and report.started_at_ms <= report.finished_at_ms
    assert report.max_rss_bytes is not None and report.max_rss_bytes > 1_000_000


@pytest.mark.parametrize("code", [1, 3, 117, 118, 255])
def test_exit_code_is_the_reason(site: Site, code: int) -> None:
    report = site.finish(site.bash(f"exit {code}"))

    assert (report.outcome, report.reason, report.exit_code) == (Outcome.FAILED, f"exit code {code}", code)


def test_signal_is_named(site: Site) -> None:
    report = site.finish(site.bash("kill -9 $$"))

    assert report.outcome is Outcome.FAILED
    assert (report.reason, report.signal) == ("killed by signal 9 (SIGKILL)", 9)


def test_no_op_succeeds_with_an_empty_log(site: Site) -> None:
    spec = site.spec(kind="noop")

    report = site.finish(spec)

    assert report.outcome is Outcome.SUCCESS
    assert spec.log_path.read_bytes() == b""


def test_relative_paths_are_those_of_the_working_copy(site: Site) -> None:
    (site.bundle / "wf" / "data").mkdir()
    (site.bundle / "wf" / "data" / "in.txt").write_text("from the snapshot")
    spec = site.bash("cat data/in.txt > out.txt; pwd")

    site.finish(spec)

    copy = spec.working_dir / "wf"
    assert site.log(spec) == f"{copy}\n"
    assert (copy / "out.txt").read_text() == "from the snapshot"
    assert not (site.bundle / "wf" / "out.txt").exists()


def test_first_tasks_at_once_share_one_copy(site: Site) -> None:
    specs = [site.bash(f"echo {number} >> wf.py", number=number) for number in range(4)]
    for spec in specs:
        site.executor.launch(spec)

    outcomes = {site.report_of(spec).outcome for spec in specs}

    assert outcomes == {Outcome.SUCCESS}
    assert sorted((specs[0].working_dir / "wf" / "wf.py").read_text().split()) == ["0", "1", "2", "3"]
    assert sorted(os.listdir(specs[0].working_dir)) == [".aiflow-store", "wf"]


def test_read_only_snapshot_becomes_a_writable_copy(site: Site) -> None:
    (site.bundle / "wf" / "run.sh").write_text("echo ran")
    (site.bundle / "wf" / "run.sh").chmod(0o555)
    spec = site.bash("./run.sh || bash run.sh; echo more >> run.sh")

    assert site.finish(spec).outcome is Outcome.SUCCESS

    assert stat.S_IMODE((spec.working_dir / "wf" / "run.sh").stat().st_mode) == 0o755


def test_environment_tells_the_task_about_itself(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_OUTSIDE", "kept")
    monkeypatch.setenv("AIFLOW_PARAM_outer", "of another task")
    spec = site.bash(
        "env",
        env={"MINE": "1", "AIFLOW_TASK_NAME": "lie"},
        params={"stage": "te st", "a=b": "odd"},
        try_number=2,
    )

    site.finish(spec)

    seen = dict(line.split("=", 1) for line in site.log(spec).splitlines())
    assert seen["FROM_OUTSIDE"] == "kept"
    assert seen["MINE"] == "1"
    assert seen["AIFLOW_TASK_NAME"] == "t"
    assert seen["AIFLOW_WORKFLOW_NAME"] == "w"
    assert seen["AIFLOW_WORKFLOW_EXECUTION_ID"] == "7"
    assert seen["AIFLOW_SEQUENCE_NUMBER"] == "1"
    assert seen["AIFLOW_TRY_NUMBER"] == "2"
    assert seen["AIFLOW_HOME"] == str(site.home.root)
    assert seen["AIFLOW_TOKEN"] == site.tokens[spec.attempt_id]
    assert seen["AIFLOW_PARAM_stage"] == "te st"
    assert seen["AIFLOW_PARAMS"] == '{"stage": "te st", "a=b": "odd"}'
    assert "AIFLOW_PARAM_outer" not in seen
    assert "PYTHONPATH" not in seen or seen["PYTHONPATH"] == os.environ["PYTHONPATH"]


def test_stdin_is_empty_and_signals_are_as_a_shell_expects(site: Site) -> None:
    spec = site.bash("cat; yes | head -1; grep SigIgn /proc/self/status")

    assert site.finish(spec).outcome is Outcome.SUCCESS

    yes, ignored = site.log(spec).splitlines()
    assert yes == "y"
    # glibc's spawn leaves its own two signals (32 and 33) ignored; no program can tell.
    assert int(ignored.split()[1], 16) & 0x7FFF_FFFF == 0


@pytest.mark.parametrize("is_first", [True, False])
def test_task_inherits_no_file_of_ours(site: Site, is_first: bool) -> None:
    if not is_first:
        site.finish(site.bash("true", number=2))
    spec = site.bash("ls /proc/$$/fd; true")

    site.finish(spec)

    assert set(site.log(spec).split()) - {"255"} == {"0", "1", "2"}


def test_log_is_private_and_has_both_streams_in_order(site: Site) -> None:
    spec = site.bash("echo out; echo err >&2; echo out again")

    site.finish(spec)

    assert site.log(spec) == "out\nerr\nout again\n"
    assert stat.S_IMODE(spec.log_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(spec.log_path.parent.stat().st_mode) == 0o700


def test_output_of_any_bytes_and_size_is_kept(site: Site) -> None:
    spec = site.bash(r"printf '\377\376\000'; head -c 20000000 /dev/zero")

    assert site.finish(spec).outcome is Outcome.SUCCESS

    assert spec.log_path.stat().st_size == 20_000_003
    with spec.log_path.open("rb") as log:
        assert log.read(4) == b"\377\376\0\0"


def test_task_that_cannot_begin_says_why(site: Site) -> None:
    spec = site.bash("true")
    spec.log_path.parent.parent.mkdir(parents=True)
    (spec.log_path.parent.parent / ".aiflow-store").write_text("store-1")
    spec.log_path.parent.write_text("a file where the directory of the log should be")

    report = site.finish(spec)

    assert report.outcome is Outcome.FAILED
    assert report.reason is not None
    assert report.reason.startswith("the task could not be started: ")
    assert str(spec.log_path.parent) in report.reason


def test_second_task_that_cannot_begin_says_why(site: Site) -> None:
    site.finish(site.bash("true"))

    report = site.finish(site.bash("true", number=2, env={"BIG": "x" * 200_000}))

    assert report.reason is not None
    assert "is longer than the system allows" in report.reason


def test_missing_bash_is_named(site: Site) -> None:
    site.finish(site.bash("true"))

    report = site.finish(site.bash("true", number=2, env={"PATH": "/nowhere"}))

    assert report.reason == "the task could not be started: bash was not found on PATH"


def test_leftovers_of_a_finished_task_are_ended_and_noted(site: Site) -> None:
    spec = site.bash(
        "sleep 300 & echo pid $!; (setsid sleep 301 & echo pid $!); "
        "(trap '' TERM; setsid bash -c 'trap \"\" TERM; sleep 302; sleep 303' & echo pid $!)"
    )

    report = site.finish(spec)

    assert report.outcome is Outcome.SUCCESS
    assert len(site.pids_in(spec)) == 3
    assert all(is_gone(pid) for pid in site.pids_in(spec))
    assert "[aiflow] the task's processes outlived it and were ended: " in site.log(spec)
    assert "sleep (pid " in site.log(spec)


def test_leftovers_of_another_task_are_left_alone(site: Site) -> None:
    daemon = site.bash("(setsid sleep 300 & echo pid $!); echo up; sleep 301", number=2)
    site.launch(daemon, until="up")

    site.finish(site.bash("true"))

    assert not any(is_gone(pid) for pid in site.pids_in(daemon))


def test_slots_count_what_runs(site: Site) -> None:
    spec = site.bash("echo up; sleep 300")
    site.launch(spec, until="up")

    assert site.executor.free_slots() == 3
    assert site.executor.running() == [spec.attempt_id]

    site.executor.stop(spec.attempt_id)
    site.report_of(spec)
    assert site.executor.free_slots() == 4


@pytest.mark.slow
def test_usage_of_a_running_task_is_sampled(site: Site) -> None:
    spec = site.bash("sleep 300 & echo up; wait")
    site.launch(spec, until="up")

    usage = site.until(lambda: site.executor.usage(spec.attempt_id))

    assert usage.processes == 2
    assert usage.rss_bytes > 1_000_000


def test_acknowledged_attempt_leaves_no_file(site: Site) -> None:
    spec = site.bash("true")
    site.finish(spec)
    assert os.listdir(site.attempt_files)

    site.executor.acknowledge(spec.attempt_id)

    assert os.listdir(site.attempt_files) == []


def test_second_launch_of_an_attempt_changes_nothing(site: Site) -> None:
    spec = site.bash("echo once")
    site.executor.launch(spec)
    site.executor.launch(spec)

    site.report_of(spec)
    site.executor.launch(spec)
    site.finish(site.bash("true", number=2))

    assert site.log(spec) == "once\n"
    assert [report.attempt_id for report in site.reports].count(spec.attempt_id) == 1


@pytest.mark.parametrize("kind", ["bash", "noop"])
@pytest.mark.parametrize("is_first", [True, False])
def test_revoked_attempt_never_starts(site: Site, kind: str, is_first: bool) -> None:
    if not is_first:
        site.finish(site.bash("true"))
    spec = site.spec(kind=kind, bash_command="echo started", number=2)
    site.executor._directory.files(spec.attempt_id).revoke()

    report = site.finish(spec)

    assert report.superseded
    assert "started" not in site.log(spec)
    site.executor.acknowledge(spec.attempt_id)
    assert site.executor._directory.files(spec.attempt_id).read_marker() == {"revoked": True}


def test_directories_of_an_earlier_store_are_set_aside(site: Site) -> None:
    first = site.bash("echo earlier > result; echo earlier")
    site.finish(first)
    site.drop()

    site.start(store_id="store-2")
    second = site.bash("ls; echo later")
    site.finish(second)

    assert site.log(second) == "wf.py\nlater\n"
    assert sorted(os.listdir(site.home.working_dir / "w")) == ["7", "7.of-store-1"]
    assert (site.home.logs / "w" / "7.of-store-1" / "t" / "1.log").read_text() == "earlier\n"
