# SPDX-License-Identifier: Apache-2.0
"""Importing aiflow costs little and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ai_flow

_ROOTS = [Path(ai_flow.__file__).parents[1], Path(ai_flow.__file__).parents[2] / "notification"]

_OBSERVE = """
import sys, json, logging
sys.path[:0] = json.loads(sys.argv[2])
handlers, threads = list(logging.root.handlers), __import__("threading").active_count()
before = set(sys.modules)
exec(sys.argv[1])
after = set(sys.modules) - before
print(json.dumps({
    "modules": sorted(after),
    "logging": logging.root.handlers == handlers and logging.root.level == logging.WARNING,
    "threads": __import__("threading").active_count() == threads,
}))
"""


def observe(statement: str, home: Path) -> dict[str, object]:
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", _OBSERVE, statement, json.dumps([str(p) for p in _ROOTS])],
        env={**os.environ, "AIFLOW_HOME": str(home), "HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_the_package_itself_loads_nothing(tmp_path: Path) -> None:
    seen = observe("import ai_flow; assert ai_flow.__version__", tmp_path)

    assert seen["modules"] == ["__future__", "ai_flow"]


@pytest.mark.parametrize(
    "statement",
    [
        "import ai_flow.model.workflow, ai_flow.operators.bash, ai_flow.operators.python",
        "import ai_flow.operators.flink.flink_operator, ai_flow.operators.spark.spark_submit",
        "import ai_flow.blob_manager.impl.local_blob_manager, ai_flow.task_executor.task_executor",
        "import ai_flow.model.internal.events, ai_flow.common.util.mock_context, ai_flow.common.env",
    ],
)
def test_importing_the_model_has_no_side_effects(statement: str, tmp_path: Path) -> None:
    seen = observe(statement, tmp_path)

    assert seen["logging"] and seen["threads"]
    assert list(tmp_path.iterdir()) == []
    assert not {"asyncio", "multiprocessing", "sqlite3", "yaml", "croniter"} & set(seen["modules"])  # type: ignore[call-overload]


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(ai_flow.__file__).parent / "py.typed").is_file()
