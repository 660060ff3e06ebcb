# SPDX-License-Identifier: Apache-2.0
"""The statuses of task executions and workflow executions, and the named sets of them (manual 4.3.1).

Which status may follow which is told by ``ai_flow.engine.states``. ``STOPPING`` counts as alive: while a task
is being stopped no second execution of it may start.
"""

from __future__ import annotations

from ai_flow.model.text_enum import TextEnum


class TaskStatus(TextEnum):
    """The status of one execution of a task.

    >>> TaskStatus("RUNNING") in TASK_ALIVE_SET, "RUNNING" in TASK_ALIVE_SET
    (True, True)
    """

    INIT = "INIT"  #: decided, not yet handed to an executor
    QUEUED = "QUEUED"  #: waiting for a free slot of an executor
    RUNNING = "RUNNING"  #: its process runs
    SUCCESS = "SUCCESS"  #: ended well
    FAILED = "FAILED"  #: ended badly, and no try is left
    STOPPING = "STOPPING"  #: told to stop, not yet gone
    STOPPED = "STOPPED"  #: told to stop, and gone
    RETRYING = "RETRYING"  #: ended badly; another try will follow


class WorkflowStatus(TextEnum):
    """The status of one execution of a workflow."""

    INIT = "INIT"  #: recorded, not yet started
    RUNNING = "RUNNING"  #: some task is alive or can still start
    SUCCESS = "SUCCESS"  #: ended; no task failed
    FAILED = "FAILED"  #: ended; the latest execution of some task failed
    STOPPED = "STOPPED"  #: a person stopped it


#: Nothing changes any more.
TASK_FINISHED_SET = frozenset({TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.STOPPED})
#: A START is ignored while the latest execution of a task has one of these.
TASK_ALIVE_SET = frozenset(TaskStatus) - TASK_FINISHED_SET

WORKFLOW_FINISHED_SET = frozenset({WorkflowStatus.SUCCESS, WorkflowStatus.FAILED, WorkflowStatus.STOPPED})
WORKFLOW_ALIVE_SET = frozenset(WorkflowStatus) - WORKFLOW_FINISHED_SET
