-- SPDX-License-Identifier: Apache-2.0
-- Executions as people and executors see them.

-- name: insert_execution
-- A new execution, to be started by the scheduler.
INSERT INTO workflow_execution (
    workflow_id, snapshot_id, run_type, status, owner, params, created_offset, trigger_id, begin_at
) VALUES (
    :workflow_id, :snapshot_id, :run_type, 'INIT', :owner, :params, :created_offset, :trigger_id, :begin_at
);

-- name: execution_by_id
-- One execution.
SELECT id, workflow_id, snapshot_id, run_type, status, begin_at, end_at, reason, waits_for, owner, params
FROM workflow_execution WHERE id = :id;

-- name: list_executions
-- A page of the executions of a workflow.
SELECT id, workflow_id, snapshot_id, run_type, status, begin_at, end_at, reason, waits_for, owner, params
FROM workflow_execution WHERE workflow_id = :workflow_id AND id > :after_id ORDER BY id LIMIT :limit OFFSET :offset;

-- name: live_executions_of_workflow
-- Executions of a workflow that have not finished.
SELECT id FROM workflow_execution WHERE workflow_id = :workflow_id AND status IN ('INIT', 'RUNNING') ORDER BY id;

-- name: list_task_executions
-- A page of the task executions of a workflow execution.
SELECT id, workflow_execution_id, task_name, sequence_number, try_number, status, begin_at, end_at, reason
FROM task_execution WHERE workflow_execution_id = :workflow_execution_id AND id > :after_id
ORDER BY id LIMIT :limit OFFSET :offset;

-- name: task_execution_by_id
-- One task execution.
SELECT id, workflow_execution_id, task_name, sequence_number, try_number, status, begin_at, end_at, reason
FROM task_execution WHERE id = :id;

-- name: latest_task_execution
-- The latest execution of a task.
SELECT id, workflow_execution_id, task_name, sequence_number, try_number, status, begin_at, end_at, reason
FROM task_execution WHERE workflow_execution_id = :workflow_execution_id AND task_name = :task_name
ORDER BY sequence_number DESC LIMIT 1;

-- name: latest_sequence_number
-- The number of the latest task execution of a task; null if it never ran.
SELECT max(sequence_number) FROM task_execution
WHERE workflow_execution_id = :workflow_execution_id AND task_name = :task_name;

-- name: never_started
-- Why tasks of a finished execution never ran.
SELECT task_name, reason FROM never_started WHERE workflow_execution_id = :workflow_execution_id ORDER BY task_name;

-- name: rule_failures
-- Events that rules of an execution could not process.
SELECT id, task_name, rule_index, event_offset, error, failed_at
FROM rule_failure WHERE scope_kind = 'execution' AND scope_id = :workflow_execution_id ORDER BY id;

-- name: evaluations
-- Every evaluation of the rules of an execution, folded.
SELECT task_name, rule_index, event_offset, last_offset, event_count, verdict, action, outcome, error
FROM evaluation WHERE scope_kind = 'execution' AND scope_id = :workflow_execution_id ORDER BY id;

-- name: attempts
-- The attempts of an execution.
SELECT id, task_name, sequence_number, try_number, claimed_by, claimed_at, outcome, reason, exit_code, signal,
       started_at, finished_at, max_rss_bytes, cpu_s
FROM attempt WHERE workflow_execution_id = :workflow_execution_id ORDER BY rowid;

-- name: params
-- The parameters of an execution.
SELECT params FROM workflow_execution WHERE id = :id;

-- name: execution_ids
-- The oldest executions of a workflow.
SELECT id FROM workflow_execution WHERE workflow_id = :workflow_id ORDER BY id LIMIT :limit;

-- name: delete_some_evaluations
-- Remove some evaluations of an execution that goes away; there can be very many.
DELETE FROM evaluation WHERE id IN (
    SELECT id FROM evaluation WHERE scope_kind = 'execution' AND scope_id = :workflow_execution_id LIMIT :limit
);

-- name: delete_some_attempts
-- Remove some attempts of an execution that goes away.
DELETE FROM attempt WHERE id IN (
    SELECT id FROM attempt WHERE workflow_execution_id = :workflow_execution_id LIMIT :limit
);

-- name: delete_some_task_executions
-- Remove some task executions of an execution that goes away.
DELETE FROM task_execution WHERE id IN (
    SELECT id FROM task_execution WHERE workflow_execution_id = :workflow_execution_id LIMIT :limit
);

-- name: delete_ticks
-- Remove the timers of an execution that goes away.
DELETE FROM task_timer WHERE workflow_execution_id = :workflow_execution_id;

-- name: delete_never_started
-- Remove why tasks of an execution that goes away never ran.
DELETE FROM never_started WHERE workflow_execution_id = :workflow_execution_id;

-- name: delete_states
-- Remove the states of an execution that goes away.
DELETE FROM state WHERE scope_kind = 'execution' AND scope_id = :workflow_execution_id;

-- name: delete_inbox
-- Remove the inbox of an execution that goes away.
DELETE FROM inbox WHERE scope_kind = 'execution' AND scope_id = :workflow_execution_id;

-- name: delete_failures
-- Remove the rule failures of an execution that goes away.
DELETE FROM rule_failure WHERE scope_kind = 'execution' AND scope_id = :workflow_execution_id;

-- name: delete_execution
-- Remove a finished execution that nothing refers to any more.
DELETE FROM workflow_execution WHERE id = :workflow_execution_id AND status NOT IN ('INIT', 'RUNNING');
