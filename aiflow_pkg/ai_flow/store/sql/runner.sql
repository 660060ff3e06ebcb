-- SPDX-License-Identifier: Apache-2.0
-- The processes that supervise tasks.

-- name: insert_runner
-- A process begins to supervise.
INSERT INTO runner (id, kind, boot_id, pid, process_created, takes_unowned, started_at)
VALUES (:id, :kind, :boot_id, :pid, :process_created, :takes_unowned, :started_at);

-- name: end_runner
-- A process supervises no more.
UPDATE runner SET ended_at = :ended_at WHERE id = :id AND ended_at IS NULL;

-- name: present_runners
-- Processes that have not said that they ended.
SELECT id, boot_id, pid, process_created FROM runner WHERE ended_at IS NULL;

-- name: ended_at
-- When a process ended; nothing for one that never supervised here.
SELECT ended_at FROM runner WHERE id = :id;
