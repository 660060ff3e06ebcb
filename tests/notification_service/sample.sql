-- SPDX-License-Identifier: Apache-2.0
-- A table of the tests' own.

-- name: create_thing
CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER) STRICT;

-- name: add_thing
INSERT INTO thing (name, size) VALUES (:name, :size);

-- name: resize_all
UPDATE thing SET size = :size WHERE size < :below;

-- name: list_things
SELECT name, size FROM thing ORDER BY id;

-- name: find_thing
SELECT id, size FROM thing WHERE name = :name;

-- name: store_value
INSERT INTO thing (name, size) VALUES (:name, LENGTH(:data));
