# SPDX-License-Identifier: Apache-2.0
"""The modules that run in the user's own Python import nothing but the standard library.

That Python may have none of aiflow's dependencies, or other versions of them. Each module is imported in
a bare interpreter (no site-packages, no environment) whose import system refuses everything that is
neither of the standard library nor ours; ``cloudpickle`` is imported inside functions, so it is refused
here like the rest.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.source_files import CHECKOUT, PACKAGES, package_files

#: Packages and modules that a task process, a loader or a condition host may import.
CHILD_SIDE = (
    "ai_flow.common",
    "ai_flow.model",
    "ai_flow.notification",
    "ai_flow.operators",
    "ai_flow.runtime",
    "notification_service.client",
    "notification_service.model",
    "notification_service.wire",
)

#: Open the store themselves: loaded by clients outside of tasks, when they are given a sqlite:// address.
_CLIENT = "notification_service.client"
OUTSIDE_OF_TASKS = (f"{_CLIENT}.shared_store", f"{_CLIENT}.sqlite_transport")

_IMPORT_ALL = """
import importlib, sys

class OnlyStandardLibrary:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ours:
            raise ImportError(f"{name} is not in the standard library")

ours, roots, modules = sys.argv[1].split(","), sys.argv[2].split(","), sys.argv[3].split(",")
sys.meta_path.insert(0, OnlyStandardLibrary())
sys.path[:0] = roots
for module in modules:
    importlib.import_module(module)
"""


@pytest.mark.parametrize("part", CHILD_SIDE)
def test_child_side_needs_only_the_standard_library(part: str) -> None:
    modules = [module for module in _modules() if module == part or module.startswith(part + ".")]
    modules = [module for module in modules if module not in OUTSIDE_OF_TASKS]
    assert modules, f"{part} is not there any more"

    result = _import_in_a_bare_python(modules)

    assert result.returncode == 0, result.stderr


def test_the_check_sees_an_import_of_a_dependency() -> None:
    result = _import_in_a_bare_python(["psutil"])

    assert "psutil is not in the standard library" in result.stderr


def _modules() -> list[str]:
    return [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name, _ in package_files()
        if name.endswith(".py")
    ]


def _import_in_a_bare_python(modules: list[str]) -> subprocess.CompletedProcess[str]:
    roots = ",".join(str(CHECKOUT / root) for root in PACKAGES)
    arguments = [",".join(PACKAGES.values()), roots, ",".join(modules)]
    return subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-W", "error", "-c", _IMPORT_ALL, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
