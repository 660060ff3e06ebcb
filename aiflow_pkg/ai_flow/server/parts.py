# SPDX-License-Identifier: Apache-2.0
"""Putting together the parts that a runner is made of, and taking them apart again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai_flow.common.home import Home
from ai_flow.executor.attempt import AttemptFinished
from ai_flow.executor.condition_hosts import ConditionHosts
from ai_flow.executor.local_executor import LocalExecutor
from ai_flow.executor.run_directory import RunDirectory
from ai_flow.scheduler.scheduler import Scheduler
from ai_flow.store.open_store import Store
from ai_flow_ha.lease import SCHEDULER_LEASE, Lease
from notification_service.clock import Clock
from notification_service.gateway import Gateway
from notification_service.reactor import Reactor
from notification_service.wake import WakeWatcher, wake_directory


@dataclass(slots=True, kw_only=True)
class RunnerParts:
    """What a runner is made of."""

    home: Home
    store: Store
    clock: Clock
    reactor: Reactor
    scheduler: Scheduler
    executor: LocalExecutor
    gateway: Gateway
    hosts: ConditionHosts
    _open: ExitStack = field(default_factory=ExitStack)

    def watch_wake_file(self, on_hint: Callable[[], None]) -> None:
        """Have ``on_hint`` called on the loop after commits of any process; polling works without."""
        watcher = WakeWatcher(
            wake_directory(self.home.database), lambda: self.reactor.call_soon_threadsafe(on_hint)
        )
        self._open.callback(watcher.close)

    def close(self) -> None:
        """End all processes and release everything, the store included."""
        self._open.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerOptions:
    """How a runner runs tasks; durations in seconds."""

    runner_id: str
    takes_unowned: bool
    parallelism: int
    python: str
    condition_limit_s: float = 10.0
    lease_ms: int = 10_000


def build_parts(
    options: RunnerOptions,
    *,
    home: Home,
    store: Store,
    clock: Clock,
    on_report: Callable[[AttemptFinished], None],
    on_send: Callable[[], None],
) -> RunnerParts:
    """Make the parts of a runner over an open store, which they close with them."""
    parts = ExitStack()
    with ExitStack() as undo:
        undo.push(parts)
        parts.callback(store.database.close)
        reactor = Reactor(clock.monotonic_s)
        parts.callback(reactor.close)
        runner_dir = home.run / options.runner_id
        runner_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        parts.callback(_remove_if_empty, runner_dir)
        tokens: dict[str, str] = {}
        socket_path = RunDirectory(runner_dir, store.store_id).socket_of("tasks")
        gateway = Gateway(
            reactor,
            socket_path,
            lambda attempt, token: secrets.compare_digest(tokens.get(attempt, ""), token) and bool(token),
            store.log,
            on_send,
            extra=_operations(store, home, clock),
        )
        parts.callback(gateway.close)
        executor = LocalExecutor(
            home=home,
            runner_dir=runner_dir,
            store_id=store.store_id,
            reactor=reactor,
            clock=clock,
            python=options.python,
            slots=options.parallelism,
            socket_path=socket_path,
            register_token=tokens.__setitem__,
            on_report=on_report,
        )
        parts.callback(executor.close)
        hosts = ConditionHosts(
            reactor, clock, executor.spawn_host, runner_dir=runner_dir, time_limit_s=options.condition_limit_s
        )
        parts.callback(hosts.close)
        scheduler = Scheduler(
            database=store.database,
            log=store.log,
            clock=clock,
            lease=Lease(SCHEDULER_LEASE, options.runner_id, duration_ms=options.lease_ms),
            runner_id=options.runner_id,
            takes_unowned=options.takes_unowned,
            new_attempt_id=lambda: secrets.token_hex(16),
        )
        undo.pop_all()
    return RunnerParts(
        home=home,
        store=store,
        clock=clock,
        reactor=reactor,
        scheduler=scheduler,
        executor=executor,
        gateway=gateway,
        hosts=hosts,
        _open=parts,
    )


def _operations(store: Store, home: Home, clock: Clock) -> Callable[[str, Mapping[str, Any]], object]:
    """Return what answers the operations of tasks; loaded when the first task asks for one."""

    def handle(operation: str, arguments: Mapping[str, Any]) -> object:
        from ai_flow.service.remote import Dispatcher
        from ai_flow.service.service import Service

        return Dispatcher(Service(store, home, clock)).handle(operation, arguments)

    return handle


def _remove_if_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:
        pass  # somebody's attempts are still accounted for there
