-- SPDX-License-Identifier: Apache-2.0
-- What a process needs to know to run tasks and conditions.

-- name: snapshot
-- The files, the graph and the Python of a snapshot.
SELECT workflow_id, bundle, entry, graph, imports, python FROM workflow_snapshot WHERE id = :id;

-- name: execution
-- What an execution's tasks are told about it.
SELECT workflow_id, snapshot_id, run_type, status, begin_at, params FROM workflow_execution WHERE id = :id;

-- name: trigger
-- The user's own rule object, and the snapshot that it was made beside.
SELECT snapshot_id, rule, python FROM workflow_trigger WHERE id = :id;
