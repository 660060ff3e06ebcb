# SPDX-License-Identifier: Apache-2.0
"""When something periodic is due: against an enumerator that looks at every minute.

The enumerator knows nothing of croniter: it has its own reading of the five fields and asks for every
minute of a year whether the clocks show a matching time.
"""

from __future__ import annotations

import datetime
import itertools
import zoneinfo
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_flow.engine.periods import Cron, Interval, InvalidPeriodError, latest_due, parse_period

UTC = datetime.timezone.utc
MINUTE_MS = 60_000

#: Zones with changes of an hour and of half an hour, at midnight, in both halves of the earth, and without.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Asia/Kolkata",
    "Africa/Casablanca",
)
#: A year in which each of them with summer time changed twice.
YEAR = 2018

LINES = (
    "*/30 * * * *",
    "15 * * * *",
    "*/20 0-4 * * *",
    "0 0 * * *",
    "30 1 * * *",
    "0 2 * * *",
    "15 2 * * *",
    "59 2 * * *",
    "0,20,40 1-3 * * *",
    "0 3 * * *",
    "30 23 * * *",
    "0 2 * * 0",
    "0 12 1 * *",
)


def _numbers(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        found.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


class _Line:
    """The fields of a crontab line that the tests use."""

    def __init__(self, text: str) -> None:
        minute, hour, day, month, weekday = text.split()
        self.minutes = _numbers(minute, 0, 59)
        self.hours = _numbers(hour, 0, 23)
        self.days = _numbers(day, 1, 31)
        self.months = _numbers(month, 1, 12)
        self.weekdays = {number % 7 for number in _numbers(weekday, 0, 7)}
        self.is_fixed = "*" not in minute and "*" not in hour

    def matches(self, wall: datetime.datetime) -> bool:
        return (
            wall.minute in self.minutes
            and wall.hour in self.hours
            and wall.day in self.days
            and wall.month in self.months
            and wall.isoweekday() % 7 in self.weekdays
        )


@lru_cache(maxsize=32)
def _minutes_around_changes(zone_name: str) -> list[tuple[int, datetime.datetime]]:
    """Return every minute within two days of a change of the clocks: (instant in ms, wall time)."""
    zone = zoneinfo.ZoneInfo(zone_name)
    begin = datetime.datetime(YEAR, 1, 1, tzinfo=UTC)
    days = [begin + datetime.timedelta(days=number) for number in range(366)]
    shifted = {
        one
        for one, next_day in itertools.pairwise(days)
        if one.astimezone(zone).utcoffset() != next_day.astimezone(zone).utcoffset()
    } or {days[10]}
    near = {day + datetime.timedelta(days=step) for day in shifted for step in (-1, 0, 1)}
    found: list[tuple[int, datetime.datetime]] = []
    for day in sorted(near):
        for number in range(1440):
            moment = day + datetime.timedelta(minutes=number)
            found.append((int(moment.timestamp()) * 1000, moment.astimezone(zone).replace(tzinfo=None)))
    return found


def _expected(line: _Line, zone_name: str) -> list[int]:
    """Enumerate when the line is due around the changes of the clocks."""
    minutes = _minutes_around_changes(zone_name)
    due: list[int] = []
    seen: set[datetime.datetime] = set()
    previous: tuple[int, datetime.datetime] | None = None
    for moment_ms, wall in minutes:
        is_next = previous is not None and moment_ms - previous[0] == MINUTE_MS
        skipped: list[datetime.datetime] = []
        if is_next and previous is not None:
            skipped = [
                previous[1] + datetime.timedelta(minutes=number)
                for number in range(1, (wall - previous[1]) // datetime.timedelta(minutes=1))
            ]
        is_repeated = wall in seen
        seen.add(wall)
        is_due = line.matches(wall) and not (line.is_fixed and is_repeated)
        if is_due or (line.is_fixed and any(line.matches(missing) for missing in skipped)):
            due.append(moment_ms)
        previous = moment_ms, wall
    return due


def _computed(period: Cron, zone_name: str) -> list[int]:
    minutes = [moment_ms for moment_ms, _ in _minutes_around_changes(zone_name)]
    due: list[int] = []
    for begin_ms, end_ms in _stretches(minutes):
        moment_ms = period.next_after(begin_ms - 1)
        while moment_ms <= end_ms:
            due.append(moment_ms)
            moment_ms = period.next_after(moment_ms)
    return due


def _stretches(minutes: list[int]) -> list[tuple[int, int]]:
    breaks = [
        number for number in range(1, len(minutes)) if minutes[number] - minutes[number - 1] != MINUTE_MS
    ]
    edges = [0, *breaks, len(minutes)]
    return [(minutes[low], minutes[high - 1]) for low, high in itertools.pairwise(edges)]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("line", LINES)
def test_a_crontab_line_is_due_when_the_clocks_say_so_also_where_they_change(line: str, zone: str) -> None:
    period = parse_period(f"cron@{line} {zone}")
    assert isinstance(period, Cron)

    assert _computed(period, zone) == _expected(_Line(line), zone)


@pytest.mark.parametrize(
    ("line", "due"),
    [
        ("30 2 * * *", ["30 03:00 +0200", "31 02:30 +0200"]),
        ("15 * * * *", ["30 00:15 +0100", "30 01:15 +0100", "30 03:15 +0200", "30 04:15 +0200"]),
        ("@hourly", ["30 00:00 +0100", "30 01:00 +0100", "30 03:00 +0200", "30 04:00 +0200"]),
        ("@daily", ["30 00:00 +0100", "31 00:00 +0200"]),
        ("0,20,40 2 * * *", ["30 03:00 +0200", "31 02:00 +0200", "31 02:20 +0200"]),
    ],
)
def test_where_an_hour_is_skipped(line: str, due: list[str]) -> None:
    """Berlin, 30 March 2025: after 01:59 comes 03:00. Fixed times come at the end of the gap, and once."""
    assert _due_after(line, "Europe/Berlin", (2025, 3, 29, 23, 30), len(due)) == due


@pytest.mark.parametrize(
    ("line", "due"),
    [
        ("30 2 * * *", ["26 02:30 +0200", "27 02:30 +0100"]),
        (
            "30 * * * *",
            ["26 00:30 +0200", "26 01:30 +0200", "26 02:30 +0200", "26 02:30 +0100", "26 03:30 +0100"],
        ),
        ("0 3 * * *", ["26 03:00 +0100", "27 03:00 +0100"]),
    ],
)
def test_where_an_hour_is_repeated(line: str, due: list[str]) -> None:
    """Berlin, 26 October 2025: after 02:59 comes 02:00. A line with ``*`` goes by the clock as it runs."""
    assert _due_after(line, "Europe/Berlin", (2025, 10, 25, 23, 50), len(due)) == due


def test_where_a_midnight_and_where_a_whole_day_is_skipped() -> None:
    midnight = ["03 00:00 -0300", "04 01:00 -0200", "05 00:00 -0200"]
    assert _due_after("0 0 * * *", "America/Sao_Paulo", (2018, 11, 2, 12, 0), 3) == midnight
    day = ["29 12:00 -1000", "31 00:00 +1400", "31 12:00 +1400"]
    assert _due_after("0 12 * * *", "Pacific/Apia", (2011, 12, 28, 13, 0), 3) == day


@pytest.mark.parametrize(
    ("line", "begin", "due"),
    [
        ("0 9 * * mon-fri", (2024, 3, 1, 10, 0), (2024, 3, 4, 9, 0)),
        ("0 9 * * SUN", (2024, 3, 1, 10, 0), (2024, 3, 3, 9, 0)),
        ("0 9 * * 0", (2024, 3, 1, 10, 0), (2024, 3, 3, 9, 0)),
        ("0 9 * * 7", (2024, 3, 1, 10, 0), (2024, 3, 3, 9, 0)),
        ("0 0 1 jan *", (2024, 3, 1, 10, 0), (2025, 1, 1, 0, 0)),
        ("0 0 29 2 *", (2024, 3, 1, 10, 0), (2028, 2, 29, 0, 0)),
        ("0 0 13 * 5", (2024, 3, 1, 10, 0), (2024, 3, 8, 0, 0)),
        ("@monthly", (2024, 3, 1, 10, 0), (2024, 4, 1, 0, 0)),
        ("@weekly", (2024, 3, 1, 10, 0), (2024, 3, 3, 0, 0)),
        ("@yearly", (2024, 3, 1, 10, 0), (2025, 1, 1, 0, 0)),
        ("@midnight", (2024, 3, 1, 10, 0), (2024, 3, 2, 0, 0)),
    ],
)
def test_crontab_lines_with_names_and_words(line: str, begin: tuple[int, ...], due: tuple[int, ...]) -> None:
    period = parse_period(f"cron@{line} UTC")

    assert period.next_after(_ms(begin)) == _ms(due)


def test_the_next_time_is_always_later() -> None:
    period = parse_period("cron@*/5 * * * * UTC")
    due_ms = _ms((2024, 3, 1, 10, 0))

    assert period.next_after(due_ms) == due_ms + 5 * MINUTE_MS
    assert period.next_after(due_ms - 1) == due_ms
    assert period.next_after(due_ms + 1) == due_ms + 5 * MINUTE_MS


@pytest.mark.parametrize(
    ("expression", "every_s"),
    [
        ("interval@0 0 10 0", 600),
        ("interval@1 2 3 4", 93_784),
        ("interval@0 0 0 90", 90),
        ("interval@   5", 5),
        ("interval@ 1  ", 3600),
        ("interval@0 0 0 0", 1),
        ("interval@   ", 1),
    ],
)
def test_intervals(expression: str, every_s: int) -> None:
    period = parse_period(expression)

    assert period == Interval(every_s * 1000)
    assert period.next_after(5) == 5 + every_s * 1000


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "it has no '@'"),
        ("0 * * * *", "it has no '@'"),
        ("interval0 0 10 0", "it has no '@'"),
        ("date@2024-01-01", "'date@' is not a known kind"),
        ("cron@", "found 0 words"),
        ("cron@* * * *", "found 4 words"),
        ("cron@* * * * * * *", "found 7 words"),
        ("cron@60 * * * *", "'60 * * * *' is not a crontab line"),
        ("cron@* * * * someday", "is not a crontab line"),
        ("cron@0 0 31 2 *", "'0 0 31 2 *' never comes"),
        ("cron@@reboot", "'@reboot' is not a crontab line"),
        ("cron@0 0 * * * Mars/Olympus", "'Mars/Olympus' is not a known time zone"),
        ("cron@0 0 * * * ../../etc/passwd", "is not a known time zone"),
        ("cron@@daily Mars/Olympus", "'Mars/Olympus' is not a known time zone"),
        ("interval@0 0 10", "four whole numbers"),
        ("interval@0 0 10 0 0", "four whole numbers"),
        ("interval@0 0 -1 0", "four whole numbers"),
        ("interval@0 0 1.5 0", "four whole numbers"),
        ("interval@0  0 10 0", "four whole numbers"),
        ("interval@0 0 ten 0", "four whole numbers"),
    ],
)
def test_an_expression_that_means_nothing_is_refused_with_the_reason(expression: str, reason: str) -> None:
    with pytest.raises(InvalidPeriodError) as refused:
        parse_period(expression)

    assert reason in str(refused.value)
    assert repr(expression) in str(refused.value)
    assert "cron@0 * * * *" in str(refused.value), "the message shows how to write it"


@given(every_s=st.integers(1, 100_000), late_ms=st.integers(0, 10_000_000), due_ms=st.integers(0, 2**41))
def test_the_latest_due_time_of_an_interval(every_s: int, late_ms: int, due_ms: int) -> None:
    period, now_ms = Interval(every_s * 1000), due_ms + late_ms

    latest = latest_due(period, due_ms, now_ms)

    assert latest <= now_ms < latest + period.every_ms
    assert (latest - due_ms) % period.every_ms == 0


@pytest.mark.parametrize("line", ["* * * * *", "*/7 * * * *", "0 3 * * *", "30 2 * * *", "0 0 1 * *"])
@pytest.mark.parametrize("late_minutes", [0, 1, 6, 61, 1500])
def test_the_latest_due_time_of_a_crontab_line(line: str, late_minutes: int) -> None:
    period = parse_period(f"cron@{line} Europe/Berlin")
    due_ms = period.next_after(_ms((2025, 3, 28, 1, 0)))
    now_ms = due_ms + late_minutes * MINUTE_MS + 17

    walked = due_ms
    while (following := period.next_after(walked)) <= now_ms:
        walked = following

    assert latest_due(period, due_ms, now_ms) == walked


def _due_after(line: str, zone: str, begin: tuple[int, ...], count: int) -> list[str]:
    tz = zoneinfo.ZoneInfo(zone)
    period = parse_period(f"cron@{line} {zone}")
    moment_ms = int(datetime.datetime(*begin, tzinfo=tz).timestamp()) * 1000  # type: ignore[arg-type,misc]
    found: list[str] = []
    for _ in range(count):
        moment_ms = period.next_after(moment_ms)
        found.append(datetime.datetime.fromtimestamp(moment_ms / 1000, tz=tz).strftime("%d %H:%M %z"))
    return found


def _ms(moment: tuple[int, ...]) -> int:
    return int(datetime.datetime(*moment, tzinfo=UTC).timestamp()) * 1000  # type: ignore[arg-type,misc]
