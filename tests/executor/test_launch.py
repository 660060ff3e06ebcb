# SPDX-License-Identifier: Apache-2.0
"""Command lines of children: which Python, which packages, and nothing leaking into tasks."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from ai_flow.executor.errors import InterpreterError
from ai_flow.executor.launch import child_command, child_environment, resolve_interpreter
from ai_flow.executor.run_directory import RunDirectory


def run(command: list[str], **environment: str) -> str:
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **environment}, timeout=30
    ).stdout


def function_in(directory: Path, body: str) -> str:
    (directory / "probe_module.py").write_text(textwrap.dedent(body))
    return "probe_module:probe"


@pytest.mark.parametrize("bare", [True, False])
def test_child_imports_this_sdk_whatever_else_is_installed(tmp_path: Path, bare: bool) -> None:
    impostor = tmp_path / "ai_flow"
    impostor.mkdir()
    (impostor / "__init__.py").write_text("raise SystemExit('the wrong one')")
    function = "ai_flow.runtime.process_table:boot_id"

    run(child_command(sys.executable, function, bare=bare), PYTHONPATH=str(tmp_path))


def test_child_gets_its_config_and_further_arguments(tmp_path: Path) -> None:
    function = function_in(
        tmp_path,
        """
        import sys, os
        def probe(config, *arguments):
            print(config, arguments, "" in sys.path, os.environ.get("PYTHONPATH"))
        """,
    )
    command = child_command(sys.executable, function, {"a": [1, None]})

    said = run([*command, "x", "y"], PYTHONPATH=str(tmp_path))

    assert said == f"{{'a': [1, None]}} ('x', 'y') False {tmp_path}\n"


def test_processes_of_multiprocessing_find_the_sdk_too(tmp_path: Path) -> None:
    function = function_in(
        tmp_path,
        """
        import multiprocessing
        def work(queue):
            import ai_flow.runtime.process_table
            queue.put("found")
        def probe():
            context = multiprocessing.get_context("spawn")
            queue = context.Queue()
            process = context.Process(target=work, args=(queue,))
            process.start()
            print(queue.get(timeout=20))
            process.join()
        """,
    )

    assert run(child_command(sys.executable, function), PYTHONPATH=str(tmp_path)) == "found\n"


def test_interpreter_behind_a_shim_is_resolved(tmp_path: Path) -> None:
    shim = tmp_path / "python-shim"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    shim.chmod(0o755)

    assert resolve_interpreter(str(shim)) == sys.executable
    assert resolve_interpreter(sys.executable) == sys.executable


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\n"])
def test_program_that_is_no_python_is_refused(tmp_path: Path, text: str) -> None:
    program = tmp_path / "not-python"
    program.write_text(text)
    program.chmod(0o755)

    with pytest.raises(InterpreterError, match=r"cannot run tasks with the Python .*not-python: it does"):
        resolve_interpreter(str(program))


def test_missing_interpreter_is_refused() -> None:
    with pytest.raises(InterpreterError, match="there is no such program on PATH"):
        resolve_interpreter("no-python-of-this-name")


def test_environment_of_a_task_around_us_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIFLOW_TOKEN", "secret")
    monkeypatch.setenv("AIFLOW_PARAM_x", "1")
    monkeypatch.setenv("AIFLOW_HOME", "/home/of/it")

    environment = child_environment()

    assert "AIFLOW_TOKEN" not in environment
    assert "AIFLOW_PARAM_x" not in environment
    assert environment["AIFLOW_HOME"] == "/home/of/it"


@pytest.mark.parametrize("temp_dir", ["/tmp", "a long one"])
def test_deep_run_directory_has_its_sockets_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temp_dir: str
) -> None:
    long = tmp_path / ("t" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", temp_dir if temp_dir == "/tmp" else str(long))
    deep = RunDirectory(tmp_path / ("d" * 100), "store")

    socket_path = deep.socket_of("guard-12345678")

    assert len(os.fsencode(socket_path)) < 104
    assert socket_path == RunDirectory(tmp_path / ("d" * 100), "store").socket_of("guard-12345678")
    assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700
    deep.remove()
    assert not socket_path.parent.exists()


def test_shallow_run_directory_has_its_sockets_inside() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        directory = RunDirectory(Path(short), "store")

        assert directory.socket_of("guard-12345678").parent == directory.root


def test_directory_of_somebody_else_is_not_used_for_sockets(tmp_path: Path) -> None:
    deep = RunDirectory(tmp_path / ("d" * 100), "store")
    sockets = deep.socket_of("x").parent
    sockets.chmod(0o777)

    with pytest.raises(PermissionError, match="only you can enter"):
        RunDirectory(tmp_path / ("d" * 100), "store")

    deep.remove()


def test_store_id_that_is_no_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be a store id"):
        RunDirectory(tmp_path, "../other")
