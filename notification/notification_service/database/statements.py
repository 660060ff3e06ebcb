# SPDX-License-Identifier: Apache-2.0
"""Named SQL statements, read from the ``.sql`` files that lie beside the Python using them.

A file holds blocks that start with ``-- name: append_event``; the comment lines below the name say what
the block is for. A block may have a second form for another kind of database: ``-- name: append_event
@mysql``. Parameters are written ``:name`` and bound in the order of their first appearance, which is the
order SQLite numbers them in.

This module parses; it runs nothing. It knows just enough of SQL to leave strings, quoted names and
comments alone.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping
from operator import itemgetter

from notification_service.database.errors import MisuseError

Value = None | int | float | str | bytes

_HEADER = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*)(?: @(?P<dialect>[a-z]+))?[ \t]*$", re.MULTILINE)
_PARAMETER = re.compile(
    r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|:([a-z_][a-z0-9_]*)", re.DOTALL
)


class Statement:
    """One named statement and the order of its parameters."""

    __slots__ = ("_pick", "name", "parameters", "sql", "variants")

    def __init__(self, name: str, sql: str, variants: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.sql = sql
        self.variants = dict(variants or {})
        self.parameters = _parameters_of(sql)
        self._pick = itemgetter(*self.parameters) if len(self.parameters) > 1 else None

    def __repr__(self) -> str:
        return f"Statement({self.name!r})"

    def sql_for(self, dialect: str) -> str:
        """Return the form for a kind of database such as ``mysql``, or the common form."""
        return self.variants.get(dialect, self.sql)

    def bind(self, params: Mapping[str, Value]) -> tuple[Value, ...]:
        """Return the values in binding order; a missing or surplus name is a mistake of the caller."""
        if len(params) == len(self.parameters):
            try:
                if self._pick is not None:
                    return self._pick(params)
                return tuple(params[name] for name in self.parameters)
            except KeyError:
                pass
        raise MisuseError(
            f"The statement {self.name} takes the parameters {', '.join(self.parameters) or '(none)'}, "
            f"and was given {', '.join(params) or '(none)'}."
        )


class Statements:
    """The statements of one file as attributes; an unknown name raises where it is used."""

    def __init__(self, source: str, statements: Mapping[str, Statement]) -> None:
        self._source = source
        self._statements = dict(statements)

    def __getattr__(self, name: str) -> Statement:
        try:
            return self.__dict__["_statements"][name]
        except KeyError:
            raise AttributeError(f"There is no statement {name} in {self.__dict__.get('_source')}.") from None

    def all(self) -> list[Statement]:
        """Return every statement of the file, in its order."""
        return list(self._statements.values())


def load_statements(package: str | None, file_name: str) -> Statements:
    """Read the named statements of a ``.sql`` file that is part of ``package``."""
    content = pkgutil.get_data(package or "", file_name)
    if content is None:
        raise MisuseError(f"There is no file {file_name} in the package {package}.")
    return parse_statements(content.decode(), f"{package}/{file_name}")


def parse_statements(text: str, source: str) -> Statements:
    """Split the text of a ``.sql`` file into its named statements."""
    common: dict[str, str] = {}
    variants: dict[str, dict[str, str]] = {}
    headers = list(_HEADER.finditer(text))
    for header, following in zip(headers, [*headers[1:], None], strict=True):
        body = text[header.end() : following.start() if following else len(text)]
        name, dialect = header["name"], header["dialect"]
        forms = variants.setdefault(name, {}) if dialect else common
        key = dialect or name
        if key in forms:
            raise MisuseError(f"The statement {name} is defined twice in {source}.")
        forms[key] = _without_comments(body)
    orphans = variants.keys() - common.keys()
    if orphans:
        raise MisuseError(f"{source} has only variants of the statements {', '.join(sorted(orphans))}.")
    return Statements(
        source, {name: Statement(name, sql, variants.get(name)) for name, sql in common.items()}
    )


def _without_comments(body: str) -> str:
    lines = (line.rstrip() for line in body.splitlines())
    return "\n".join(line for line in lines if line and not line.lstrip().startswith("--")).rstrip(";")


def _parameters_of(sql: str) -> tuple[str, ...]:
    names = (match[1] for match in _PARAMETER.finditer(sql))
    return tuple(dict.fromkeys(name for name in names if name))
