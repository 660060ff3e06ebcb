# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a database, whatever its kind.

DatabaseError
+-- DatabaseUnavailableError     cannot be opened, read or written where it lies
+-- NetworkFileSystemError       lies where file locks cannot be trusted
+-- DiskFullError                no room for the next page
+-- DatabaseCorruptError         not a database, or a damaged one
+-- ForeignDatabaseError         a sound database, but of another program
+-- DatabaseBusyError            another process held the write lock for too long
+-- DatabaseGoneError            the file was removed or replaced under us
+-- NewerSchemaError             written by a newer program that this one cannot serve
+-- MigrationError               a migration is missing or does not apply
+-- ConstraintError              a statement broke a constraint of the schema
+-- UnsupportedSqliteError       the SQLite library is too old to be trusted
+-- MisuseError                  the program used the port in a way that it forbids
"""

from __future__ import annotations

from pathlib import Path

from notification_service.errors import NotificationError


class DatabaseError(NotificationError):
    """The root of all database errors."""

    code = "database_error"


class DatabaseUnavailableError(DatabaseError):
    """The file or its directory cannot be used."""

    code = "database_unavailable"

    def __init__(self, path: Path, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"Cannot open the store {path}: {reason}.", hint=hint)
        self.path = path


class NetworkFileSystemError(DatabaseError):
    """SQLite's locks and shared memory do not work across machines."""

    code = "network_file_system"

    def __init__(self, path: Path, mount_point: str, file_system: str) -> None:
        super().__init__(
            f"Cannot keep the store {path} on the network file system {file_system} mounted at "
            f"{mount_point}: "
            "file locks are not reliable there, and the store could be damaged.",
            hint="Set AIFLOW_HOME to a directory on a local disk.",
        )
        self.path = path
        self.file_system = file_system


class DiskFullError(DatabaseError):
    """The write did not happen; nothing was changed."""

    code = "disk_full"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"Cannot write to the store {path}: the disk or the quota is full. Nothing was changed.",
            hint="Free some space and try again.",
        )
        self.path = path


class DatabaseCorruptError(DatabaseError):
    """SQLite found something that no sound database contains."""

    code = "database_corrupt"

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(
            f"The store {path} is damaged or not a database ({found}).",
            hint="Restore it from a backup, or move it away to start with an empty store.",
        )
        self.path = path


class ForeignDatabaseError(DatabaseError):
    """A SQLite database that aiflow did not make."""

    code = "foreign_database"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The file {path} is a SQLite database of another program; it was left as it is.",
            hint="Name another file for the store of aiflow.",
        )
        self.path = path


class DatabaseBusyError(DatabaseError):
    """Some other process does not let go of the database."""

    code = "database_busy"

    def __init__(self, path: Path, waited_s: float) -> None:
        super().__init__(
            f"Could not get the store {path} for {waited_s:.0f} s: another process is keeping it for itself.",
            hint="Look for a stopped or hanging process that has this file open.",
        )
        self.path = path


class DatabaseGoneError(DatabaseError):
    """What would be written now would be lost, so nothing is written."""

    code = "database_gone"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The store {path} was removed or replaced while it was in use; nothing more can be written "
            "to it.",
            hint="Start this program again.",
        )
        self.path = path


class NewerSchemaError(DatabaseError):
    """The stored schema no longer serves a program of this age."""

    code = "newer_schema"

    def __init__(self, path: Path, component: str, found: int, known: int) -> None:
        super().__init__(
            f"The store {path} was written by a newer version of aiflow: its {component} schema is "
            f"{found}, and "
            f"this program knows {known}.",
            hint="Upgrade aiflow, or name another home with AIFLOW_HOME.",
        )
        self.path = path
        self.component = component
        self.found = found
        self.known = known


class MigrationError(DatabaseError):
    """The migrations of a component cannot be read or applied."""

    code = "migration_failed"


class ConstraintError(DatabaseError):
    """A unique key, check or foreign key of the schema refused a statement."""

    code = "constraint"

    def __init__(self, statement: str, found: str) -> None:
        super().__init__(f"The statement {statement} was refused by the schema: {found}.")
        self.statement = statement


class UnsupportedSqliteError(DatabaseError):
    """SQLite versions before 3.51.3 can corrupt a database when the write-ahead log is reset."""

    code = "unsupported_sqlite"

    def __init__(self, found: str, needed: str) -> None:
        super().__init__(
            f"SQLite {found} is too old: {needed} or newer is needed, because older ones can damage a "
            "store when "
            "they reset its write-ahead log.",
            hint="Upgrade the package apsw.",
        )
        self.found = found


class MisuseError(DatabaseError):
    """A fault of the calling program, not of the data."""

    code = "misuse"


def is_passing(error: DatabaseError) -> bool:
    """Tell whether the same transaction may succeed later: room is made, a lock or a device comes free."""
    return isinstance(error, (DiskFullError, DatabaseBusyError, DatabaseUnavailableError))
