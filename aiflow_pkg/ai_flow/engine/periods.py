# SPDX-License-Identifier: Apache-2.0
"""When something periodic is due next: ``cron@`` and ``interval@`` expressions (manual 4.4.1 and 4.8.1).

``interval@<days> <hours> <minutes> <seconds>`` counts from the last tick; all zero means one second, as in
the reference. ``cron@<five fields>`` follows the crontab rules in local time or in the zone given after the
fields, as in ``cron@0 2 * * * Europe/Berlin``. Where clocks change it does what cron(8) does: a line with a
``*`` for the minute or the hour goes by the clock as it runs, so it fires neither at times that are skipped
nor less often in an hour that is repeated. A line of fixed times fires once for each of them: at the end of
the gap for a skipped time, at the first of the two for a repeated one.

The functions are pure: the same input gives the same output wherever the time zone data are the same.
croniter computes with plain wall times only, since its versions differ in what they do where clocks change.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_CRON_FIELDS = 5
_ALIASES = {"@hourly": "0 * * * *"} | dict.fromkeys(
    ("@midnight", "@daily", "@weekly", "@monthly", "@yearly", "@annually"), "0 0 * * *"
)


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

    @property
    def has_fixed_times(self) -> bool:
        """Tell whether the line names its minutes and hours, so that each is to come once a day."""
        words = _ALIASES.get(self.fields, self.fields).split()
        return "*" not in words[0] and "*" not in words[1]

    def next_after(self, moment_ms: int) -> int:
        # Loaded only where something is periodic: together they take a tenth of the start of a run.
        from ai_flow.engine import zones

        zone = zones.zone_named(self.zone)
        # Where an hour is repeated, an earlier wall time may come once more.
        wall = zones.wall_time(moment_ms, zone) - zones.shift_around(moment_ms, zone)
        best: int | None = None
        for due in self._walls_after(wall):
            instants = [int(instant.timestamp()) * 1000 for instant in self._instants(due, zone)]
            if best is not None and instants and instants[0] >= best:
                break
            coming = [instant for instant in instants if instant > moment_ms]
            best = min([*coming, best] if best is not None else coming, default=None)
        assert best is not None
        return best

    def _walls_after(self, wall: datetime.datetime) -> Iterator[datetime.datetime]:
        from croniter import croniter

        times = croniter(self.fields, wall)
        while True:
            yield times.get_next(datetime.datetime)

    def _instants(self, wall: datetime.datetime, zone: datetime.tzinfo) -> list[datetime.datetime]:
        """Return when the line fires for a time on the clock face."""
        from ai_flow.engine import zones

        instants = zones.instants_of(wall, zone)
        if not self.has_fixed_times:
            return instants
        return instants[:1] or [zones.end_of_gap(wall, zone)]


Period = Interval | Cron


@lru_cache(maxsize=256)
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

    from croniter import CroniterError, croniter

    words = text.split()
    alias = bool(words) and words[0].startswith("@")
    wanted = 1 if alias else _CRON_FIELDS
    if len(words) not in (wanted, wanted + 1):
        raise InvalidPeriodError(
            expression, f"a crontab line has five fields and an optional time zone, found {len(words)} words"
        )
    fields, zone = " ".join(words[:wanted]), words[wanted] if len(words) > wanted else None
    if (alias and fields not in _ALIASES) or not croniter.is_valid(fields):
        raise InvalidPeriodError(expression, f"'{fields}' is not a crontab line")
    try:
        croniter(fields, datetime.datetime(2024, 1, 1)).get_next()
    except CroniterError:
        raise InvalidPeriodError(expression, f"'{fields}' never comes") from None
    if zone is not None:
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise InvalidPeriodError(expression, f"'{zone}' is not a known time zone") from None
    return Cron(fields, zone)
