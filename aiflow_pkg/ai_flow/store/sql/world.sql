-- SPDX-License-Identifier: Apache-2.0
-- The engine's state between steps: what the holder of the scheduler lease loads once and then writes.

-- name: cursor
-- The offset of the last event that the scheduler has processed.
SELECT event_offset FROM scheduler_cursor WHERE id = 1;

-- name: move_cursor
-- Move the cursor from where this scheduler left it; no row: somebody else moved it.
UPDATE scheduler_cursor SET event_offset = :to_offset WHERE id = 1 AND event_offset = :from_offset;

-- name: live_executions
-- Executions that have not finished, oldest first.
SELECT id, workflow_id, snapshot_id, status, owner, created_offset, begin_at, stop_origin, stop_reason, waits_for
FROM workflow_execution WHERE status IN ('INIT', 'RUNNING') ORDER BY id;

-- name: execution
-- One execution in the shape of live_executions.
SELECT id, workflow_id, snapshot_id, status, owner, created_offset, begin_at, stop_origin, stop_reason, waits_for
FROM workflow_execution WHERE id = :id;

-- name: latest_runs
-- The latest run of every task of an execution.
SELECT t.task_name, t.sequence_number, t.status, t.try_number, t.begin_at, t.end_at, t.reason, t.retry_at,
       t.stop_origin, t.then_start
FROM task_execution AS t
WHERE t.workflow_execution_id = :workflow_execution_id
  AND t.sequence_number = (
      SELECT max(l.sequence_number) FROM task_execution AS l
      WHERE l.workflow_execution_id = t.workflow_execution_id AND l.task_name = t.task_name
  )
ORDER BY t.id;

-- name: present_attempts
-- The attempts of the runs that have one, oldest first: the last of a run is its present one. It may have an
-- outcome already, which its owner recorded and the scheduler has yet to read.
SELECT a.id, a.task_name, a.sequence_number, a.try_number, a.claimed_by, a.claimed_at, a.stop_requested
FROM task_execution AS t
JOIN attempt AS a ON a.workflow_execution_id = t.workflow_execution_id AND a.task_name = t.task_name
    AND a.sequence_number = t.sequence_number
WHERE t.workflow_execution_id = :workflow_execution_id AND t.status IN ('QUEUED', 'RUNNING', 'STOPPING')
ORDER BY a.rowid;

-- name: ticks
-- Due times of the periodic tasks of an execution.
SELECT task_name, due_at FROM task_timer WHERE workflow_execution_id = :workflow_execution_id;

-- name: states
-- All states of a scope.
SELECT name, encoding, data FROM state WHERE scope_kind = :scope_kind AND scope_id = :scope_id;

-- name: inboxes
-- Everything that waits in an inbox, in order.
SELECT id, scope_kind, scope_id, event_offset, event_key, statuses, changed_task, reported_status
FROM inbox ORDER BY id;

-- name: update_execution
-- Write the present form of an execution over the form that the scheduler knows.
UPDATE workflow_execution
SET status = :status, begin_at = :begin_at, end_at = :end_at, reason = :reason, waits_for = :waits_for,
    stop_origin = :stop_origin, stop_reason = :stop_reason
WHERE id = :id AND status = :stored_status;

-- name: insert_run
-- A task execution came into being.
INSERT INTO task_execution (
    workflow_execution_id, task_name, sequence_number, status, try_number, begin_at, end_at, reason, retry_at,
    stop_origin, then_start
) VALUES (
    :workflow_execution_id, :task_name, :sequence_number, :status, :try_number, :begin_at, :end_at, :reason,
    :retry_at, :stop_origin, :then_start
);

-- name: update_run
-- Write the present form of a task execution over the form that the scheduler knows.
UPDATE task_execution
SET status = :status, try_number = :try_number, end_at = :end_at, reason = :reason, retry_at = :retry_at,
    stop_origin = :stop_origin, then_start = :then_start
WHERE workflow_execution_id = :workflow_execution_id AND task_name = :task_name
  AND sequence_number = :sequence_number AND status = :stored_status;

-- name: insert_attempt
-- An attempt was queued, and perhaps claimed in the same step.
INSERT INTO attempt (
    id, workflow_execution_id, task_name, sequence_number, try_number, owner, claimed_by, claimed_at,
    stop_requested, outcome
) VALUES (
    :id, :workflow_execution_id, :task_name, :sequence_number, :try_number, :owner, :claimed_by, :claimed_at,
    :stop_requested, :outcome
);

-- name: claim_attempt
-- The own executor takes an attempt that nobody has claimed.
UPDATE attempt SET claimed_by = :claimed_by, claimed_at = :claimed_at
WHERE id = :id AND claimed_by IS NULL AND outcome IS NULL;

-- name: request_stop
-- Ask the owner of an attempt to stop it.
UPDATE attempt SET stop_requested = 1 WHERE id = :id AND outcome IS NULL;

-- name: revoke_attempt
-- Close an attempt that nobody has claimed.
UPDATE attempt SET outcome = 'REVOKED', finished_at = :finished_at
WHERE id = :id AND claimed_by IS NULL AND outcome IS NULL;

-- name: close_attempts
-- Close whatever is open of an execution whose processes are gone.
UPDATE attempt SET outcome = 'LOST', reason = :reason, finished_at = :finished_at
WHERE workflow_execution_id = :workflow_execution_id AND outcome IS NULL;

-- name: put_state
-- Set a state.
INSERT INTO state (scope_kind, scope_id, name, encoding, data)
VALUES (:scope_kind, :scope_id, :name, :encoding, :data)
ON CONFLICT (scope_kind, scope_id, name) DO UPDATE SET encoding = excluded.encoding, data = excluded.data;

-- name: delete_state
-- Clear a state.
DELETE FROM state WHERE scope_kind = :scope_kind AND scope_id = :scope_id AND name = :name;

-- name: insert_parked
-- An event begins to wait in an inbox.
INSERT INTO inbox (scope_kind, scope_id, event_offset, event_key, statuses, changed_task, reported_status)
VALUES (:scope_kind, :scope_id, :event_offset, :event_key, :statuses, :changed_task, :reported_status);

-- name: delete_parked
-- An event leaves an inbox.
DELETE FROM inbox WHERE id = :id;

-- name: put_tick
-- Set when a periodic task is due.
INSERT INTO task_timer (workflow_execution_id, task_name, due_at)
VALUES (:workflow_execution_id, :task_name, :due_at)
ON CONFLICT (workflow_execution_id, task_name) DO UPDATE SET due_at = excluded.due_at;

-- name: delete_tick
-- A periodic task is due no more.
DELETE FROM task_timer WHERE workflow_execution_id = :workflow_execution_id AND task_name = :task_name;

-- name: insert_never_started
-- Say why a task of a finished execution never ran.
INSERT INTO never_started (workflow_execution_id, task_name, reason)
VALUES (:workflow_execution_id, :task_name, :reason);

-- name: insert_evaluation
-- One rule met one event.
INSERT INTO evaluation (
    scope_kind, scope_id, task_name, rule_index, event_offset, last_offset, event_count, verdict, action, outcome,
    error, evaluated_at
) VALUES (
    :scope_kind, :scope_id, :task_name, :rule_index, :event_offset, :event_offset, 1, :verdict, :action, :outcome,
    :error, :evaluated_at
);

-- name: fold_evaluation
-- The same rule said "no" again.
UPDATE evaluation
SET event_count = event_count + 1, last_offset = :event_offset, evaluated_at = :evaluated_at
WHERE id = :id;

-- name: insert_failure
-- A rule could not process an event.
INSERT INTO rule_failure (scope_kind, scope_id, task_name, rule_index, event_offset, error, failed_at)
VALUES (:scope_kind, :scope_id, :task_name, :rule_index, :event_offset, :error, :failed_at);

-- name: insert_refusal
-- A command could not be carried out.
INSERT INTO refusal (event_offset, reason) VALUES (:event_offset, :reason) ON CONFLICT (event_offset) DO NOTHING;

-- name: workflows_with_triggers
-- Workflows that events can start.
SELECT DISTINCT w.id, w.namespace, w.name, w.is_enabled
FROM workflow AS w JOIN workflow_trigger AS t ON t.workflow_id = w.id ORDER BY w.id;

-- name: workflow
-- One workflow in the shape of workflows_with_triggers.
SELECT id, namespace, name, is_enabled FROM workflow WHERE id = :id;

-- name: triggers
-- The triggers of a workflow.
SELECT id, condition, is_paused, created_offset FROM workflow_trigger WHERE workflow_id = :workflow_id ORDER BY id;

-- name: latest_snapshot
-- The snapshot that new executions of a workflow use.
SELECT snapshot_id FROM workflow WHERE id = :id;

-- name: snapshot
-- What is needed to run a snapshot's tasks.
SELECT graph, bundle, entry, imports, python FROM workflow_snapshot WHERE id = :id;
