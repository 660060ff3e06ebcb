# SPDX-License-Identifier: Apache-2.0
"""Wall time and instants: what a time on a clock face means where clocks are set forward and back.

A wall time names one instant, or none (it is skipped when clocks go forward), or two (it is repeated when
they go back). This module answers which; what to do about it is for ``periods`` to say. The zone of the
machine is the one that ``TZ`` names in any of the forms of POSIX, else the one of ``/etc/localtime``, with
all its rules: its present offset alone would be wrong in the other half of the year.
"""

from __future__ import annotations

import datetime
import io
import os
import struct
import zoneinfo
from functools import lru_cache
from pathlib import Path

#: No zone has ever been shifted by more than a day; two hours more cost nothing.
LONGEST_SHIFT = datetime.timedelta(hours=26)

_LOCAL_TIME = Path("/etc/localtime")
#: What the C library assumes for a summer time without rules.
_DEFAULT_RULES = ",M3.2.0,M11.1.0"
_SECOND = datetime.timedelta(seconds=1)


def zone_named(name: str | None) -> datetime.tzinfo:
    """Return a zone by its name, or the machine's for None."""
    return zoneinfo.ZoneInfo(name) if name is not None else local_zone()


def local_zone() -> datetime.tzinfo:
    """Return the machine's zone with its rules; a process reads it once, as the C library does."""
    return _zone_of_tz(os.environ.get("TZ"))


def wall_time(moment_ms: int, zone: datetime.tzinfo) -> datetime.datetime:
    """Return what the clocks of the zone show, to the second."""
    return datetime.datetime.fromtimestamp(moment_ms // 1000, tz=zone).replace(tzinfo=None)


def shift_around(moment_ms: int, zone: datetime.tzinfo) -> datetime.timedelta:
    """Return by how much clocks are set forward or back near a moment; nothing almost always."""
    moment = datetime.datetime.fromtimestamp(moment_ms // 1000, tz=datetime.timezone.utc)
    around = [(moment + step * LONGEST_SHIFT).astimezone(zone).utcoffset() for step in (-1, 0, 1)]
    known = [offset for offset in around if offset is not None]
    return max(known) - min(known)


def instants_of(wall: datetime.datetime, zone: datetime.tzinfo) -> list[datetime.datetime]:
    """Return the instants (in UTC) at which the clocks show ``wall``: none, one, or two in order."""
    found = {_as_utc(wall, zone, fold) for fold in (0, 1)}
    return sorted(moment for moment in found if moment.astimezone(zone).replace(tzinfo=None, fold=0) == wall)


def end_of_gap(wall: datetime.datetime, zone: datetime.tzinfo) -> datetime.datetime:
    """Return the instant (in UTC) from which on the clocks show more than the skipped time ``wall``."""
    before, after = _as_utc(wall, zone, 1), _as_utc(wall, zone, 0)
    offset = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + datetime.timedelta(seconds=(after - before) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


def _as_utc(wall: datetime.datetime, zone: datetime.tzinfo, fold: int) -> datetime.datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(datetime.timezone.utc)


@lru_cache(maxsize=8)
def _zone_of_tz(value: str | None) -> datetime.tzinfo:
    if value is None:
        return _zone_of_file(_LOCAL_TIME) or datetime.timezone.utc
    name = value.removeprefix(":")
    if not name:
        return datetime.timezone.utc
    if name.startswith("/"):
        return _zone_of_file(Path(name)) or datetime.timezone.utc
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return _zone_of_rules(name) or _zone_of_rules(name + _DEFAULT_RULES) or datetime.timezone.utc


def _zone_of_file(path: Path) -> datetime.tzinfo | None:
    try:
        with path.open("rb") as file:
            return zoneinfo.ZoneInfo.from_file(file, key=str(path))
    except (OSError, ValueError):
        return None


def _zone_of_rules(rules: str) -> datetime.tzinfo | None:
    """Return the zone of a POSIX rule such as ``CET-1CEST,M3.5.0,M10.5.0/3``.

    Only the end of a time zone file is such a rule for Python, so it is wrapped into a file without anything
    else (RFC 8536: a header and one unused type, twice, then the rule).
    """
    header = b"TZif2" + bytes(15) + struct.pack(">6L", 0, 0, 0, 0, 1, 4)
    unused = struct.pack(">lbb", 0, 0, 0) + b"UTC\0"
    try:
        content = 2 * (header + unused) + b"\n" + rules.encode("ascii") + b"\n"
        return zoneinfo.ZoneInfo.from_file(io.BytesIO(content), key=rules)
    except (ValueError, UnicodeEncodeError):
        return None
