# SPDX-License-Identifier: Apache-2.0
"""When something periodic is due next: ``cron@`` and ``interval@`` expressions (manual 4.4.1 and 4.8.1).

``cron@<five fields>`` follows the crontab rules in local time or in the zone given after the fields, as in
``cron@0 2 * * * Europe/Berlin``. Across a change to summer time croniter fires a skipped time at the next
existing one; a repeated time fires once. ``interval@<days> <hours> <minutes> <seconds>`` counts from the last
tick; all zero means one second, as in the reference. The functions are pure: the same input gives the same
output on every machine with the same time zone data.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

_CRON_FIELDS = 5


class InvalidPeriodError(ValueError):
    """A periodic expression cannot be understood."""

    def __init__(self, expression: str, reason: str) -> None:
        super().__init__(
            f"The periodic expression {expression!r} is not valid: {reason}. Write 'cron@' with five crontab "
            "fields, such as 'cron@0 * * * *', or 'interval@' with days, hours, minutes and seconds, such as "
            "'interval@0 0 10 0'."
        )


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so many milliseconds."""

    every_ms: int

    def next_after(self, moment_ms: int) -> int:
        return moment_ms + self.every_ms


@dataclass(frozen=True, slots=True)
class Cron:
    """At the times of a crontab line, in ``zone`` (None: the zone of the machine)."""

    fields: str
    zone: str | None

    def next_after(self, moment_ms: int) -> int:
        # Loaded only where something is periodic: together they take a tenth of the start of a run.
        import zoneinfo

        from croniter import croniter

        zone = zoneinfo.ZoneInfo(self.zone) if self.zone else _local_zone()
        start = datetime.datetime.fromtimestamp(moment_ms / 1000, tz=zone)
        due = croniter(self.fields, start).get_next(datetime.datetime)
        return int(due.timestamp() * 1000)


Period = Interval | Cron


def parse_period(expression: str) -> Period:
    """Parse an expression; raise ``InvalidPeriodError`` with the reason when it means nothing."""
    head, separator, rest = expression.partition("@")
    if not separator:
        raise InvalidPeriodError(expression, "it has no '@'")
    if head == "interval":
        return _parse_interval(expression, rest)
    if head == "cron":
        return _parse_cron(expression, rest)
    raise InvalidPeriodError(expression, f"'{head}@' is not a known kind")


def latest_due(period: Period, due_ms: int, now_ms: int) -> int:
    """Return the last due time that is not after ``now_ms``, given that ``due_ms`` is one.

    This is the misfire policy ``latest``: of the ticks missed while nobody was there, only the last one
    counts.
    """
    if isinstance(period, Interval):
        return due_ms + (now_ms - due_ms) // period.every_ms * period.every_ms
    # A cron line fires at most once a minute: step back from now until a due time is found.
    latest, step_ms = due_ms, 60_000
    while True:
        candidate = period.next_after(max(due_ms, now_ms - step_ms) - 1)
        while candidate <= now_ms:
            latest = max(latest, candidate)
            candidate = period.next_after(candidate)
        if latest > due_ms or now_ms - step_ms <= due_ms:
            return latest
        step_ms *= 8


def _parse_interval(expression: str, text: str) -> Interval:
    items = text.split(" ")
    if len(items) != 4 or not all(re.fullmatch(r"\d*", item) for item in items):
        raise InvalidPeriodError(expression, "an interval is four whole numbers separated by single spaces")
    days, hours, minutes, seconds = (int(item or 0) for item in items)
    total_s = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return Interval((total_s or 1) * 1000)


def _parse_cron(expression: str, text: str) -> Cron:
    import zoneinfo

    from croniter import croniter

    words = text.split()
    alias = bool(words) and words[0].startswith("@")
    wanted = 1 if alias else _CRON_FIELDS
    if len(words) not in (wanted, wanted + 1):
        raise InvalidPeriodError(
            expression, f"a crontab line has five fields and an optional time zone, found {len(words)} words"
        )
    fields, zone = " ".join(words[:wanted]), words[wanted] if len(words) > wanted else None
    if not croniter.is_valid(fields):
        raise InvalidPeriodError(expression, f"'{fields}' is not a crontab line")
    if zone is not None:
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            raise InvalidPeriodError(expression, f"'{zone}' is not a known time zone") from None
    return Cron(fields, zone)


def _local_zone() -> datetime.tzinfo:
    """Return the machine's zone with its rules, so that a change to summer time is seen."""
    import os
    import zoneinfo
    from pathlib import Path

    name = os.environ.get("TZ", "").lstrip(":")
    if name:
        try:
            return zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            pass
    try:
        with Path("/etc/localtime").open("rb") as file:
            return zoneinfo.ZoneInfo.from_file(file, key="localtime")
    except (OSError, ValueError):
        zone = datetime.datetime.now().astimezone().tzinfo
        return zone or datetime.timezone.utc
