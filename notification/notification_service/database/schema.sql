-- SPDX-License-Identifier: Apache-2.0
-- Which migrations a database has behind it, per component.

-- name: has_migration_table
-- 1 when any program of ours has been here.
SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = 'migration';

-- name: create_migration_table
CREATE TABLE IF NOT EXISTS migration (
    component  TEXT NOT NULL,
    number     INTEGER NOT NULL,
    name       TEXT NOT NULL,
    serves     INTEGER NOT NULL,  -- the oldest schema number that a program may know and still work here
    applied_at INTEGER NOT NULL,
    PRIMARY KEY (component, number)
) STRICT, WITHOUT ROWID;

-- name: list_migrations
SELECT component, number, serves FROM migration ORDER BY component, number;

-- name: record_migration
INSERT INTO migration (component, number, name, serves, applied_at)
VALUES (:component, :number, :name, :serves, :applied_at);

-- name: forget_migration
DELETE FROM migration WHERE component = :component AND number = :number;
