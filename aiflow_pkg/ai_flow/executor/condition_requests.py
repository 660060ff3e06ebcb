# SPDX-License-Identifier: Apache-2.0
"""What goes into the pool of condition hosts and what comes out; the port through which it gets processes.

The pool starts no process itself: whoever builds it says how (``SpawnHost``): by asking the snapshot's fork
server, or by a plain start of the user's Python (``SubprocessSpawner``). Values of states and pickles of
triggers are opaque here; only a host opens them.
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ai_flow.engine.world import StateValue, Verdict
from notification_service.model.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFields:
    """The workflow execution that a condition is evaluated for."""

    id: int
    workflow_id: int
    execution_type: str
    status: str
    begin_at_ms: int | None = None
    end_at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest:
    """One rule that is to judge one event; names a task's rule, or carries a trigger's pickle."""

    #: Names the request in ``cancel``; one request per key at a time.
    key: Hashable
    snapshot: str
    bundle_dir: Path
    #: ``<stem>/<file>.py`` below ``bundle_dir``.
    entry: str
    imports: tuple[str, ...] = ()
    workflow: str
    namespace: str
    task: str | None = None
    #: Counts all rules of the task, in the order of their definition.
    rule_index: int | None = None
    #: The pickle of a ``WorkflowRule`` or of its condition, in place of ``task`` and ``rule_index``.
    trigger: bytes | None = None
    event: Event
    #: Status of the latest run of every task that ever ran, as of the event.
    statuses: Mapping[str, str] = field(default_factory=dict[str, str])
    #: All states of the execution (of the workflow for a trigger), as of the event.
    states: Mapping[str, StateValue] = field(default_factory=dict[str, StateValue])
    #: What ``context.workflow_execution`` tells; None for a trigger.
    workflow_execution: ExecutionFields | None = None
    #: None: the limit of the pool.
    time_limit_s: float | None = None

    def message(self, number: int, limit_s: float) -> dict[str, Any]:
        """Return the request as the host reads it."""
        return {
            "id": number,
            "limit_s": limit_s,
            "workflow": self.workflow,
            "namespace": self.namespace,
            "task": self.task,
            "rule_index": self.rule_index,
            "trigger": None if self.trigger is None else base64.b64encode(self.trigger).decode("ascii"),
            "event": {name: getattr(self.event, name) for name in _EVENT_FIELDS},
            "statuses": dict(self.statuses),
            "states": {name: _to_wire(value) for name, value in self.states.items()},
            "workflow_execution": None
            if self.workflow_execution is None
            else asdict(self.workflow_execution),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRequest:
    """What a condition host needs to know to become one; ``fields`` is what its ``main`` reads."""

    snapshot: str
    bundle_dir: Path
    entry: str
    imports: tuple[str, ...]
    #: Where the hosts of the snapshot keep their common copy of it; made by the first of them.
    copy_dir: Path
    log_path: Path

    def fields(self) -> dict[str, Any]:
        """Return the request as JSON-able data."""
        return {
            "snapshot": self.snapshot,
            "bundle_dir": str(self.bundle_dir),
            "entry": self.entry,
            "imports": list(self.imports),
            "copy_dir": str(self.copy_dir),
            "log_path": str(self.log_path),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HostExit:
    """How a host ended, or ``error``: why it could not be started. All None: nobody knows."""

    exit_code: int | None = None
    signal: int | None = None
    error: str | None = None


class HostProcess(Protocol):
    """A started, or starting, host."""

    def kill(self) -> None:
        """SIGKILL the host and its process group; harmless when it is gone."""
        ...


class SpawnHost(Protocol):
    """Start a host without blocking.

    The spawner takes over ``channel`` (the host's end of the socket) and closes its own copy once the host
    has one; no other process may keep it open. ``on_exit`` is called exactly once, from the loop and never
    from within this call, when the host is gone or could not be started. Raising ``OSError`` is allowed.
    """

    def __call__(
        self, request: HostRequest, channel: socket.socket, on_exit: Callable[[HostExit], None]
    ) -> HostProcess: ...


def verdict_from(message: Mapping[str, Any]) -> Verdict:
    """Return what a host answered."""
    if message.get("error") is not None:
        return Verdict(error=str(message["error"]))
    states = {name: None if value is None else _from_wire(value) for name, value in message["states"].items()}
    return Verdict(met=bool(message["met"]), states=states)


_EVENT_FIELDS = ("key", "value", "namespace", "sender", "context", "create_time", "offset")


def _to_wire(value: StateValue) -> dict[str, str]:
    data = value.data if isinstance(value.data, str) else base64.b64encode(value.data).decode("ascii")
    return {"encoding": value.encoding, "data": data}


def _from_wire(carried: Mapping[str, str]) -> StateValue:
    encoding, data = carried["encoding"], carried["data"]
    return StateValue(encoding, data if encoding == "json" else base64.b64decode(data))
