# SPDX-License-Identifier: Apache-2.0
"""Loading a workflow file: what is found, what travels with it, and one clear error where it cannot be."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from tests.executor.executor_support import Site

_HEAD = "from ai_flow.model.workflow import Workflow\nfrom ai_flow.model.operator import Operator\n"
_ONE = _HEAD + "with Workflow(name='one') as one:\n    Operator('t')\n"


def write(site: Site, source: str, name: str = "flow.py") -> Path:
    path = site.root / "user" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source))
    return path


def error_of(site: Site, source: str, **options: Any) -> dict[str, Any]:
    return site.load(write(site, source), **options)["error"]


@pytest.fixture(params=["fork", "spawn"])
def loads(request: pytest.FixtureRequest, site: Site) -> Site:
    """A site that loads files in a fork server, or in a fresh interpreter."""
    site.start(preload=request.param == "fork")
    return site


def test_workflows_of_a_file_are_described_once_each_in_order(loads: Site) -> None:
    path = write(
        loads,
        _ONE
        + """\
with Workflow(name='two', namespace='other') as two:
    Operator('a'); Operator('b')
again = two
print("said while loading")
""",
    )

    result = loads.load(path)

    found = [
        (graph["namespace"], graph["name"], [task["name"] for task in graph["tasks"]])
        for graph in result["workflows"]
    ]
    assert found == [("default", "one", ["t"]), ("other", "two", ["a", "b"])]
    assert result["output"] == "said while loading\n"
    assert result["python"].startswith("3.")
    assert result["helpers"] == []


def test_helpers_are_what_lies_beside_and_imports_are_what_does_not(loads: Site) -> None:
    write(loads, "import colorsys\n", "helper.py")
    write(loads, "from . import part\n", "package/__init__.py")
    write(loads, "import helper\n", "package/part.py")
    write(loads, "VALUE = 1\n", "package/later.py")
    write(loads, "", "unused.py")
    write(loads, "X = 5\n", ".venv/site-packages/installed.py")
    site_packages = loads.root / "user" / ".venv" / "site-packages"
    source = f"""\
import sys, json
import package
try:
    import no_such_module
except ImportError:
    import string
from xml.dom import minidom
sys.path.append({str(site_packages)!r})
import installed
def task():
    import decimal
"""
    path = write(loads, source + _ONE)

    result = loads.load(path)

    assert "error" not in result, result
    names = {str(Path(helper).relative_to(path.parent)) for helper in result["helpers"]}
    assert names == {"helper.py", "package/__init__.py", "package/part.py", "package/later.py"}
    assert {"json", "string", "xml.dom", "xml.dom.minidom", "colorsys", "installed"} <= set(result["imports"])
    assert not {"decimal", "helper", "package", "no_such_module", "ai_flow"} & set(result["imports"])


def test_files_named_with_it_can_be_imported(loads: Site) -> None:
    extra = loads.root / "elsewhere" / "extra.py"
    extra.parent.mkdir()
    extra.write_text("NAME = 'from elsewhere'\n")
    path = write(loads, "import extra\n" + _ONE.replace("'one'", "extra.NAME.replace(' ', '_')"))

    result = loads.load(path, [extra])

    assert result["workflows"][0]["name"] == "from_elsewhere"
    assert "extra" not in result["imports"]


def test_imports_after_a_change_of_the_environment_are_left_to_the_tasks(loads: Site) -> None:
    path = write(loads, "import os, json\nos.environ['SWITCH'] = '1'\nimport colorsys\n" + _ONE)

    imports = loads.load(path)["imports"]

    assert "json" in imports
    assert "colorsys" not in imports


def test_file_is_loaded_in_its_own_directory(loads: Site) -> None:
    write(loads, "12", "number.txt")
    path = write(loads, _HEAD + "with Workflow(name='w' + open('number.txt').read()) as w: Operator('t')\n")

    assert loads.load(path)["workflows"][0]["name"] == "w12"


def test_syntax_error_shows_the_line(loads: Site) -> None:
    error = error_of(loads, "x = 1\nwith Workflow(name='w' as w:\n    pass\n")

    assert error["type"] == "SyntaxError"
    assert error["file"].endswith("/user/flow.py")
    assert (error["line"], error["text"]) == (2, "with Workflow(name='w' as w:")


def test_exception_shows_the_line_of_the_file(loads: Site) -> None:
    error = error_of(loads, "import json\ndef deep():\n    return json.loads('{')\nvalue = deep()\n" + _ONE)

    assert error["type"] == "JSONDecodeError"
    assert (error["line"], error["text"]) == (3, "    return json.loads('{')")
    assert error["traceback"].startswith('Traceback (most recent call last):\n  File "')
    assert "loader.py" not in error["traceback"]


def test_mistake_in_a_definition_is_told_like_any_exception(loads: Site) -> None:
    error = error_of(loads, _HEAD + "with Workflow(name='w') as w:\n    Operator('t')\n    Operator('t')\n")

    assert error["line"] == 5
    assert "'t'" in error["message"]


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("import sys\nsys.exit(3)\n", "SystemExit", "the file calls sys.exit(3) while it is loaded"),
        ("x = 1\n", "WorkflowFileError", "flow.py defines no workflow: it needs"),
        (
            _HEAD
            + "with Workflow(name='w') as a: Operator('t')\nwith Workflow(name='w') as b: Operator('t')\n",
            "WorkflowFileError",
            "flow.py defines two workflows named 'w' in the namespace 'default'",
        ),
        (
            "import os\nos._exit(7)\n",
            "LoadError",
            "the process that loads it exited (exit code 7) in the middle",
        ),
        (
            "import os\nos.kill(os.getpid(), 9)\n",
            "LoadError",
            "the process that loads it was killed by signal 9",
        ),
        (
            "import not_installed_anywhere\n",
            "ModuleNotFoundError",
            "No module named 'not_installed_anywhere'",
        ),
        ("x = '\0'\n", "SyntaxError", "null bytes"),
    ],
)
def test_file_that_cannot_be_used_gives_one_error(loads: Site, source: str, kind: str, message: str) -> None:
    error = error_of(loads, source)

    # Python 3.10 and 3.11 call a zero byte a ValueError.
    assert error["type"] in {kind, "ValueError"}
    assert message in error["message"]


def test_missing_file_gives_an_error(loads: Site) -> None:
    assert loads.load(loads.root / "nowhere.py")["error"]["type"] == "FileNotFoundError"


@pytest.mark.parametrize("source", ["import time\ntime.sleep(300)\n", "import hangs\n"])
def test_file_that_hangs_is_given_up(loads: Site, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = loads.root / "installed"
    elsewhere.mkdir()
    (elsewhere / "hangs.py").write_text("import time\ntime.sleep(300)\n")
    monkeypatch.setenv("PYTHONPATH", str(elsewhere))
    started = time.monotonic()

    error = error_of(loads, source, limit_s=0.7)

    assert (error["type"], error["message"]) == ("TimeoutError", "loading it took longer than 0.7 s")
    assert time.monotonic() - started < 10
    assert "error" not in loads.load(write(loads, _ONE))


def test_import_that_starts_threads_moves_everything_to_fresh_interpreters(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = site.root / "installed"
    elsewhere.mkdir()
    (elsewhere / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(300,), daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(elsewhere))
    source = """\
        import threaded
        import os
        from ai_flow.model.workflow import Workflow
        from ai_flow.operators.python import PythonOperator
        with Workflow(name="w") as workflow:
            PythonOperator("t", lambda: print("parent", os.getppid()))
    """

    site.write_workflow(source)
    spec = site.python("t")
    report = site.finish(spec)

    assert report.reason is None
    assert site.pids_in(spec, "parent") == [site.guard().pid]


def test_loading_server_becomes_the_server_of_the_snapshot(site: Site) -> None:
    result = site.load(write(site, "import colorsys\n" + _ONE))
    assert "error" not in result

    site.executor.prepare("some-digest", site.bundle, "wf/wf.py", result["imports"], result["server"])

    server = site.executor._servers.of_snapshot("some-digest")
    assert server is not None and server.name == result["server"]
    assert site.until(lambda: server.safe)
