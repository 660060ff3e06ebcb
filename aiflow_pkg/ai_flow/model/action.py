# SPDX-License-Identifier: Apache-2.0
"""What a rule does with its task."""

from __future__ import annotations

from ai_flow.model.text_enum import TextEnum


class TaskAction(TextEnum):
    """What happens to a task when the condition of a rule is met.

    >>> TaskAction.START == "START"
    True
    """

    START = "START"  #: start a new execution of the task; nothing happens while one is alive
    RESTART = "RESTART"  #: stop the running execution, if any, and start a new one when it is gone
    STOP = "STOP"  #: stop the running execution; nothing happens if none is
