# SPDX-License-Identifier: Apache-2.0
"""What is installed is what lies in the checkout.

The wheel, the source distribution, an editable install and ``python aiflow.py`` must all give the same
modules and the same version; the lists are compared with the files of the checkout.
"""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.architecture.source_files import CHECKOUT, PACKAGES, package_files, shown


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build("wheel", tmp_path_factory.mktemp("wheel"))


def test_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert packed == {name for name, _ in package_files()}


def test_wheel_brings_both_commands(wheel: Path) -> None:
    scripts = configparser.ConfigParser()
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
        scripts.read_string(archive.read(name).decode())

    assert dict(scripts["console_scripts"]) == {
        "aiflow": "ai_flow.cli.main:main",
        "notification": "notification_service.cli:main",
    }


def test_wheel_carries_the_version_of_the_code(wheel: Path) -> None:
    assert wheel.name.split("-")[:2] == ["aiflow", _version_of_the_code()]


def test_source_distribution_is_enough_to_build_and_to_test(tmp_path: Path) -> None:
    with tarfile.open(_build("sdist", tmp_path)) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}

    expected = {shown(path) for _, path in package_files()}
    expected |= {
        "aiflow.py",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "tests/conftest.py",
        ".ci/run",
    }
    assert expected <= packed


def test_bare_checkout_runs_without_being_installed(tmp_path: Path) -> None:
    imports_of_the_launcher = (
        "import sys; sys.path.insert(0, sys.argv[1]); import aiflow; "
        "aiflow.add_source_roots(aiflow.Path(aiflow.__file__).parent); "
        "import ai_flow, notification_service, ai_flow_ha; "
        "print(ai_flow.__version__, ai_flow.__file__, notification_service.__file__, ai_flow_ha.__file__)"
    )

    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", imports_of_the_launcher, str(CHECKOUT)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )

    assert result.returncode == 0, result.stderr
    packages = [str(CHECKOUT / root / package / "__init__.py") for root, package in PACKAGES.items()]
    assert result.stdout.split() == [_version_of_the_code(), packages[0], packages[1], packages[2]]


def test_launcher_prints_the_version() -> None:
    result = subprocess.run(
        [sys.executable, str(CHECKOUT / "aiflow.py"), "--version"], capture_output=True, text=True, timeout=60
    )

    assert result.returncode == 0, result.stderr
    assert _version_of_the_code() in result.stdout


def _build(target: str, folder: Path) -> Path:
    # Without an isolated environment, so that no index is needed: hatchling is among the test requirements.
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stderr
    (built,) = folder.iterdir()
    return built


def _version_of_the_code() -> str:
    tree = ast.parse((CHECKOUT / "aiflow_pkg/ai_flow/__init__.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__":
            return str(ast.literal_eval(node.value))
    raise AssertionError("ai_flow/__init__.py assigns no __version__")
