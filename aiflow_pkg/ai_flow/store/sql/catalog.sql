-- SPDX-License-Identifier: Apache-2.0
-- Namespaces, workflows, snapshots and triggers.

-- name: store_id
-- The identity of this store; reset and restore change it.
SELECT store_id FROM store_info WHERE id = 1;

-- name: namespace_exists
-- One row if there is such a namespace.
SELECT name FROM namespace WHERE name = :name;

-- name: workflow_by_name
-- One workflow by its name.
SELECT id, namespace, name, snapshot_id, is_enabled, created_at, updated_at
FROM workflow WHERE namespace = :namespace AND name = :name;

-- name: workflow_by_id
-- One workflow by its id.
SELECT id, namespace, name, snapshot_id, is_enabled, created_at, updated_at FROM workflow WHERE id = :id;

-- name: list_workflows
-- A page of the workflows of a namespace.
SELECT id, namespace, name, snapshot_id, is_enabled, created_at, updated_at
FROM workflow WHERE namespace = :namespace AND id > :after_id ORDER BY id LIMIT :limit;

-- name: insert_workflow
-- A workflow is uploaded for the first time.
INSERT INTO workflow (namespace, name, snapshot_id, is_enabled, created_at, updated_at)
VALUES (:namespace, :name, NULL, 1, :now, :now);

-- name: set_snapshot
-- A workflow is uploaded again: new executions use this snapshot.
UPDATE workflow SET snapshot_id = :snapshot_id, updated_at = :now WHERE id = :id;

-- name: set_enabled
-- Enable or disable a workflow.
UPDATE workflow SET is_enabled = :is_enabled WHERE id = :id;

-- name: latest_same_snapshot
-- The workflow's present snapshot, if it has this very content.
SELECT s.id FROM workflow AS w JOIN workflow_snapshot AS s ON s.id = w.snapshot_id
WHERE w.id = :workflow_id AND s.bundle = :bundle AND s.graph = :graph AND s.python = :python;

-- name: insert_snapshot
-- A new version of a workflow.
INSERT INTO workflow_snapshot (workflow_id, bundle, entry, graph, imports, python, content, created_at)
VALUES (:workflow_id, :bundle, :entry, :graph, :imports, :python, :content, :now);

-- name: snapshot_by_id
-- One snapshot.
SELECT id, workflow_id, bundle, entry, graph, imports, python, content, created_at
FROM workflow_snapshot WHERE id = :id;

-- name: list_snapshots
-- A page of the snapshots of a workflow.
SELECT id, workflow_id, bundle, entry, graph, imports, python, content, created_at
FROM workflow_snapshot WHERE workflow_id = :workflow_id AND id > :after_id ORDER BY id LIMIT :limit;

-- name: insert_trigger
-- Add a trigger to a workflow.
INSERT INTO workflow_trigger (
    workflow_id, snapshot_id, condition, rule, python, is_paused, created_at, created_offset
) VALUES (:workflow_id, :snapshot_id, :condition, :rule, :python, 0, :now, :created_offset);

-- name: trigger_by_id
-- One trigger.
SELECT id, workflow_id, snapshot_id, condition, rule, python, is_paused, created_at
FROM workflow_trigger WHERE id = :id;

-- name: list_triggers
-- A page of the triggers of a workflow.
SELECT id, workflow_id, snapshot_id, condition, rule, python, is_paused, created_at
FROM workflow_trigger WHERE workflow_id = :workflow_id AND id > :after_id ORDER BY id LIMIT :limit;

-- name: set_trigger_paused
-- Pause or resume a trigger.
UPDATE workflow_trigger SET is_paused = :is_paused WHERE id = :id;

-- name: delete_trigger
-- Remove a trigger.
DELETE FROM workflow_trigger WHERE id = :id;
