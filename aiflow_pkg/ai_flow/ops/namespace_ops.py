# SPDX-License-Identifier: Apache-2.0
"""Operations on namespaces (manual, section 9.1)."""

from __future__ import annotations

from ai_flow.metadata.namespace import NamespaceMeta
from ai_flow.ops.reach import call


def add_namespace(name: str, properties: dict[str, str]) -> NamespaceMeta:
    """Create a namespace and return it.

    :param name: The name of the namespace.
    :param properties: The properties of the namespace, texts by name.
    """
    return call("namespaces.add", name=name, properties=properties)


def get_namespace(name: str) -> NamespaceMeta | None:
    """Return a namespace; None when there is none of that name."""
    return call("namespaces.get", name=name)


def update_namespace(name: str, properties: dict[str, str]) -> NamespaceMeta | None:
    """Replace the properties of a namespace and return it; None when there is none of that name."""
    return call("namespaces.update", name=name, properties=properties)


def list_namespace(limit: int | None = None, offset: int | None = None) -> list[NamespaceMeta]:
    """Return the namespaces by name: at most ``limit``, after the first ``offset``."""
    return call("namespaces.list", limit=limit, offset=offset)


def delete_namespace(name: str) -> None:
    """Delete a namespace; refused while it holds workflows."""
    call("namespaces.delete", name=name)
