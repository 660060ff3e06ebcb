# SPDX-License-Identifier: Apache-2.0
"""What holds for every test of the suite.

A test leaves no process, thread or file descriptor behind, never touches the home of the person who
runs it, and does not depend on the order: each run shuffles the tests with a seed that the header names
and ``AIFLOW_TEST_ORDER`` repeats (``off`` keeps the order of the files). A test that takes whole
processes or seconds is marked ``slow``; all others are marked ``unit`` here, and the summary tells what
the two kinds took.
"""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.leaks import GRACE_S, end_processes, take_snapshot, wait_for_no_leaks

ORDER_VARIABLE = "AIFLOW_TEST_ORDER"

#: The largest time that a test may take in its own phases and still count as a unit test.
UNIT_LIMIT_S = 2.0

#: Parts of the suite that are all real processes or long searches; elsewhere a test says so itself.
SLOW_PARTS = (
    "architecture",
    "cli",
    "engine/test_periods.py",
    "examples",
    "executor",
    "manual",
    "operators/test_child_process.py",
    "operators/test_flink.py",
    "ops/test_inside_task.py",
    "ops/test_uploads.py",
    "scheduler/test_any_interleaving.py",
    "server",
)

_call_passed = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    # The workers of xdist inherit the seed: all of them have to collect in the same order.
    os.environ.setdefault(ORDER_VARIABLE, str(random.SystemRandom().randrange(10_000)))


def pytest_report_header(config: pytest.Config) -> str:
    return f"order of the tests: {ORDER_VARIABLE}={os.environ[ORDER_VARIABLE]}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow_parts = tuple(str(Path(__file__).parent / part) for part in SLOW_PARTS)
    for item in items:
        is_slow = "slow" in item.keywords or str(item.path).startswith(slow_parts)
        item.add_marker("slow" if is_slow else "unit")
    if (seed := os.environ[ORDER_VARIABLE]) != "off":
        _shuffle(items, seed)


def _shuffle(items: list[pytest.Item], seed: str) -> None:
    """Shuffle the files, and the tests within each: so a fixture of a file is still made only once."""
    draw = random.Random(seed)
    files = sorted({str(item.path) for item in items})
    draw.shuffle(files)
    position = {file: number for number, file in enumerate(files)}
    order = {item.nodeid: (position[str(item.path)], draw.random()) for item in items}
    items.sort(key=lambda item: order[item.nodeid])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_call_passed] = report.passed
    return report


@pytest.fixture(scope="session", autouse=True)
def _a_home_of_the_tests_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the home and the task environment of whoever runs the tests out of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("AIFLOW_") and n != ORDER_VARIABLE]:
            patch.delenv(name)
        patch.setenv("AIFLOW_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a process, a thread or an open file descriptor.

    Fixtures of a wider scope are set up before this one, so what they hold open is not counted.
    """
    before = take_snapshot()
    yield
    # After a failure the traceback itself keeps things open: one report of it is enough.
    passed = request.node.stash.get(_call_passed, False)
    leaks = wait_for_no_leaks(before, GRACE_S if passed else 0.0)
    end_processes(leaks)
    if leaks and passed:
        pytest.fail("The test left behind:\n  " + "\n  ".join(leaks.describe()), pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    took: dict[str, float] = {}
    kind: dict[str, str] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                took[report.nodeid] = took.get(report.nodeid, 0.0) + report.duration
                kind[report.nodeid] = "slow" if "slow" in report.keywords else "unit"
    for name in ("unit", "slow"):
        tests = [nodeid for nodeid in took if kind[nodeid] == name]
        total_s = sum(took[nodeid] for nodeid in tests)
        terminalreporter.write_line(
            f"{name}: {len(tests)} tests took {total_s:.1f} s, summed over the workers"
        )
        if name == "unit":
            for nodeid in (n for n in tests if took[n] > UNIT_LIMIT_S):
                terminalreporter.write_line(
                    f"  {nodeid} took {took[nodeid]:.1f} s: mark it slow, or make it fast"
                )
