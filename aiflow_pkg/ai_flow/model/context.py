# SPDX-License-Identifier: Apache-2.0
"""Where the code of a user runs: what a condition or an operator may ask of its surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, overload

if TYPE_CHECKING:
    from ai_flow.model.state import State, StateDescriptor, ValueState, ValueStateDescriptor
    from ai_flow.model.status import TaskStatus


class Context:
    """The surroundings of a condition or an operator.

    The three kinds are in ``ai_flow.model.internal.contexts``. In a condition of a task rule, states are
    shared by all rules of the workflow execution and every task's status can be asked for. In a condition of
    a workflow trigger, states are shared by all triggers of the workflow. In an operator there is neither:
    both methods return None.
    """

    @overload
    def get_state(self, state_descriptor: ValueStateDescriptor) -> ValueState: ...

    @overload
    def get_state(self, state_descriptor: StateDescriptor) -> State: ...

    def get_state(self, state_descriptor: StateDescriptor) -> State:
        """Return the state that ``state_descriptor`` names."""
        del state_descriptor
        # Typed for conditions, the only place where states exist and the only one that asks for them.
        return cast("State", None)

    def get_task_status(self, task_name: str) -> TaskStatus | None:
        """Return the status of the latest execution of a task; None if it never ran."""
        del task_name
        return None
