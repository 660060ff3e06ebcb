# SPDX-License-Identifier: Apache-2.0
"""The interface of blob managers, their configuration, and making one from it.

A blob manager is chosen by the full name of its class, so one of a user's own works like those that come with
aiflow. Which is the default is said by the section ``blob_manager`` of ``$AIFLOW_HOME/aiflow_client.yaml``;
without it, files are kept in ``$AIFLOW_HOME/blob``.
"""

from __future__ import annotations

import importlib
import logging
import os
from abc import ABC, abstractmethod
from typing import Any, cast

from ai_flow.common.env import expand_env_var, get_aiflow_home
from ai_flow.common.exception.exceptions import AIFlowConfigException

_LOCAL = "ai_flow.blob_manager.impl.local_blob_manager.LocalBlobManager"


class BlobManager(ABC):
    """Keeps files under addresses of its own.

    A subclass takes its configuration, a dict with at least ``root_directory``, in the constructor.
    """

    log = logging.getLogger(__name__)

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        root = config.get("root_directory")
        if not root:
            raise AIFlowConfigException("`root_directory` option of blob manager config is not configured.")
        #: The directory, in whatever sense the implementation gives it, below which everything is kept.
        self.root_dir: str = root

    @abstractmethod
    def upload(self, local_file_path: str) -> str:
        """Keep the content of a file and return the address to download it by."""

    @abstractmethod
    def download(self, remote_file_path: str, local_dir: str) -> str:
        """Put a kept file into ``local_dir`` and return its path there."""


class BlobManagerConfig(dict[str, Any]):
    """The section ``blob_manager`` of a configuration.

    >>> config = BlobManagerConfig({"blob_manager_class": "my_package.MyBlobManager"})
    >>> config.get_class(), config.get_customized_config()
    ('my_package.MyBlobManager', {})
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        if not self.get("blob_manager_class"):
            raise AIFlowConfigException("The `blob_manager_class` option of blob config is not configured.")

    def get_class(self) -> str:
        """Return the full name of the class."""
        return str(self["blob_manager_class"])

    def get_customized_config(self) -> dict[str, Any]:
        """Return what the class takes as its configuration."""
        return dict(self.get("blob_manager_config") or {})


class BlobManagerFactory:
    """Makes blob managers."""

    @classmethod
    def create_blob_manager(cls, config: BlobManagerConfig) -> BlobManager:
        """Return a blob manager as ``config`` says; raise if its class cannot be used."""
        kind = _import_class(config.get_class())
        return kind(config.get_customized_config())

    @classmethod
    def get_default_blob_manager(cls) -> BlobManager:
        """Return the one that ``$AIFLOW_HOME/aiflow_client.yaml`` says, else one on ``$AIFLOW_HOME/blob``."""
        home = get_aiflow_home()
        section = _configured_section(os.path.join(home, "aiflow_client.yaml"))
        if section is None:
            root = os.path.join(home, "blob")
            section = {"blob_manager_class": _LOCAL, "blob_manager_config": {"root_directory": root}}
        return cls.create_blob_manager(BlobManagerConfig(_with_variables(section, home)))


def _import_class(name: str) -> type[BlobManager]:
    module_name, _, class_name = name.rpartition(".")
    try:
        found = cast("object", getattr(importlib.import_module(module_name), class_name))
    except (ImportError, AttributeError, ValueError) as error:
        raise AIFlowConfigException(f"The blob manager class {name} cannot be imported: {error}.") from error
    if not (isinstance(found, type) and issubclass(found, BlobManager)):
        raise AIFlowConfigException(f"{name} is not a subclass of ai_flow.blob_manager's BlobManager.")
    return found


def _configured_section(path: str) -> dict[str, Any] | None:
    """Return the section of the configuration file; None if there is no file or no such section in it."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return None
    try:
        import yaml  # loaded only where there is a file to read
    except ImportError:
        raise AIFlowConfigException(f"{path} cannot be read: this Python has no PyYAML.") from None
    try:
        config = cast("object", yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise AIFlowConfigException(f"{path} is not a YAML file: {error}") from error
    section = cast("dict[str, Any]", config).get("blob_manager") if isinstance(config, dict) else None
    return cast("dict[str, Any]", section) if isinstance(section, dict) else None


def _with_variables(value: Any, home: str) -> Any:
    if isinstance(value, dict):
        return {key: _with_variables(item, home) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, str):
        return expand_env_var(value.replace("{AIFLOW_HOME}", home))
    return value
