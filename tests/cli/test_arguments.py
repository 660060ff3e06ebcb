# SPDX-License-Identifier: Apache-2.0
"""A mistake in a command line gets one clear sentence and exit code 2, and nothing is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_flow import __version__
from ai_flow.cli.main import main


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIFLOW_HOME", str(tmp_path / "home"))
    (tmp_path / "flow.py").write_text("")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "Missing argument 'FILE'"),
        (["run", "absent.py"], "There is no file 'absent.py'."),
        (["run", "folder/flow.py"], "There is no file 'folder/flow.py'."),
        (["run", "nowhere/flow.py"], "There is no directory"),
        (["run", "flo.py"], "Near to it: flow.py."),
        (
            ["run", "."],
            "'.' is a directory: name the workflow file in it.\nHint: Python files in it: flow.py.",
        ),
        (["run", "notes.txt"], "'notes.txt' is not a Python file"),
        (
            ["run", "flow.py", "--files", "notes.txt,absent.csv"],
            "There is no file 'absent.csv', which --files",
        ),
        (
            ["run", "flow.py", "--param", "epochs"],
            "The parameter 'epochs' has no value.\nHint: Write --param",
        ),
        (["run", "flow.py", "--param", "=3"], "'' cannot be the name of a parameter"),
        (["run", "flow.py", "--param", "a-b=3"], "'a-b' cannot be the name of a parameter"),
        (["run", "flow.py", "--param", "1st=3"], "'1st' cannot be the name of a parameter"),
        (["run", "flow.py", "--param", "a=1", "--param", "a=2"], "The parameter 'a' is given twice."),
        (["run", "flow.py", "--timeout", "soon"], "'soon' is not a number of seconds: write for example"),
        (["run", "flow.py", "--timeout", "0"], "'0' is out of range: it must be more than 0 seconds"),
        (["run", "flow.py", "--timeout", "nan"], "'nan' is out of range"),
        (["run", "flow.py", "--timeout", "inf"], "'inf' is out of range"),
        (["run", "flow.py", "--wait-events", "-1"], "'-1' is out of range: it must be 0 or more seconds"),
        (["run", "flow.py", "--stop-grace", "x"], "'x' is not a number of seconds"),
        (["run", "flow.py", "--parallelism", "0"], "0 is not in the range"),
        (["run", "flow.py", "-o", "xml"], "'xml' is not one of 'text', 'json'"),
        (["run", "flow.py", "--python", "no-such-python"], "there is no such program on PATH"),
        (["run", "flow.py", "--python", "/bin/ls"], "/bin/ls: it is no Python that runs"),
        (["run", "flow.py", "other.py"], "unexpected extra argument"),
        (["run", "flow.py", "--tiemout", "3"], "No such option"),
        (["rnu"], "There is no command 'rnu'. Did you mean 'run'?"),
        (["--colour"], "No such option"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    arguments: list[str], said: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(arguments)

    output = capsys.readouterr()
    assert code == 2
    assert output.out == ""
    assert output.err.startswith("Error: ")
    assert said in output.err
    assert "Traceback" not in output.err
    assert not (directory / "home").exists()


def test_an_unreadable_file_is_told(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "flow.py").chmod(0)
    if _can_read(directory / "flow.py"):
        pytest.skip("permissions do not hold for this user")

    code = main(["run", "flow.py"])

    assert code == 2
    assert "'flow.py' cannot be read: Permission denied." in capsys.readouterr().err


@pytest.mark.parametrize("place", [["--debug", "run", "absent.py"], ["run", "absent.py", "--debug"]])
def test_debug_shows_where_it_happened(place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = main(place)

    errors = capsys.readouterr().err
    assert code == 2
    assert "Traceback" in errors
    assert "There is no file 'absent.py'." in errors


def test_with_json_a_mistake_is_a_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    code = main(["run", "absent.py", "-o", "json"])

    output = capsys.readouterr()
    document = json.loads(output.out)
    assert code == document["exit_code"] == 2
    assert document["error"] == {"code": "usage", "message": "There is no file 'absent.py'.", "hint": None}
    assert document["executions"] == []
    assert "There is no file 'absent.py'." in output.err


def test_without_a_command_the_help_is_shown_as_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    code = main([])

    output = capsys.readouterr()
    assert (code, output.out) == (2, "")
    assert output.err.startswith("Usage: aiflow")


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [(["version"], f"{__version__}\n"), (["--version"], f"aiflow {__version__}\n")],
)
def test_the_version_is_told(arguments: list[str], printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(arguments)

    assert code == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], ["run"], ["version"]])
def test_every_command_helps(command: list[str], option: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([*command, option])

    assert code == 0
    assert capsys.readouterr().out.startswith("Usage: aiflow")


def test_the_help_of_run_has_an_example_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "--help"])

    printed = capsys.readouterr().out
    assert "aiflow run train.py --param epochs=3 --timeout 600" in printed
    assert all(f"  {code} " in printed for code in (0, 1, 2, 3, 124, 130))


def _can_read(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True
