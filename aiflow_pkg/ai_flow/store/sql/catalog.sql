-- SPDX-License-Identifier: Apache-2.0
-- Namespaces, workflows, snapshots and triggers.

-- name: store_id
-- The identity of this store; reset and restore change it.
SELECT store_id FROM store_info WHERE id = 1;

-- name: namespace_exists
-- One row if there is such a namespace.
SELECT name FROM namespace WHERE name = :name;

-- name: namespace_by_name
-- One namespace.
SELECT name, properties FROM namespace WHERE name = :name;

-- name: list_namespaces
-- A page of the namespaces.
SELECT name, properties FROM namespace ORDER BY name LIMIT :limit OFFSET :offset;

-- name: insert_namespace
-- Add a namespace.
INSERT INTO namespace (name, properties) VALUES (:name, :properties);

-- name: set_namespace_properties
-- Give a namespace other properties.
UPDATE namespace SET properties = :properties WHERE name = :name;

-- name: workflow_in_namespace
-- One row if the namespace holds any workflow.
SELECT id FROM workflow WHERE namespace = :namespace LIMIT 1;

-- name: delete_namespace
-- Remove an empty namespace.
DELETE FROM namespace WHERE name = :name;

-- name: workflow_by_name
-- One workflow by its name.
SELECT id, namespace, name, snapshot_id, is_enabled, created_at, updated_at
FROM workflow WHERE namespace = :namespace AND name = :name;

-- name: workflow_by_id
-- One workflow by its id.
SELECT id, namespace, name, snapshot_id, is_enabled, created_at, updated_at FROM workflow WHERE id = :id;

-- name: workflow_version
-- One workflow by its name, with its latest snapshot if it has any.
SELECT w.id, w.namespace, w.name, w.snapshot_id, w.is_enabled, w.created_at, w.updated_at, s.content, s.graph
FROM workflow AS w LEFT JOIN workflow_snapshot AS s ON s.id = w.snapshot_id
WHERE w.namespace = :namespace AND w.name = :name;

-- name: list_workflow_versions
-- A page of the workflows of a namespace, each with its latest snapshot if it has any.
SELECT w.id, w.namespace, w.name, w.snapshot_id, w.is_enabled, w.created_at, w.updated_at, s.content, s.graph
FROM workflow AS w LEFT JOIN workflow_snapshot AS s ON s.id = w.snapshot_id
WHERE w.namespace = :namespace AND w.id > :after_id ORDER BY w.id LIMIT :limit OFFSET :offset;

-- name: insert_workflow
-- A workflow is uploaded for the first time.
INSERT INTO workflow (namespace, name, snapshot_id, is_enabled, created_at, updated_at)
VALUES (:namespace, :name, NULL, 1, :now, :now);

-- name: set_snapshot
-- A workflow is uploaded again: new executions use this snapshot.
UPDATE workflow SET snapshot_id = :snapshot_id, updated_at = :now WHERE id = :id;

-- name: forget_snapshot
-- A snapshot goes away; its workflow has none any more if it was the latest.
UPDATE workflow SET snapshot_id = NULL WHERE id = :id AND snapshot_id = :snapshot_id;

-- name: set_enabled
-- Enable or disable a workflow.
UPDATE workflow SET is_enabled = :is_enabled WHERE id = :id;

-- name: delete_workflow
-- Remove a workflow that nothing refers to any more.
DELETE FROM workflow WHERE id = :id;

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
FROM workflow_snapshot WHERE workflow_id = :workflow_id AND id > :after_id
ORDER BY id LIMIT :limit OFFSET :offset;

-- name: snapshot_ids
-- All snapshots of a workflow.
SELECT id FROM workflow_snapshot WHERE workflow_id = :workflow_id ORDER BY id;

-- name: execution_of_snapshot
-- One execution that is pinned to a snapshot of its workflow.
SELECT id FROM workflow_execution WHERE workflow_id = :workflow_id AND snapshot_id = :snapshot_id LIMIT 1;

-- name: trigger_of_snapshot
-- One trigger that needs a snapshot: it was added to it, or would start executions of it.
SELECT t.id FROM workflow_trigger AS t JOIN workflow AS w ON w.id = t.workflow_id
WHERE t.workflow_id = :workflow_id AND (t.snapshot_id = :snapshot_id OR w.snapshot_id = :snapshot_id) LIMIT 1;

-- name: delete_snapshot
-- Remove a snapshot that nothing refers to.
DELETE FROM workflow_snapshot WHERE id = :id;

-- name: delete_snapshots
-- Remove the snapshots of a workflow that goes away.
DELETE FROM workflow_snapshot WHERE workflow_id = :workflow_id;

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
FROM workflow_trigger WHERE workflow_id = :workflow_id AND id > :after_id
ORDER BY id LIMIT :limit OFFSET :offset;

-- name: set_trigger_paused
-- Pause or resume a trigger.
UPDATE workflow_trigger SET is_paused = :is_paused WHERE id = :id;

-- name: delete_trigger
-- Remove a trigger.
DELETE FROM workflow_trigger WHERE id = :id;

-- name: delete_triggers
-- Remove all triggers of a workflow.
DELETE FROM workflow_trigger WHERE workflow_id = :workflow_id;

-- name: delete_workflow_states
-- Remove what the triggers of a workflow remember.
DELETE FROM state WHERE scope_kind = 'workflow' AND scope_id = :workflow_id;

-- name: delete_workflow_inbox
-- Remove the events that wait for a workflow's triggers.
DELETE FROM inbox WHERE scope_kind = 'workflow' AND scope_id = :workflow_id;

-- name: delete_workflow_evaluations
-- Remove the evaluations of a workflow's triggers.
DELETE FROM evaluation WHERE scope_kind = 'workflow' AND scope_id = :workflow_id;

-- name: delete_workflow_failures
-- Remove the failures of a workflow's triggers.
DELETE FROM rule_failure WHERE scope_kind = 'workflow' AND scope_id = :workflow_id;
