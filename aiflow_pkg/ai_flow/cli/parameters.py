# SPDX-License-Identifier: Apache-2.0
"""Types of options that several commands take; a wrong value is answered with what to write instead."""

from __future__ import annotations

import math

import click

#: A century: more is a slip of the finger, and overflows timers.
_LONGEST_S = 100 * 365 * 86400.0


class Seconds(click.ParamType):
    """A number of seconds, such as 30 or 0.5."""

    name = "seconds"

    def __init__(self, *, zero: bool = False) -> None:
        self._zero = zero

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """Return the seconds; fail with a sentence for everything else."""
        try:
            seconds = float(str(value))
        except ValueError:
            self.fail(f"'{value}' is not a number of seconds: write for example 30 or 0.5.", param, ctx)
        if math.isnan(seconds) or seconds < 0 or (seconds == 0 and not self._zero) or seconds > _LONGEST_S:
            least = "0 or more" if self._zero else "more than 0"
            self.fail(
                f"'{value}' is out of range: it must be {least} seconds, at most 100 years.", param, ctx
            )
        return seconds
