# SPDX-License-Identifier: Apache-2.0
"""Finding programs, and hiding secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.model.errors import InvalidOptionError
from ai_flow.operators.commands import find_program, mask_secrets, shown_command, split_options, tell
from tests.operators.fakes import FakePrograms


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("--conf spark.ssl.keyPassword=abc x", "--conf spark.ssl.keyPassword=****** x"),
        ("-Dfs.s3.secret-key=abc", "-Dfs.s3.secret-key=******"),
        ("--password abc --user me", "--password ****** --user me"),
        ("MY_SECRET='a b' c", "MY_SECRET=****** c"),
        ("nothing to hide=here", "nothing to hide=here"),
        ("password", "password"),
        ("", ""),
    ],
)
def test_what_follows_a_secret_word_is_masked(text: str, masked: str) -> None:
    assert mask_secrets(text) == masked


def test_a_secret_argument_is_masked_whatever_characters_it_has() -> None:
    command = ["run", "--password", "a b\"c' d", "-Dsecret=x y=z", "my app.jar", ""]

    shown = shown_command(command)

    assert shown == "run --password ****** -Dsecret=****** 'my app.jar' ''"


def test_a_given_path_wins(programs: FakePrograms) -> None:
    programs.add("flink")

    assert find_program("flink", "/opt/flink/bin/flink", "FLINK_HOME") == "/opt/flink/bin/flink"


def test_path_comes_before_the_home(
    programs: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLINK_HOME", str(tmp_path / "flink"))
    in_home = programs.add("flink", folder=tmp_path / "flink" / "bin")

    assert find_program("flink", None, "FLINK_HOME") == str(in_home)

    on_path = programs.add("flink")
    assert find_program("flink", None, "FLINK_HOME") == str(on_path)


def test_a_missing_program_is_named_with_the_place_where_it_was_looked_for(
    programs: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AIFlowException, match=r"Cannot find flink command: .* FLINK_HOME is not set"):
        find_program("flink", None, "FLINK_HOME")

    monkeypatch.setenv("FLINK_HOME", str(tmp_path))
    with pytest.raises(AIFlowException, match=f"Cannot find flink command at {tmp_path}/bin/flink"):
        find_program("flink", None, "FLINK_HOME")


def test_options_are_split_as_in_a_shell() -> None:
    assert split_options("task", "options", "-D a='b c'  -x") == ["-D", "a=b c", "-x"]
    assert split_options("task", "options", None) == []


def test_an_open_quote_is_refused_without_showing_secrets() -> None:
    with pytest.raises(InvalidOptionError) as raised:
        split_options("task", "submit_options", "--password=abc 'x")

    assert "submit_options must be options as in a shell" in str(raised.value)
    assert "abc" not in str(raised.value)


def test_a_command_that_must_succeed_raises_with_its_output(programs: FakePrograms) -> None:
    program = programs.add("kubectl", "echo no such cluster; exit 4")

    with pytest.raises(AIFlowException, match=r"Error code is: 4. Output: no such cluster"):
        tell([str(program), "delete"])
