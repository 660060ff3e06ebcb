# SPDX-License-Identifier: Apache-2.0
"""Stops and timeouts: who is told, who is killed, and that nobody is left when it is reported."""

from __future__ import annotations

import time

from ai_flow.executor.attempt import Outcome
from tests.executor.executor_support import Site, is_gone

_IGNORES_TERM = "trap '' TERM; echo up; while :; do read -t 0.05 < <(:) ; done"


def test_stop_tells_the_whole_group_of_a_bash_task(site: Site) -> None:
    spec = site.bash("trap 'echo bye; exit 0' TERM; sleep 300 & echo pid $!; echo up; wait")
    site.launch(spec, until="up")

    site.executor.stop(spec.attempt_id)
    report = site.report_of(spec)

    assert (report.outcome, report.reason) == (Outcome.STOPPED, None)
    assert "bye" in site.log(spec)
    assert all(is_gone(pid) for pid in site.pids_in(spec))


def test_task_that_ignores_sigterm_is_killed_after_the_grace(site: Site) -> None:
    spec = site.bash(_IGNORES_TERM, stop_grace_s=0.2)
    pid = site.launch(spec, until="up")

    site.executor.stop(spec.attempt_id)
    report = site.report_of(spec)

    assert (report.outcome, report.signal) == (Outcome.STOPPED, 9)
    assert is_gone(pid)


def test_stop_at_once_waits_for_no_grace(site: Site) -> None:
    spec = site.bash(_IGNORES_TERM, stop_grace_s=60.0)
    site.launch(spec, until="up")
    started = time.monotonic()

    site.executor.stop(spec.attempt_id)
    site.executor.stop(spec.attempt_id, at_once=True)
    report = site.report_of(spec)

    assert report.outcome is Outcome.STOPPED
    assert time.monotonic() - started < 5


def test_stop_asked_again_and_again_does_not_begin_the_grace_anew(site: Site) -> None:
    spec = site.bash(_IGNORES_TERM, stop_grace_s=0.5)
    pid = site.launch(spec, until="up")

    def stop_again() -> bool:
        site.executor.stop(spec.attempt_id)
        return is_gone(pid)

    site.until(stop_again)

    assert site.report_of(spec).outcome is Outcome.STOPPED


def test_stop_reaches_daemons_in_sessions_of_their_own(site: Site) -> None:
    spec = site.bash(
        "(setsid bash -c 'trap \"\" TERM; echo pid $$; sleep 300; sleep 300' &); echo up; sleep 300",
        stop_grace_s=0.2,
    )
    site.launch(spec, until="up")
    site.until(lambda: site.pids_in(spec))

    site.executor.stop(spec.attempt_id)
    report = site.report_of(spec)

    assert report.outcome is Outcome.STOPPED
    assert all(is_gone(pid) for pid in site.pids_in(spec))


def test_timeout_is_a_failure_that_says_so(site: Site) -> None:
    spec = site.bash("sleep 300", timeout_s=0.1)

    report = site.finish(spec)

    assert (report.outcome, report.reason) == (Outcome.FAILED, "timed out after 0.1 s")


def test_stop_after_a_timeout_does_not_change_the_reason(site: Site) -> None:
    spec = site.bash(
        "trap 'echo told' TERM; echo up; while :; do sleep 0.01; done", timeout_s=0.1, stop_grace_s=60
    )
    site.launch(spec, until="told")

    site.executor.stop(spec.attempt_id, at_once=True)

    assert site.report_of(spec).reason == "timed out after 0.1 s"


def test_task_that_ends_before_its_timeout_is_not_touched(site: Site) -> None:
    assert site.finish(site.bash("true", timeout_s=0.5)).outcome is Outcome.SUCCESS


def test_stop_right_after_launch_ends_it(site: Site) -> None:
    spec = site.bash("sleep 300")
    site.executor.launch(spec)

    site.executor.stop(spec.attempt_id)

    assert site.report_of(spec).outcome is Outcome.STOPPED


def test_stop_of_what_does_not_run_is_nothing(site: Site) -> None:
    spec = site.bash("true")
    site.executor.stop(spec.attempt_id)
    site.finish(spec)

    site.executor.stop(spec.attempt_id)

    assert len(site.reports) == 1


def test_stop_all_ends_everything(site: Site) -> None:
    specs = [site.bash("echo up; sleep 300", number=number) for number in range(3)]
    for spec in specs:
        site.launch(spec, until="up")

    site.executor.stop_all(at_once=True)

    assert {site.report_of(spec).outcome for spec in specs} == {Outcome.STOPPED}
    assert site.executor.running() == []


def test_close_leaves_no_process_of_a_task(site: Site) -> None:
    spec = site.bash("(setsid sleep 300 & echo pid $!); echo up; sleep 300")
    pid = site.launch(spec, until="up")

    site.drop()

    assert is_gone(pid)
    assert all(is_gone(pid) for pid in site.pids_in(spec))
