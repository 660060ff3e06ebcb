# SPDX-License-Identifier: Apache-2.0
"""The options that every operator understands, read from its keyword arguments and checked.

An operator keeps all its keyword arguments in ``config``; those named here have a meaning. ``TaskOptions`` is
what the scheduler goes by. Other keyword arguments are kept and not looked at, as operators of users may have
their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeGuard, cast

from ai_flow.model.errors import InvalidOptionError
from ai_flow.model.periodic import check_periodic_expression

#: aiflow tells its task processes who they are by variables that begin so.
_RESERVED_PREFIX = "AIFLOW_"
#: So that no product of a delay and a power of the backoff leaves the range of numbers.
_MAX_RETRIES = 1_000_000
_MAX_BACKOFF = 1_000.0
_MAX_SECONDS = 36_525 * 86_400.0

_DURATION = "a number of seconds or a timedelta"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """How a task is run; durations in seconds.

    ``retries`` is how often a failed run is tried again. The wait before the second try is ``retry_delay``,
    before each further one ``retry_backoff`` times the last, but never more than ``retry_max_delay``.
    ``timeout`` ends a try that takes longer. ``env`` is added to the environment of the task's process.
    """

    retries: int = 0
    retry_delay: float = 0.0
    retry_backoff: float = 1.0
    retry_max_delay: float | None = None
    timeout: float | None = None
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    periodic_expression: str | None = None


def read_options(task_name: str, config: Mapping[str, object]) -> TaskOptions:
    """Return the options among keyword arguments; raise ``InvalidOptionError`` for a wrong one."""
    reader = _Reader(task_name, config)
    periodic = config.get("periodic_expression")
    return TaskOptions(
        retries=reader.retries(),
        retry_delay=reader.duration("retry_delay") or 0.0,
        retry_backoff=reader.backoff(),
        retry_max_delay=reader.duration("retry_max_delay"),
        timeout=reader.timeout(),
        env=reader.env(),
        periodic_expression=None if periodic is None else check_periodic_expression(periodic, task_name),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    task_name: str
    config: Mapping[str, object]

    def retries(self) -> int:
        value = self.config.get("retries", 0)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_RETRIES:
            raise self._wrong("retries", f"a whole number from 0 to {_MAX_RETRIES}")
        return value

    def backoff(self) -> float:
        value = self.config.get("retry_backoff", 1.0)
        if not _is_number(value) or not 1.0 <= value <= _MAX_BACKOFF:
            raise self._wrong("retry_backoff", f"a number from 1 to {_MAX_BACKOFF:.0f}")
        return float(value)

    def timeout(self) -> float | None:
        seconds = self.duration("timeout")
        if seconds == 0:
            raise self._wrong("timeout", f"{_DURATION} above zero")
        return seconds

    def duration(self, option: str) -> float | None:
        value = self.config.get(option)
        if value is None:
            return None
        seconds: object = value.total_seconds() if isinstance(value, timedelta) else value
        if not _is_number(seconds) or not 0 <= seconds <= _MAX_SECONDS:
            raise self._wrong(option, f"{_DURATION}, zero or more and at most 100 years")
        return float(seconds)

    def env(self) -> dict[str, str]:
        value = self.config.get("env")
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self._wrong("env", "a mapping of names to texts")
        return {
            self._variable(name): self._text(name, text)
            for name, text in cast("Mapping[object, object]", value).items()
        }

    def _variable(self, name: object) -> str:
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise InvalidOptionError(self.task_name, "a name in env", name, "a text without '='")
        if name.startswith(_RESERVED_PREFIX):
            raise InvalidOptionError(
                self.task_name,
                "a name in env",
                name,
                f"one that does not begin with {_RESERVED_PREFIX}: aiflow sets those",
            )
        return str.__str__(name)

    def _text(self, name: object, text: object) -> str:
        # The value is not shown: it may be a password.
        if not isinstance(text, str):
            raise InvalidOptionError(self.task_name, f"env[{name!r}]", type(text), "a text")
        if "\0" in text:
            raise InvalidOptionError(self.task_name, f"env[{name!r}]", "\0", "a text without zero characters")
        return str.__str__(text)

    def _wrong(self, option: str, wanted: str) -> InvalidOptionError:
        return InvalidOptionError(self.task_name, option, self.config.get(option), wanted)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
