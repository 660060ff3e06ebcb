# SPDX-License-Identifier: Apache-2.0
"""Numbered, immutable migrations, up and down, per component of a database.

A component ("log", "store") has a folder of files ``0001_create_event.sql``. A file has a part after the line
``-- up`` and one after ``-- down``; before them it may say ``-- serves: 3``: programs that know the
schema up to number 3 can still work with the result (default: its own number, which shuts older programs
out). So schemas are first expanded, and contracted one release later. A file ``0001_....mysql.sql`` takes
the place of the common one on that kind of database.

Each migration is one transaction together with its record, so an interrupted one leaves no trace. A
program that the stored schema does not serve is refused before it reads anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from notification_service.clock import Clock
from notification_service.database.errors import MigrationError, NewerSchemaError
from notification_service.database.port import ReadTransaction, WriteTransaction, load_statements

SQL = load_statements(__package__, "schema.sql")

_FILE = re.compile(r"(?P<number>\d{4})_(?P<name>[a-z0-9_]+)(?:\.(?P<dialect>[a-z]+))?\.sql")
_SERVES = re.compile(r"^-- serves: (\d+)\s*$", re.MULTILINE)
_PARTS = re.compile(r"^-- up\s*$(?P<up>.*?)^-- down\s*$(?P<down>.*)\Z", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of a schema and its way back."""

    number: int
    name: str
    serves: int
    up: str
    down: str


@dataclass(frozen=True, slots=True)
class MigrationSource:
    """Where the migrations of one component lie: a folder inside a package."""

    component: str
    package: str
    folder: str

    def load(self, dialect: str) -> list[Migration]:
        """Read all migrations in the order of their numbers, which must run from 1 without a gap."""
        chosen: dict[int, Migration] = {}
        special: set[int] = set()
        for file_name, text in _files_of(self.package, self.folder):
            match = _FILE.fullmatch(file_name)
            if match is None or match["dialect"] not in (None, dialect):
                continue
            number = int(match["number"])
            if match["dialect"] or number not in special:
                chosen[number] = _parse(number, match["name"], text)
            if match["dialect"]:
                special.add(number)
        if sorted(chosen) != list(range(1, len(chosen) + 1)):
            raise MigrationError(
                f"The migrations of {self.component} are not numbered 1, 2, 3...: {sorted(chosen)}."
            )
        return [chosen[number] for number in sorted(chosen)]


class SchemaTransaction(WriteTransaction, Protocol):
    """A write transaction that can also run a script of several statements."""

    def run_script(self, sql: str, /) -> None:
        """Run all statements of a script."""
        ...


class MigratableDatabase(Protocol):
    """What migrating asks of a database."""

    dialect: str
    path: Path

    def read(self) -> AbstractContextManager[ReadTransaction]: ...

    def write(self) -> AbstractContextManager[SchemaTransaction]: ...


class Migrator:
    """Bring the components of one database to a schema."""

    def __init__(
        self, database: MigratableDatabase, sources: Sequence[MigrationSource], clock: Clock
    ) -> None:
        self._database = database
        self._clock = clock
        self._migrations = {source.component: source.load(database.dialect) for source in sources}

    def upgrade(self) -> None:
        """Apply what is missing, or refuse a database that no longer serves this program."""
        versions = self.versions()
        for component, migrations in self._migrations.items():
            for migration in migrations[versions.get(component, 0) :]:
                self._step_up(component, migration)

    def migrate_to(self, component: str, number: int) -> None:
        """Go up or down to a schema number of one component; 0 removes it, with all its data."""
        migrations = self._migrations[component]
        if not 0 <= number <= len(migrations):
            raise MigrationError(
                f"There is no schema {number} of {component}: the newest is {len(migrations)}."
            )
        version = self.versions().get(component, 0)
        for migration in migrations[version:number]:
            self._step_up(component, migration)
        for migration in reversed(migrations[number:version]):
            self._step_down(component, migration)

    def versions(self) -> dict[str, int]:
        """Return the schema number of each component that the database holds."""
        with self._database.read() as tx:
            return self._versions(tx)

    def _versions(self, tx: ReadTransaction) -> dict[str, int]:
        row = tx.row(SQL.has_migration_table)
        if row is None or not row[0]:
            return {}
        versions: dict[str, int] = {}
        for component, number, serves in cast("list[tuple[str, int, int]]", tx.rows(SQL.list_migrations)):
            versions[component] = number
            known = len(self._migrations.get(component, ()))
            if component in self._migrations and serves > known:
                raise NewerSchemaError(self._database.path, component, number, known)
        return versions

    def _step_up(self, component: str, migration: Migration) -> None:
        with self._database.write() as tx:
            tx.execute(SQL.create_migration_table)
            if self._versions(tx).get(component, 0) != migration.number - 1:
                return  # another process was faster
            tx.run_script(migration.up)
            tx.execute(
                SQL.record_migration,
                component=component,
                number=migration.number,
                name=migration.name,
                serves=migration.serves,
                applied_at=self._clock.now_ms(),
            )

    def _step_down(self, component: str, migration: Migration) -> None:
        with self._database.write() as tx:
            if self._versions(tx).get(component, 0) != migration.number:
                return
            tx.run_script(migration.down)
            tx.execute(SQL.forget_migration, component=component, number=migration.number)


def _parse(number: int, name: str, text: str) -> Migration:
    parts = _PARTS.search(text)
    if parts is None:
        raise MigrationError(
            f"The migration {number:04d}_{name} needs a line '-- up' and then a line '-- down'."
        )
    serves = _SERVES.search(text[: parts.start()])
    return Migration(
        number=number,
        name=name,
        serves=int(serves[1]) if serves else number,
        up=parts["up"],
        down=parts["down"],
    )


def _files_of(package: str, folder: str) -> list[tuple[str, str]]:
    """Return the names and texts of the files of a folder inside a package, sorted by name."""
    for root in import_module(package).__path__:
        directory = os.path.join(root, *folder.split("/"))
        if os.path.isdir(directory):
            paths = [Path(directory, name) for name in sorted(os.listdir(directory))]
            return [(path.name, path.read_text(encoding="utf-8")) for path in paths if path.suffix == ".sql"]
    # Importing importlib.resources costs 10 ms, and only a program packed into an archive needs it.
    from importlib import resources

    entries = resources.files(package).joinpath(*folder.split("/")).iterdir()
    return sorted((entry.name, entry.read_text("utf-8")) for entry in entries if entry.name.endswith(".sql"))
