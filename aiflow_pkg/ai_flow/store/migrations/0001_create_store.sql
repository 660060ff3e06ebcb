-- SPDX-License-Identifier: Apache-2.0
-- Times are milliseconds since the epoch. The lists in CHECK are the enums of ai_flow.model.

-- up
CREATE TABLE store_info (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    store_id TEXT NOT NULL
) STRICT;
INSERT INTO store_info (id, store_id) VALUES (1, lower(hex(randomblob(16))));

CREATE TABLE scheduler_cursor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    event_offset INTEGER NOT NULL
) STRICT;
INSERT INTO scheduler_cursor (id, event_offset) VALUES (1, 0);

CREATE TABLE namespace (
    name TEXT PRIMARY KEY,
    properties TEXT NOT NULL
) STRICT;
INSERT INTO namespace (name, properties) VALUES ('default', '{}');

CREATE TABLE workflow (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace TEXT NOT NULL REFERENCES namespace (name),
    name TEXT NOT NULL,
    snapshot_id INTEGER,
    is_enabled INTEGER NOT NULL DEFAULT 1 CHECK (is_enabled IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (namespace, name)
) STRICT;

CREATE TABLE workflow_snapshot (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workflow_id INTEGER NOT NULL REFERENCES workflow (id),
    bundle TEXT NOT NULL,
    entry TEXT NOT NULL,
    graph TEXT NOT NULL,
    imports TEXT NOT NULL,
    python TEXT NOT NULL,
    content TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX workflow_snapshot_by_workflow ON workflow_snapshot (workflow_id, id);

CREATE TABLE workflow_trigger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workflow_id INTEGER NOT NULL REFERENCES workflow (id),
    snapshot_id INTEGER NOT NULL REFERENCES workflow_snapshot (id),
    condition TEXT NOT NULL,
    rule BLOB NOT NULL,
    python TEXT NOT NULL,
    is_paused INTEGER NOT NULL DEFAULT 0 CHECK (is_paused IN (0, 1)),
    created_at INTEGER NOT NULL,
    created_offset INTEGER NOT NULL
) STRICT;
CREATE INDEX workflow_trigger_by_workflow ON workflow_trigger (workflow_id, id);

CREATE TABLE workflow_execution (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workflow_id INTEGER NOT NULL REFERENCES workflow (id),
    snapshot_id INTEGER NOT NULL REFERENCES workflow_snapshot (id),
    run_type TEXT NOT NULL CHECK (run_type IN ('MANUAL', 'EVENT', 'PERIODIC')),
    status TEXT NOT NULL CHECK (status IN ('INIT', 'RUNNING', 'SUCCESS', 'FAILED', 'STOPPED')),
    owner TEXT,
    params TEXT NOT NULL,
    created_offset INTEGER NOT NULL,
    trigger_id INTEGER,
    begin_at INTEGER NOT NULL,
    end_at INTEGER,
    reason TEXT,
    waits_for TEXT,
    stop_origin TEXT CHECK (stop_origin IN ('person', 'rule')),
    stop_reason TEXT
) STRICT;
CREATE INDEX workflow_execution_by_workflow ON workflow_execution (workflow_id, id);
CREATE INDEX workflow_execution_live ON workflow_execution (id) WHERE status IN ('INIT', 'RUNNING');

CREATE TABLE task_execution (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workflow_execution_id INTEGER NOT NULL REFERENCES workflow_execution (id),
    task_name TEXT NOT NULL,
    sequence_number INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (
        status IN ('INIT', 'QUEUED', 'RUNNING', 'SUCCESS', 'FAILED', 'STOPPING', 'STOPPED', 'RETRYING')
    ),
    try_number INTEGER NOT NULL,
    begin_at INTEGER NOT NULL,
    end_at INTEGER,
    reason TEXT,
    retry_at INTEGER,
    stop_origin TEXT CHECK (stop_origin IN ('person', 'rule')),
    then_start INTEGER NOT NULL CHECK (then_start IN (0, 1)),
    UNIQUE (workflow_execution_id, task_name, sequence_number)
) STRICT;

CREATE TABLE attempt (
    id TEXT PRIMARY KEY,
    workflow_execution_id INTEGER NOT NULL REFERENCES workflow_execution (id),
    task_name TEXT NOT NULL,
    sequence_number INTEGER NOT NULL,
    try_number INTEGER NOT NULL,
    owner TEXT,
    claimed_by TEXT,
    claimed_at INTEGER,
    stop_requested INTEGER NOT NULL DEFAULT 0 CHECK (stop_requested IN (0, 1)),
    outcome TEXT CHECK (outcome IN ('SUCCESS', 'FAILED', 'STOPPED', 'LOST', 'NEVER_STARTED', 'REVOKED')),
    reason TEXT,
    exit_code INTEGER,
    signal INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    max_rss_bytes INTEGER,
    cpu_s REAL
) STRICT;
CREATE INDEX attempt_by_run ON attempt (workflow_execution_id, task_name, sequence_number);
CREATE INDEX attempt_open ON attempt (owner) WHERE outcome IS NULL;

CREATE TABLE task_timer (
    workflow_execution_id INTEGER NOT NULL REFERENCES workflow_execution (id),
    task_name TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    PRIMARY KEY (workflow_execution_id, task_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE never_started (
    workflow_execution_id INTEGER NOT NULL REFERENCES workflow_execution (id),
    task_name TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (workflow_execution_id, task_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE state (
    scope_kind TEXT NOT NULL CHECK (scope_kind IN ('execution', 'workflow')),
    scope_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    encoding TEXT NOT NULL CHECK (encoding IN ('json', 'pickle')),
    data ANY NOT NULL,
    PRIMARY KEY (scope_kind, scope_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope_kind TEXT NOT NULL CHECK (scope_kind IN ('execution', 'workflow')),
    scope_id INTEGER NOT NULL,
    event_offset INTEGER NOT NULL,
    event_key TEXT NOT NULL,
    statuses TEXT NOT NULL,
    changed_task TEXT,
    reported_status TEXT
) STRICT;

CREATE TABLE evaluation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope_kind TEXT NOT NULL CHECK (scope_kind IN ('execution', 'workflow')),
    scope_id INTEGER NOT NULL,
    task_name TEXT,
    rule_index INTEGER NOT NULL,
    event_offset INTEGER NOT NULL,
    last_offset INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('yes', 'no', 'error', 'late')),
    action TEXT,
    outcome TEXT,
    error TEXT,
    evaluated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX evaluation_by_scope ON evaluation (scope_kind, scope_id, id);

CREATE TABLE rule_failure (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope_kind TEXT NOT NULL CHECK (scope_kind IN ('execution', 'workflow')),
    scope_id INTEGER NOT NULL,
    task_name TEXT,
    rule_index INTEGER NOT NULL,
    event_offset INTEGER NOT NULL,
    error TEXT NOT NULL,
    failed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX rule_failure_by_scope ON rule_failure (scope_kind, scope_id, id);

CREATE TABLE refusal (
    event_offset INTEGER PRIMARY KEY,
    reason TEXT NOT NULL
) STRICT;

CREATE TABLE runner (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('run', 'server')),
    boot_id TEXT NOT NULL,
    pid INTEGER NOT NULL,
    process_created REAL NOT NULL,
    takes_unowned INTEGER NOT NULL CHECK (takes_unowned IN (0, 1)),
    started_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE INDEX runner_present ON runner (id) WHERE ended_at IS NULL;

-- down
DROP TABLE runner;
DROP TABLE refusal;
DROP TABLE rule_failure;
DROP TABLE evaluation;
DROP TABLE inbox;
DROP TABLE state;
DROP TABLE never_started;
DROP TABLE task_timer;
DROP TABLE attempt;
DROP TABLE task_execution;
DROP TABLE workflow_execution;
DROP TABLE workflow_trigger;
DROP TABLE workflow_snapshot;
DROP TABLE workflow;
DROP TABLE namespace;
DROP TABLE scheduler_cursor;
DROP TABLE store_info;
