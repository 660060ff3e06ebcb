-- SPDX-License-Identifier: Apache-2.0
-- One row per lease; a lease that nobody holds keeps its term with an empty holder.

-- name: lease
-- Who holds a lease.
SELECT term, holder, boot_id, pid, process_created, expires_at_boot_ms FROM lease WHERE name = :name;

-- name: take_lease
-- Take a lease from the term that was seen free.
INSERT INTO lease (name, term, holder, boot_id, pid, process_created, expires_at_boot_ms)
VALUES (:name, :term, :holder, :boot_id, :pid, :process_created, :expires_at_boot_ms)
ON CONFLICT (name) DO UPDATE SET
    term = excluded.term, holder = excluded.holder, boot_id = excluded.boot_id, pid = excluded.pid,
    process_created = excluded.process_created, expires_at_boot_ms = excluded.expires_at_boot_ms
WHERE lease.term = :term - 1;

-- name: renew_lease
-- Prolong a term that is still the present one; no row: it is not.
UPDATE lease SET expires_at_boot_ms = :expires_at_boot_ms
WHERE name = :name AND term = :term AND holder = :holder;

-- name: check_term
-- One row if the term is the present one.
SELECT 1 FROM lease WHERE name = :name AND term = :term AND holder = :holder;

-- name: resign_lease
-- Give a term back; the next taker need not wait.
UPDATE lease SET holder = '' WHERE name = :name AND term = :term AND holder = :holder;
