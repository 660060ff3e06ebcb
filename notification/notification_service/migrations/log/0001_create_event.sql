-- SPDX-License-Identifier: Apache-2.0
-- The append-only event log and the clients that are registered with it.

-- up
CREATE TABLE event (
    "offset"    INTEGER PRIMARY KEY,
    "key"       TEXT NOT NULL,
    value       TEXT NOT NULL,
    namespace   TEXT NOT NULL,
    sender      TEXT NOT NULL,
    context     TEXT NOT NULL,
    create_time INTEGER NOT NULL,  -- what users see: does not go back, and close to the clock
    appended_at INTEGER NOT NULL   -- the clock at the append, which is what retention goes by
) STRICT;

-- The bottom of the log; offsets go on from it when every event was removed.
CREATE TABLE log_head (
    id               INTEGER PRIMARY KEY CHECK (id = 1),
    removed_through  INTEGER NOT NULL,  -- events up to this offset were removed by retention
    last_create_time INTEGER NOT NULL   -- of the last event that was removed
) STRICT;

INSERT INTO log_head (id, removed_through, last_create_time) VALUES (1, 0, 0);

-- Which sequences of a producer are which offsets. A run is a stretch in which both rise by one, so a sender
-- that is not interrupted has one row. It tells a repeated append from a new one.
CREATE TABLE producer_run (
    producer       TEXT NOT NULL,
    first_sequence INTEGER NOT NULL,
    last_sequence  INTEGER NOT NULL,
    first_offset   INTEGER NOT NULL,
    PRIMARY KEY (producer, first_sequence),
    CHECK (last_sequence >= first_sequence)
) STRICT, WITHOUT ROWID;

-- The highest sequence of each producer whose run retention has removed; it outlives the events.
CREATE TABLE producer_mark (
    producer        TEXT PRIMARY KEY,
    removed_through INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE notification_client (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace     TEXT,
    sender        TEXT,
    registered_at INTEGER NOT NULL,
    deleted_at    INTEGER
) STRICT;

-- down
DROP TABLE notification_client;
DROP TABLE producer_mark;
DROP TABLE producer_run;
DROP TABLE log_head;
DROP TABLE event;
