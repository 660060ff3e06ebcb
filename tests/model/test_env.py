# SPDX-License-Identifier: Apache-2.0
"""Expanding variables, and the home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ai_flow.common.env import expand_env_var, expand_env_vars, get_aiflow_home
from ai_flow.common.exception.exceptions import AIFlowConfigException


def test_variables_and_the_home_of_the_user_are_expanded_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("ROOT", "~/files")
    monkeypatch.setenv("DATA", "${ROOT}")
    monkeypatch.delenv("NOWHERE", raising=False)

    assert expand_env_var("$DATA/x") == "/home/me/files/x"
    assert expand_env_vars("~/$NOWHERE") == "/home/me/$NOWHERE"


@pytest.mark.parametrize("nothing", [None, ""])
def test_nothing_stays_nothing(nothing: str | None) -> None:
    assert expand_env_var(nothing) == nothing  # type: ignore[call-overload]


@pytest.mark.parametrize("value", ["x$LOOP", "$LOOP$LOOP$LOOP"])
def test_a_variable_that_stands_for_itself_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOP", value)

    with pytest.raises(AIFlowConfigException, match="stands for itself"):
        expand_env_var("$LOOP")


def test_the_home_comes_from_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    monkeypatch.setenv("AIFLOW_HOME", "$HOME/my_home")
    assert get_aiflow_home() == str(tmp_path / "my_home")

    monkeypatch.setenv("AIFLOW_HOME", "relative")
    assert get_aiflow_home() == os.path.join(os.getcwd(), "relative")

    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv("AIFLOW_HOME")
        else:
            monkeypatch.setenv("AIFLOW_HOME", unset)
        assert get_aiflow_home() == str(tmp_path / "aiflow")
