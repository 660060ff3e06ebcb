# SPDX-License-Identifier: Apache-2.0
"""The zone of the machine, in every form in which ``TZ`` can name it."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_flow.engine import zones
from ai_flow.engine.periods import parse_period

BERLIN = Path("/usr/share/zoneinfo/Europe/Berlin")


@pytest.fixture(autouse=True)
def _fresh_zone() -> Iterator[None]:
    zones._zone_of_tz.cache_clear()  # pyright: ignore[reportPrivateUsage]
    yield
    zones._zone_of_tz.cache_clear()  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    "tz",
    [
        "",
        "UTC",
        "UTC0",
        "Europe/Berlin",
        ":Europe/Berlin",
        "America/New_York",
        "EST5EDT",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "AEST-10AEDT,M10.1.0,M4.1.0/3",
        "<+0330>-3:30",
        pytest.param(str(BERLIN), marks=pytest.mark.skipif(not BERLIN.exists(), reason="no zone files here")),
    ],
)
@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the C library cannot be asked")
def test_the_zone_agrees_with_the_c_library(tz: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", tz)
    moments = [1_700_000_000 + day * 86_400 for day in range(0, 800, 5)]
    expected = _offsets_by_the_c_library(tz, moments)

    zone = zones.local_zone()

    found = [datetime.datetime.fromtimestamp(moment, tz=zone).utcoffset() for moment in moments]
    assert [offset.total_seconds() for offset in found if offset is not None] == expected


def test_a_name_that_means_nothing_is_utc_as_for_the_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Mars/Olympus")

    assert datetime.datetime(2025, 7, 1, tzinfo=zones.local_zone()).utcoffset() == datetime.timedelta(0)


def test_a_summer_time_without_rules_has_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it begins and ends is not said; the C library assumes the days of North America."""
    monkeypatch.setenv("TZ", "CET-1CEST")

    offsets = [datetime.datetime(2025, month, 20, tzinfo=zones.local_zone()).utcoffset() for month in (1, 7)]

    assert offsets == [datetime.timedelta(hours=1), datetime.timedelta(hours=2)]


def test_without_a_name_the_zone_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    if not Path("/etc/localtime").exists():
        assert zones.local_zone() is datetime.timezone.utc
        return

    moment = datetime.datetime(2025, 7, 1, tzinfo=datetime.timezone.utc)
    assert moment.astimezone(zones.local_zone()).utcoffset() == moment.astimezone().utcoffset()


def test_a_crontab_line_without_a_zone_follows_the_local_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    winter = int(datetime.datetime(2025, 1, 10, tzinfo=datetime.timezone.utc).timestamp()) * 1000
    summer = int(datetime.datetime(2025, 7, 10, tzinfo=datetime.timezone.utc).timestamp()) * 1000

    local, named = parse_period("cron@0 2 * * *"), parse_period("cron@0 2 * * * Europe/Berlin")

    for moment_ms in (winter, summer):
        assert local.next_after(moment_ms) == named.next_after(moment_ms)
    assert local.next_after(winter) - winter != local.next_after(summer) - summer


def _offsets_by_the_c_library(tz: str, moments: list[int]) -> list[float]:
    """Ask in a process of its own: the zone of this one must not change under the other tests."""
    script = "import sys, time; print([float(time.localtime(int(m)).tm_gmtoff) for m in sys.argv[1:]])"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, *map(str, moments)],
        env={**os.environ, "TZ": tz},
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(item) for item in result.stdout.strip()[1:-1].split(",")]
