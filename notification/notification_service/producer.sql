-- SPDX-License-Identifier: Apache-2.0
-- Which sequences of which producer are in the log, and the registered clients.

-- name: last_run
SELECT first_sequence, last_sequence, first_offset
FROM producer_run
WHERE producer = :producer
ORDER BY first_sequence DESC
LIMIT 1;

-- name: runs_between
-- The runs of a producer that touch a stretch of sequences, and the one before them.
SELECT first_sequence, last_sequence, first_offset
FROM producer_run
WHERE producer = :producer AND first_sequence <= :last_sequence AND first_sequence >= COALESCE(
    (SELECT MAX(first_sequence) FROM producer_run WHERE producer = :producer AND first_sequence <= :first_sequence), 0)
ORDER BY first_sequence;

-- name: removed_through
SELECT removed_through FROM producer_mark WHERE producer = :producer;

-- name: begin_run
INSERT INTO producer_run (producer, first_sequence, last_sequence, first_offset)
VALUES (:producer, :first_sequence, :last_sequence, :first_offset);

-- name: extend_run
UPDATE producer_run SET last_sequence = :last_sequence
WHERE producer = :producer AND first_sequence = :first_sequence;

-- name: last_sequence
-- The highest sequence that a producer ever used; NULL for a new one.
SELECT MAX(s) FROM (
    SELECT MAX(last_sequence) AS s FROM producer_run WHERE producer = :producer
    UNION ALL
    SELECT removed_through FROM producer_mark WHERE producer = :producer
);

-- name: mark_removed
-- Remember the sequences of the runs whose last event lies at or below the floor.
INSERT INTO producer_mark (producer, removed_through)
SELECT producer, MAX(last_sequence)
FROM producer_run
WHERE first_offset + last_sequence - first_sequence <= :floor
GROUP BY producer
ON CONFLICT (producer) DO UPDATE SET removed_through = MAX(removed_through, excluded.removed_through);

-- name: remove_runs
DELETE FROM producer_run WHERE first_offset + last_sequence - first_sequence <= :floor;

-- name: register_client
INSERT INTO notification_client (namespace, sender, registered_at) VALUES (:namespace, :sender, :registered_at);

-- name: find_client
SELECT id FROM notification_client WHERE id = :id AND deleted_at IS NULL;

-- name: delete_client
UPDATE notification_client SET deleted_at = :deleted_at WHERE id = :id AND deleted_at IS NULL;
