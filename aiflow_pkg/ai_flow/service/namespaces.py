# SPDX-License-Identifier: Apache-2.0
"""Operations on namespaces. They change no rule, so the scheduler is told nothing."""

from __future__ import annotations

from collections.abc import Mapping

from ai_flow.metadata.namespace import NamespaceMeta
from ai_flow.model.checks import checked_name
from ai_flow.service.arguments import checked_page, checked_properties, checked_text
from ai_flow.service.errors import AlreadyExistsError, NotEmptyError, NotFoundError
from ai_flow.service.metas import namespace_meta
from ai_flow.service.operations import Operations
from ai_flow.store import catalog
from ai_flow.store.catalog import NamespaceRow


class Namespaces(Operations):
    """Namespaces keep the names and the events of their workflows apart."""

    def add(self, name: str, properties: Mapping[str, str] | None = None) -> NamespaceMeta:
        """Add a namespace and return it."""
        row = NamespaceRow(name=checked_name("namespace", name), properties=checked_properties(properties))
        with self._database.write() as tx:
            if catalog.find_namespace(tx, row.name) is not None:
                raise AlreadyExistsError("Namespace", row.name)
            catalog.add_namespace(tx, row.name, row.properties)
        return namespace_meta(row)

    def get(self, name: str) -> NamespaceMeta | None:
        """Return a namespace; None when there is none of that name."""
        with self._database.read() as tx:
            row = catalog.find_namespace(tx, checked_text("name", name))
        return namespace_meta(row) if row is not None else None

    def list(self, limit: int | None = None, offset: int | None = None) -> list[NamespaceMeta]:
        """Return the namespaces by name."""
        page = checked_page(limit, offset)
        with self._database.read() as tx:
            return [namespace_meta(row) for row in catalog.list_namespaces(tx, page)]

    def update(self, name: str, properties: Mapping[str, str]) -> NamespaceMeta | None:
        """Replace the properties of a namespace and return it; None when there is none of that name."""
        row = NamespaceRow(name=checked_text("name", name), properties=checked_properties(properties))
        with self._database.write() as tx:
            is_there = catalog.set_namespace_properties(tx, row.name, row.properties)
        return namespace_meta(row) if is_there else None

    def delete(self, name: str) -> None:
        """Delete a namespace that holds no workflows."""
        checked_text("name", name)
        with self._database.write() as tx:
            if not catalog.namespace_is_empty(tx, name):
                raise NotEmptyError(name)
            if not catalog.delete_namespace(tx, name):
                raise NotFoundError("Namespace", name)
