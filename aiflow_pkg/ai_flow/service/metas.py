# SPDX-License-Identifier: Apache-2.0
"""Rows of the store in the form that ``ai_flow.ops`` returns: local times, missing ones None."""

from __future__ import annotations

import json
from datetime import datetime

from ai_flow.common.home import Home
from ai_flow.metadata.namespace import NamespaceMeta
from ai_flow.metadata.task_execution import TaskExecutionMeta
from ai_flow.metadata.workflow import WorkflowMeta
from ai_flow.metadata.workflow_event_trigger import WorkflowEventTriggerMeta
from ai_flow.metadata.workflow_execution import WorkflowExecutionMeta
from ai_flow.metadata.workflow_snapshot import WorkflowSnapshotMeta
from ai_flow.store.catalog import NamespaceRow, SnapshotRow, TriggerRow, WorkflowVersion
from ai_flow.store.executions import ExecutionRow, TaskExecutionRow


def namespace_meta(row: NamespaceRow) -> NamespaceMeta:
    """Return a namespace for people."""
    return NamespaceMeta(name=row.name, properties=row.properties)


def workflow_meta(version: WorkflowVersion, event_offset: int) -> WorkflowMeta:
    """Return a workflow for people."""
    row = version.workflow
    return WorkflowMeta(
        id=row.id,
        name=row.name,
        namespace=row.namespace,
        content=version.content,
        workflow_object=version.graph.encode(),
        create_time=local_time(row.created_at_ms),
        update_time=local_time(row.updated_at_ms),
        is_enabled=row.is_enabled,
        event_offset=event_offset,
    )


def snapshot_meta(row: SnapshotRow, home: Home) -> WorkflowSnapshotMeta:
    """Return a snapshot for people."""
    return WorkflowSnapshotMeta(
        id=row.id,
        workflow_id=row.workflow_id,
        create_time=local_time(row.created_at_ms),
        workflow_object=json.dumps(row.graph, sort_keys=True).encode(),
        uri=str(home.snapshots / row.bundle),
        signature=row.bundle,
    )


def execution_meta(row: ExecutionRow, event_offset: int) -> WorkflowExecutionMeta:
    """Return a workflow execution for people."""
    return WorkflowExecutionMeta(
        id=row.id,
        workflow_id=row.workflow_id,
        begin_date=local_time(row.begin_at_ms),
        end_date=None if row.end_at_ms is None else local_time(row.end_at_ms),
        status=row.status.value,
        run_type=row.run_type,
        snapshot_id=row.snapshot_id,
        event_offset=event_offset,
        reason=row.reason,
        waits_for=row.waits_for,
    )


def task_execution_meta(row: TaskExecutionRow) -> TaskExecutionMeta:
    """Return a task execution for people."""
    return TaskExecutionMeta(
        id=row.id,
        workflow_execution_id=row.workflow_execution_id,
        task_name=row.task_name,
        sequence_number=row.sequence_number,
        try_number=row.try_number,
        begin_date=local_time(row.begin_at_ms),
        end_date=None if row.end_at_ms is None else local_time(row.end_at_ms),
        status=row.status.value,
        reason=row.reason,
    )


def trigger_meta(row: TriggerRow) -> WorkflowEventTriggerMeta:
    """Return a workflow trigger for people."""
    return WorkflowEventTriggerMeta(
        id=row.id,
        workflow_id=row.workflow_id,
        rule=row.rule,
        is_paused=row.is_paused,
        create_time=local_time(row.created_at_ms),
        condition=row.condition,
    )


def local_time(at_ms: int) -> datetime:
    """Return local time without a zone, as the reference does."""
    return datetime.fromtimestamp(at_ms / 1000)
