# SPDX-License-Identifier: Apache-2.0
"""Why an execution was started."""

from __future__ import annotations

from ai_flow.model.text_enum import TextEnum


class ExecutionType(TextEnum):
    """What started an execution of a workflow or of a task."""

    MANUAL = "MANUAL"  #: a person or a program asked for it
    EVENT = "EVENT"  #: a rule or a trigger was met by an event
    PERIODIC = "PERIODIC"  #: a schedule or a periodic expression was due
