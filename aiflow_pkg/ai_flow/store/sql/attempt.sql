-- SPDX-License-Identifier: Apache-2.0
-- Attempts as the processes that run them see them.

-- name: finish_attempt
-- Record how an attempt ended; no row: that was recorded before.
UPDATE attempt
SET outcome = :outcome, reason = :reason, exit_code = :exit_code, signal = :signal, started_at = :started_at,
    finished_at = :finished_at, max_rss_bytes = :max_rss_bytes, cpu_s = :cpu_s
WHERE id = :id AND outcome IS NULL;

-- name: finish_unclaimed
-- An attempt was stopped before anybody claimed it.
UPDATE attempt SET outcome = 'STOPPED', finished_at = :finished_at
WHERE id = :id AND claimed_by IS NULL AND outcome IS NULL;

-- name: lose
-- Nothing of an attempt is left and nobody knows how it ended.
UPDATE attempt SET outcome = 'LOST', reason = :reason, finished_at = :finished_at
WHERE id = :id AND outcome IS NULL;

-- name: claimable
-- Attempts of an owner that wait for its executor, oldest first.
SELECT a.id, a.workflow_execution_id, e.snapshot_id, a.task_name, a.sequence_number, a.try_number
FROM attempt AS a JOIN workflow_execution AS e ON e.id = a.workflow_execution_id
WHERE a.owner IS :owner AND a.outcome IS NULL AND a.claimed_by IS NULL AND a.stop_requested = 0
ORDER BY a.rowid LIMIT :limit;

-- name: claim
-- Take an attempt that nobody has claimed.
UPDATE attempt SET claimed_by = :claimed_by, claimed_at = :claimed_at
WHERE id = :id AND claimed_by IS NULL AND outcome IS NULL;

-- name: stopped_before_claim
-- Attempts of an owner that were asked to stop before anybody claimed them.
SELECT id FROM attempt
WHERE owner IS :owner AND outcome IS NULL AND claimed_by IS NULL AND stop_requested = 1;

-- name: stops_requested
-- Claimed attempts that their process is asked to stop.
SELECT id FROM attempt
WHERE owner IS :owner AND outcome IS NULL AND claimed_by = :claimed_by AND stop_requested = 1;

-- name: open_of_runner
-- Attempts of an owner that a process has claimed and not finished.
SELECT id FROM attempt WHERE owner IS :owner AND outcome IS NULL AND claimed_by = :claimed_by;
