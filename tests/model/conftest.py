# SPDX-License-Identifier: Apache-2.0
"""Fixtures for the public model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ai_flow.model.internal.contexts import set_runtime_task_context


@pytest.fixture
def no_task() -> Iterator[None]:
    """This process runs no task, before and after the test."""
    set_runtime_task_context(None)
    yield
    set_runtime_task_context(None)
