# SPDX-License-Identifier: Apache-2.0
"""What goes into an executor and what comes out: the port that every executor keeps.

An attempt is named by a random id that was claimed in the store before it gets here. Of each launched
attempt exactly one ``AttemptFinished`` comes back, now or from a successor's ``adopt``, and it comes back
again after every restart until it is acknowledged: the receiver applies it guarded by the attempt's
state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any


class Outcome(str, Enum):
    """How an attempt ended."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    #: It was asked to stop, and nothing of it is left.
    STOPPED = "STOPPED"
    #: Nobody saw how it ended; it is proven that nothing of it is left.
    LOST = "LOST"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSpec:
    """Everything that one attempt needs."""

    attempt_id: str
    workflow_execution_id: int
    workflow_name: str
    namespace: str
    task_name: str
    sequence_number: int
    try_number: int
    #: "bash", "python" or "noop".
    kind: str
    bash_command: str | None
    #: The task's entry of the pinned graph; what the workflow file defines must be equal to it.
    task: Mapping[str, Any]
    task_names: Sequence[str]
    #: The immutable snapshot; holds ``<stem>/<files...>``.
    bundle_dir: Path
    #: ``<stem>/<file>.py`` below ``bundle_dir``.
    entry: str
    #: ``<home>/working_dir/<workflow>/<execution id>``; becomes a copy of the snapshot.
    working_dir: Path
    log_path: Path
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout_s: float | None = None
    stop_grace_s: float = 10.0
    #: Key of the fork server: the digest of the bundle.
    snapshot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """The attempt has a process."""

    attempt_id: str
    pid: int
    started_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFinished:
    """Nothing of the attempt is left; how it ended."""

    attempt_id: str
    outcome: Outcome
    #: One line for people; None for a plain success or stop.
    reason: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    started_at_ms: int | None = None
    finished_at_ms: int
    max_rss_bytes: int | None = None
    cpu_s: float | None = None
    #: A duplicate start found the attempt started already: this is the duplicate's end.
    superseded: bool = False
    #: Proven never to have started, and it never will: it may be queued again without using a try.
    never_started: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignDirectory:
    """Attempt files that belong to another store; nothing there was touched."""

    path: Path
    store_id: str
    attempts: int
    #: How many of them have running processes.
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What a successor found of its predecessor's attempts."""

    #: Run on; their ends are reported like those of attempts launched here.
    running: tuple[str, ...] = ()
    #: Have ended, or are lost; to be applied, then acknowledged.
    finished: tuple[AttemptFinished, ...] = ()
    foreign: tuple[ForeignDirectory, ...] = ()
