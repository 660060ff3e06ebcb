# SPDX-License-Identifier: Apache-2.0
"""Which periodic expressions are understood, with and without croniter at hand."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_flow.engine.periods import parse_period
from ai_flow.model.errors import InvalidPeriodicExpressionError
from ai_flow.model.periodic import check_periodic_expression

VALID = [
    "cron@*/1 * * * *",
    "cron@0 * * * *",
    "cron@0,30 9-17 1,15 jan-jun mon-fri",
    "cron@5/10 */2 * JAN Sun",
    "cron@0 0 * * 7",
    "cron@0 0 l * *",
    "cron@0 0 * * 5#3",
    "cron@0 2 * * * Europe/Berlin",
    "cron@0 2 * * * UTC",
    "cron@@daily",
    "interval@0 0 10 0",
    "interval@1 0 0 0",
    "interval@0 0 0 0",
    "interval@0  10 0",
    "interval@   30",
]
INVALID = [
    ("", "it has no '@'"),
    ("every day", "it has no '@'"),
    ("interval0 0 10 0", "it has no '@'"),
    ("crontab@0 * * * *", "'crontab@' is not a known kind"),
    ("@daily", "'@' is not a known kind"),
    ("cron@", "found 0 words"),
    ("cron@* * * *", "found 4 words"),
    ("cron@0 0 * * * *", "found 6 words"),
    ("cron@0 0 * * * UTC more", "found 7 words"),
    ("cron@60 * * * *", "'60' is not a minute (0-59)"),
    ("cron@* 24 * * *", "'24' is not a hour (0-23)"),
    ("cron@* * 0 * *", "'0' is not a day of the month (1-31)"),
    ("cron@* * 32 * *", "'32' is not a day of the month (1-31)"),
    ("cron@* * * 13 *", "'13' is not a month (1-12)"),
    ("cron@* * * * 8", "'8' is not a day of the week (0-7)"),
    ("cron@*/0 * * * *", "is not a minute"),
    ("cron@1- * * * *", "is not a minute"),
    ("cron@1,,2 * * * *", "is not a minute"),
    ("cron@a * * * *", "is not a minute"),
    ("cron@-1 * * * *", "is not a minute"),
    ("cron@* * * foo *", "is not a month"),
    ("cron@@sometimes", "'@sometimes' is none of"),
    ("cron@0 0 * * * Moon/Base", "'Moon/Base' is not a known time zone"),
    ("interval@", "four whole numbers"),
    ("interval@10", "four whole numbers"),
    ("interval@0 0 0 0 0", "four whole numbers"),
    ("interval@0 0 -10 0", "four whole numbers"),
    ("interval@0 0 1.5 0", "four whole numbers"),
    ("interval@0 0 ten 0", "four whole numbers"),
    ("interval@0\t0 10 0", "four whole numbers"),
    ("interval@0 0 10 ٣", "four whole numbers"),
    ("interval@999999999 0 0 0", "longer than 100 years"),
    ("interval@0 0 0 99999999999999999999", "longer than 100 years"),
]


@pytest.fixture(params=["with croniter", "without croniter"])
def croniter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without croniter":
        monkeypatch.setitem(sys.modules, "croniter", None)


@pytest.mark.usefixtures("croniter")
@pytest.mark.parametrize("expression", VALID)
def test_valid_expressions_are_accepted_as_they_are(expression: str) -> None:
    assert check_periodic_expression(expression) == expression


@pytest.mark.parametrize("expression", VALID)
def test_the_scheduler_understands_what_is_accepted(expression: str) -> None:
    assert parse_period(expression).next_after(1_700_000_000_000) > 1_700_000_000_000


@pytest.mark.usefixtures("croniter")
@pytest.mark.parametrize(("expression", "reason"), INVALID)
def test_invalid_expressions_are_refused_with_the_reason(expression: str, reason: str) -> None:
    with pytest.raises(InvalidPeriodicExpressionError) as raised:
        check_periodic_expression(expression)

    assert reason in raised.value.reason
    assert "such as 'interval@0 0 10 0'" in str(raised.value)


@pytest.mark.parametrize("thing", [5, b"cron@* * * * *", ["cron@* * * * *"]])
def test_what_is_no_text_is_refused(thing: Any) -> None:
    with pytest.raises(InvalidPeriodicExpressionError, match="it is not a text"):
        check_periodic_expression(thing)


def test_a_date_that_never_comes_is_refused() -> None:
    with pytest.raises(InvalidPeriodicExpressionError, match="never comes"):
        check_periodic_expression("cron@0 0 31 2 *")


_VALUE = st.integers(0, 61).map(str)
_SPAN = st.one_of(st.just("*"), _VALUE, st.tuples(_VALUE, _VALUE).map("-".join))
_ITEM = st.one_of(_SPAN, st.tuples(_SPAN, st.integers(0, 30).map(str)).map("/".join))
_FIELD = st.lists(_ITEM, min_size=1, max_size=3).map(",".join)


@settings(max_examples=100, deadline=None)
@given(st.lists(_FIELD, min_size=5, max_size=5).map(" ".join))
def test_whatever_the_definition_accepts_the_scheduler_understands(fields: str) -> None:
    expression = "cron@" + fields
    try:
        check_periodic_expression(expression)
    except InvalidPeriodicExpressionError:
        return

    assert parse_period(expression).next_after(1_700_000_000_000) > 1_700_000_000_000
