# SPDX-License-Identifier: Apache-2.0
"""Keeping files."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from ai_flow.blob_manager.blob_manager_interface import BlobManager, BlobManagerConfig, BlobManagerFactory
from ai_flow.blob_manager.impl import local_blob_manager
from ai_flow.blob_manager.impl.local_blob_manager import LocalBlobManager
from ai_flow.common.exception.exceptions import AIFlowConfigException, AIFlowException

LOCAL = "ai_flow.blob_manager.impl.local_blob_manager.LocalBlobManager"


class Elsewhere(LocalBlobManager):
    """A user's own blob manager."""


@pytest.fixture
def manager(tmp_path: Path) -> LocalBlobManager:
    return LocalBlobManager({"root_directory": str(tmp_path / "blob")})


def write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


def test_a_file_comes_back_under_its_name_and_the_original_stays(
    manager: LocalBlobManager, tmp_path: Path
) -> None:
    original = write(tmp_path / "model.zip", b"content")

    uri = manager.upload(original)
    copy = manager.download(uri, str(tmp_path / "new" / "inbox"))

    assert copy == str(tmp_path / "new" / "inbox" / "model.zip")
    assert Path(copy).read_bytes() == Path(original).read_bytes() == b"content"
    assert manager.download(uri) == uri


def test_files_of_one_name_never_overwrite_each_other(manager: LocalBlobManager, tmp_path: Path) -> None:
    first = manager.upload(write(tmp_path / "a" / "workflow.zip", b"first"))
    second = manager.upload(write(tmp_path / "b" / "workflow.zip", b"second"))

    assert first != second
    assert Path(first).read_bytes() == b"first" and Path(second).read_bytes() == b"second"


def test_the_same_content_is_kept_once(manager: LocalBlobManager, tmp_path: Path) -> None:
    path = write(tmp_path / "workflow.zip", b"content")

    assert manager.upload(path) == manager.upload(path)


def test_concurrent_uploads_of_one_file_agree(manager: LocalBlobManager, tmp_path: Path) -> None:
    path = write(tmp_path / "big", b"x" * 3_000_000)
    uris: list[str] = []
    threads = [threading.Thread(target=lambda: uris.append(manager.upload(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(uris) == 8 and len(set(uris)) == 1
    assert Path(uris[0]).read_bytes() == b"x" * 3_000_000
    assert _partial_files(tmp_path) == []


def test_an_upload_that_breaks_off_leaves_nothing(
    manager: LocalBlobManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local_blob_manager, "_copy", full)

    with pytest.raises(OSError, match="No space left"):
        manager.upload(write(tmp_path / "file", b"content"))

    assert list((tmp_path / "blob").iterdir()) == []


def test_a_download_replaces_an_older_file_of_that_name(manager: LocalBlobManager, tmp_path: Path) -> None:
    write(tmp_path / "inbox" / "workflow.zip", b"stale")

    copy = manager.download(
        manager.upload(write(tmp_path / "workflow.zip", b"fresh")), str(tmp_path / "inbox")
    )

    assert Path(copy).read_bytes() == b"fresh"
    assert _partial_files(tmp_path) == []


def test_only_kept_files_can_be_downloaded(manager: LocalBlobManager, tmp_path: Path) -> None:
    secret = write(tmp_path / "secret", b"secret")
    manager.upload(write(tmp_path / "file", b"content"))
    (tmp_path / "blob" / "link").symlink_to(secret)

    for path in (
        secret,
        str(tmp_path / "blob" / ".." / "secret"),
        str(tmp_path / "blob" / "link"),
        str(tmp_path / "blob" / "missing"),
        str(tmp_path / "blob"),
        str(tmp_path / "blobs"),
    ):
        with pytest.raises(AIFlowException, match=f"Cannot download {path} from blob server"):
            manager.download(path, str(tmp_path / "inbox"))


@pytest.mark.parametrize("config", [{}, {"root_directory": ""}, {"root_directory": None}])
def test_a_root_directory_is_required(config: dict[str, Any]) -> None:
    with pytest.raises(AIFlowConfigException) as raised:
        LocalBlobManager(config)

    assert str(raised.value) == "`root_directory` option of blob manager config is not configured."


@pytest.mark.parametrize("config", [{}, {"blob_manager_class": None}])
def test_a_class_is_required(config: dict[str, Any]) -> None:
    with pytest.raises(AIFlowConfigException) as raised:
        BlobManagerConfig(config)

    assert str(raised.value) == "The `blob_manager_class` option of blob config is not configured."


def test_a_blob_manager_is_made_from_its_configuration(tmp_path: Path) -> None:
    config = BlobManagerConfig(
        {"blob_manager_class": LOCAL, "blob_manager_config": {"root_directory": str(tmp_path), "extra": 1}}
    )

    manager = BlobManagerFactory.create_blob_manager(config)

    assert type(manager) is LocalBlobManager
    assert manager.root_dir == str(tmp_path) and manager.config["extra"] == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.to.be.Found", "The blob manager class nowhere.to.be.Found cannot be imported"),
        ("ai_flow.model.workflow.Missing", "cannot be imported"),
        ("Bare", "cannot be imported"),
        ("ai_flow.model.workflow.Workflow", "is not a subclass"),
    ],
)
def test_a_class_that_is_no_blob_manager_is_refused(name: str, message: str, tmp_path: Path) -> None:
    config = BlobManagerConfig(
        {"blob_manager_class": name, "blob_manager_config": {"root_directory": str(tmp_path)}}
    )

    with pytest.raises(AIFlowConfigException, match=message):
        BlobManagerFactory.create_blob_manager(config)


def test_the_default_is_a_directory_of_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIFLOW_HOME", str(tmp_path))

    manager: BlobManager = BlobManagerFactory.get_default_blob_manager()

    assert type(manager) is LocalBlobManager and manager.root_dir == str(tmp_path / "blob")
    assert list(tmp_path.iterdir()) == []


def test_the_client_configuration_chooses_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("TEAM", "blue")
    (tmp_path / "aiflow_client.yaml").write_text(
        f"""
        server_address: localhost:50051
        blob_manager:
          blob_manager_class: {__name__}.Elsewhere
          blob_manager_config:
            root_directory: "{{AIFLOW_HOME}}/shared/$TEAM"
        """
    )

    manager = BlobManagerFactory.get_default_blob_manager()

    assert type(manager).__name__ == "Elsewhere"
    assert manager.root_dir == f"{tmp_path}/shared/blue"


def test_a_broken_client_configuration_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIFLOW_HOME", str(tmp_path))
    (tmp_path / "aiflow_client.yaml").write_text("blob_manager: [")

    with pytest.raises(AIFlowConfigException, match=r"aiflow_client\.yaml is not a YAML file"):
        BlobManagerFactory.get_default_blob_manager()


def _partial_files(folder: Path) -> list[Path]:
    return list(folder.rglob(".partial-*"))
