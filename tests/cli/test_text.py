# SPDX-License-Identifier: Apache-2.0
"""Texts for people: the examples in the docstrings, and times."""

from __future__ import annotations

import doctest
from datetime import datetime

import pytest

from ai_flow.cli import text


def test_examples_work_as_written() -> None:
    result = doctest.testmod(text)

    assert (result.failed, result.attempted > 3) == (0, True)


@pytest.mark.parametrize("at_ms", [0, 1_700_000_000_123])
def test_times_have_an_offset_and_milliseconds(at_ms: int) -> None:
    written = text.iso_time(at_ms)

    assert written is not None
    parsed = datetime.fromisoformat(written)
    assert parsed.tzinfo is not None
    assert round(parsed.timestamp() * 1000) == at_ms


def test_no_time_stays_no_time() -> None:
    assert text.iso_time(None) is None
