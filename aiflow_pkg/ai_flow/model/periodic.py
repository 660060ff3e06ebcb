# SPDX-License-Identifier: Apache-2.0
"""Whether a periodic expression can be understood, told when the file is loaded.

``cron@`` takes five crontab fields (or a word such as ``@daily``) and an optional time zone; ``interval@``
takes four whole numbers. The grammar is the one of ``ai_flow.engine.periods``, which computes the times. A
file is loaded in the Python of the user, where croniter may be missing: then the shape and the numbers of the
fields are checked here alone, and finer points (a 31st of February) are left to the scheduler.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ai_flow.model.errors import InvalidPeriodicExpressionError

#: What it means for something to be periodic is unclear beyond a century; it also keeps times within 64 bits.
_MAX_INTERVAL_DAYS = 36_525
_CRON_WORDS = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _CronField:
    label: str
    low: int
    high: int
    names: tuple[str, ...] = field(default=())
    extra: str | None = None  # a further form that only this field has

    def fault_of(self, text: str) -> str | None:
        """Return what is wrong with ``text`` as this field, None if nothing."""
        for item in text.lower().split(","):
            if not self._accepts(item):
                return f"{text!r} is not a {self.label} ({self.low}-{self.high})"
        return None

    def _accepts(self, item: str) -> bool:
        if self.extra and re.fullmatch(self.extra, item):
            return True
        span, slash, step = item.partition("/")
        if slash and not (re.fullmatch(r"[0-9]+", step) and int(step) > 0):
            return False
        if span == "*":
            return True
        ends = span.split("-")
        return len(ends) <= 2 and all(self._accepts_value(end) for end in ends)

    def _accepts_value(self, text: str) -> bool:
        if text in self.names:
            return True
        return re.fullmatch(r"[0-9]{1,4}", text) is not None and self.low <= int(text) <= self.high


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_CRON_FIELDS = (
    _CronField(label="minute", low=0, high=59),
    _CronField(label="hour", low=0, high=23),
    _CronField(label="day of the month", low=1, high=31, extra=r"\?|l"),
    _CronField(label="month", low=1, high=12, names=_MONTHS),
    _CronField(
        label="day of the week",
        low=0,
        high=7,
        names=_DAYS,
        extra=r"\?|l?[0-7]|l[a-z]{3}|[0-7a-z]{1,3}#[1-5l]",
    ),
)


def check_periodic_expression(expression: object, task_name: str | None = None) -> str:
    """Return ``expression`` if it is valid; raise ``InvalidPeriodicExpressionError`` with the reason if not.

    >>> check_periodic_expression("cron@*/5 * * * *")
    'cron@*/5 * * * *'
    >>> check_periodic_expression("interval@0 0 10 0")
    'interval@0 0 10 0'
    """
    if not isinstance(expression, str):
        raise InvalidPeriodicExpressionError(
            expression, f"it is not a text but of type {type(expression).__name__}", task_name
        )
    reason = _fault_of(expression)
    if reason is not None:
        raise InvalidPeriodicExpressionError(expression, reason, task_name)
    return expression


def _fault_of(expression: str) -> str | None:
    kind, separator, rest = expression.partition("@")
    if not separator:
        return "it has no '@'"
    if kind == "cron":
        return _fault_of_cron(rest)
    if kind == "interval":
        return _fault_of_interval(rest)
    return f"'{kind}@' is not a known kind"


def _fault_of_interval(text: str) -> str | None:
    items = text.split(" ")
    if len(items) != 4 or not all(re.fullmatch(r"[0-9]*", item) for item in items):
        return "an interval is four whole numbers separated by single spaces"
    days, hours, minutes, seconds = (int(item[:12] or 0) for item in items)
    if days + (hours + (minutes + seconds / 60) / 60) / 24 > _MAX_INTERVAL_DAYS:
        return "it is longer than 100 years"
    return None


def _fault_of_cron(text: str) -> str | None:
    words = text.split()
    if words and words[0].startswith("@"):
        if words[0] not in _CRON_WORDS:
            return f"'{words[0]}' is none of {', '.join(sorted(_CRON_WORDS))}"
        return _fault_of_zone(words[1:])
    if len(words) not in (5, 6) or (len(words) == 6 and not _ZONE.fullmatch(words[5])):
        return f"a crontab line has five fields and an optional time zone, found {len(words)} words"
    for cron_field, word in zip(_CRON_FIELDS, words[:5], strict=True):
        fault = cron_field.fault_of(word)
        if fault is not None:
            return fault
    return _fault_by_croniter(" ".join(words[:5])) or _fault_of_zone(words[5:])


def _fault_of_zone(words: list[str]) -> str | None:
    if not words:
        return None
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(words[0])
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        # A Python without any time zone data knows none; the scheduler, which has some, decides then.
        if len(words) > 1 or zoneinfo.available_timezones():
            return f"'{' '.join(words)}' is not a known time zone"
    return None


def _fault_by_croniter(fields: str) -> str | None:
    try:
        from croniter import croniter
    except ImportError:
        return None
    import datetime

    if not croniter.is_valid(fields):
        return f"'{fields}' is not a crontab line"
    try:
        croniter(fields, datetime.datetime(2024, 1, 1)).get_next()
    except ValueError:
        return f"'{fields}' never comes"
    return None
