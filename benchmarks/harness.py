# SPDX-License-Identifier: Apache-2.0
"""What every benchmark needs: percentiles, interleaved pairs, and a table.

A machine that others use, too, changes its speed from second to second. So two ways are never timed one
after the other, but in turns of a fraction of a second, and what is reported is the median of the ratios of
the pairs with the interval in which the true median lies at 95 %.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    begin_s = time.perf_counter()
    work()
    return time.perf_counter() - begin_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """The times of two ways, taken in turns."""

    ours_s: list[float]
    raw_s: list[float]

    @property
    def ratio(self) -> float:
        """How many times as long as the raw way ours takes, in the median pair."""
        return statistics.median(self._ratios())

    @property
    def interval(self) -> tuple[float, float]:
        """The interval that holds the true median of the ratios with a probability of 95 %."""
        ordered = sorted(self._ratios())
        half = 0.98 * math.sqrt(len(ordered))
        low = max(0, math.floor(len(ordered) / 2 - half))
        high = min(len(ordered) - 1, math.ceil(len(ordered) / 2 + half))
        return ordered[low], ordered[high]

    def _ratios(self) -> list[float]:
        return [ours / raw for ours, raw in zip(self.ours_s, self.raw_s, strict=True)]


def interleave(
    ours: Callable[[], object], raw: Callable[[], object], *, pairs: int, warm_up: int = 2
) -> Pairs:
    """Time both ways in turns; which comes first changes with each pair."""
    result = Pairs(ours_s=[], raw_s=[])
    for number in range(-warm_up, pairs):
        if number % 2:
            raw_s, ours_s = seconds_of(raw), seconds_of(ours)
        else:
            ours_s, raw_s = seconds_of(ours), seconds_of(raw)
        if number >= 0:
            result.ours_s.append(ours_s)
            result.raw_s.append(raw_s)
    return result


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns, numbers to the right."""
    lines = [[str(cell) for cell in row] for row in [headings, *rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for number, line in enumerate(lines):
        first = line[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        print("  ".join([first, *rest]).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
