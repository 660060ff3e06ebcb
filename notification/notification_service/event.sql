-- SPDX-License-Identifier: Apache-2.0
-- The event log. Offsets are dense: each event's is one above the last, and retention removes only the oldest.

-- name: lock_head
-- Where the log begins and ends; the first statement of every append, so that appends go one at a time.
SELECT h.removed_through, e."offset", COALESCE(e.create_time, h.last_create_time)
FROM log_head AS h
LEFT JOIN event AS e ON e."offset" = (SELECT MAX("offset") FROM event)
WHERE h.id = 1;

-- name: append_event
INSERT INTO event ("offset", "key", value, namespace, sender, context, create_time, appended_at)
VALUES (:offset, :key, :value, :namespace, :sender, :context, :create_time, :appended_at);

-- name: read_bounds
-- Where the log begins and ends, for readers.
SELECT removed_through, (SELECT MAX("offset") FROM event) FROM log_head WHERE id = 1;

-- name: read_after
SELECT "offset", "key", value, namespace, sender, context, create_time
FROM event
WHERE "offset" > :begin_offset AND "offset" <= :end_offset
ORDER BY "offset";

-- name: measure_after
-- How much text a page would hold, without reading it.
SELECT COALESCE(SUM(octet_length(value) + octet_length(context)), 0)
FROM event
WHERE "offset" > :begin_offset AND "offset" <= :end_offset;

-- name: scan_matching
-- A page of events that match; NULL means any. Scans no more offsets than the caller bounds.
SELECT "offset", "key", value, namespace, sender, context, create_time
FROM event
WHERE "offset" > :begin_offset AND "offset" <= :end_offset
  AND (:key IS NULL OR "key" = :key)
  AND (:namespace IS NULL OR namespace = :namespace)
  AND (:sender IS NULL OR sender = :sender)
ORDER BY "offset"
LIMIT :limit;

-- name: count_matching
-- How many events of which sender match; NULL means any.
SELECT sender, COUNT(*)
FROM event
WHERE "offset" > :begin_offset AND "offset" <= :end_offset
  AND (:key IS NULL OR "key" = :key)
  AND (:namespace IS NULL OR namespace = :namespace)
  AND (:sender IS NULL OR sender = :sender)
GROUP BY sender;

-- name: create_time_at
SELECT create_time FROM event WHERE "offset" = :offset;

-- name: remove_through
DELETE FROM event WHERE "offset" > :begin_offset AND "offset" <= :end_offset;

-- name: raise_floor
UPDATE log_head SET removed_through = :removed_through, last_create_time = :last_create_time WHERE id = 1;
