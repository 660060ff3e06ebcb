-- SPDX-License-Identifier: Apache-2.0
-- How executions stand, for whoever watches them.

-- name: standing
-- How one execution stands.
SELECT status, reason, waits_for, stop_origin, begin_at, end_at FROM workflow_execution WHERE id = :id;

-- name: unowned_is_busy
-- One row if an execution of nobody has anything to run.
SELECT id FROM workflow_execution
WHERE status IN ('INIT', 'RUNNING') AND owner IS NULL AND waits_for IS NULL LIMIT 1;

-- name: trigger_is_pending
-- One row if an event waits for the condition of a trigger.
SELECT id FROM inbox WHERE scope_kind = 'workflow' LIMIT 1;

-- name: last_rule_failure
-- The newest event that some rule could not process.
SELECT coalesce(max(id), 0) FROM rule_failure;

-- name: trigger_failures_after
-- The next events that triggers could not process.
SELECT f.id, w.name, f.rule_index, f.event_offset, f.error, f.failed_at
FROM rule_failure AS f JOIN workflow AS w ON w.id = f.scope_id
WHERE f.scope_kind = 'workflow' AND f.id > :after_id
ORDER BY f.id LIMIT :limit;

-- name: rule_failures_after
-- The next events that rules of an execution could not process.
SELECT id, task_name, rule_index, event_offset, error, failed_at
FROM rule_failure
WHERE scope_kind = 'execution' AND scope_id = :workflow_execution_id AND id > :after_id
ORDER BY id LIMIT :limit;
