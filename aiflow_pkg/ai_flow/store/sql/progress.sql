-- SPDX-License-Identifier: Apache-2.0
-- How executions stand, for whoever watches them.

-- name: standing
-- How one execution stands.
SELECT status, reason, waits_for, stop_origin, begin_at, end_at FROM workflow_execution WHERE id = :id;

-- name: unowned_is_busy
-- One row if an execution of nobody has anything to run.
SELECT id FROM workflow_execution
WHERE status IN ('INIT', 'RUNNING') AND owner IS NULL AND waits_for IS NULL LIMIT 1;

-- name: rule_failures_after
-- The next events that rules of an execution could not process.
SELECT id, task_name, rule_index, event_offset, error, failed_at
FROM rule_failure
WHERE scope_kind = 'execution' AND scope_id = :workflow_execution_id AND id > :after_id
ORDER BY id LIMIT :limit;
