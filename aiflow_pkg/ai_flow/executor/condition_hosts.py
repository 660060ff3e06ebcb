# SPDX-License-Identifier: Apache-2.0
"""The pool of condition hosts: every request gets one verdict, and user code costs at most one child.

Per snapshot one host is the rule. Only when a request has waited a moment because every host is busy does
another start, up to a limit; beyond that requests wait in order. A condition that hangs, crashes or exits
takes its host with it and nothing else; the next request finds another. If the workflow file cannot be
loaded, every request gets that as its error, and the load is tried again only after a while.

Runs on the loop and never blocks it. Callbacks come from the loop, never from inside ``evaluate``. The
order in which requests of one execution are made, and what a verdict means, is left to the scheduler; how a
process comes to be, to the ``SpawnHost`` that the pool is given.
"""

from __future__ import annotations

import collections
import itertools
import logging
import shutil
import threading
from collections.abc import Callable, Hashable
from pathlib import Path

from ai_flow.engine.world import Verdict
from ai_flow.executor.condition_link import HostLink, LinkState
from ai_flow.executor.condition_requests import EvaluationRequest, HostRequest, SpawnHost
from ai_flow.executor.deadline import Deadline
from notification_service.clock import Clock
from notification_service.reactor import Reactor

_log = logging.getLogger(__name__)

#: An evaluation takes well under 1 ms as a rule, a new host at least 50 ms: waiting this long is cheaper than
#: starting a process (with all that the workflow file imports) for each burst of events.
GROW_AFTER_S = 0.02
#: Importing a workflow file with its libraries may take this long; after it the file is taken to hang.
LOAD_LIMIT_S = 60.0
#: A workflow file that failed to load is tried again after this; until then its error is the answer.
RELOAD_AFTER_S = 30.0

Callback = Callable[[Verdict], None]


class ConditionHosts:
    """Evaluate conditions of any snapshot, each in a child of the user's Python."""

    def __init__(
        self,
        reactor: Reactor,
        clock: Clock,
        spawn_host: SpawnHost,
        *,
        runner_dir: Path,
        hosts_per_snapshot: int = 4,
        hosts_in_all: int = 16,
        time_limit_s: float = 10.0,
        idle_limit_s: float = 60.0,
        grow_after_s: float = GROW_AFTER_S,
        load_limit_s: float = LOAD_LIMIT_S,
        reload_after_s: float = RELOAD_AFTER_S,
    ) -> None:
        self.reactor = reactor
        self.clock = clock
        self.spawn_host = spawn_host
        self.runner_dir = runner_dir
        self.hosts_per_snapshot = hosts_per_snapshot
        self.time_limit_s = time_limit_s
        self.idle_limit_s = idle_limit_s
        self.grow_after_s = grow_after_s
        self.load_limit_s = load_limit_s
        self.reload_after_s = reload_after_s
        self._hosts_in_all = hosts_in_all
        self._groups: dict[str, _SnapshotHosts] = {}
        self._evaluations: dict[Hashable, _Evaluation] = {}

    def evaluate(self, request: EvaluationRequest, callback: Callback) -> None:
        """Have ``callback`` called with the verdict later; raises ``ValueError`` while the key is in use."""
        if request.key in self._evaluations:
            raise ValueError(f"a condition is being evaluated under the key {request.key!r} already")
        evaluation = _Evaluation(request, callback, self.clock.monotonic_s())
        self._evaluations[request.key] = evaluation
        group = self._groups.get(request.snapshot)
        if group is None:
            group = self._groups[request.snapshot] = _SnapshotHosts(self, request)
        group.submit(evaluation)

    def cancel(self, key: Hashable) -> None:
        """Forget a request: its callback is never called. An evaluation under way goes on, for nothing."""
        evaluation = self._evaluations.pop(key, None)
        if evaluation is not None:
            evaluation.callback = None

    def hosts(self, snapshot: str) -> int:
        """Return how many hosts of the snapshot live, the starting and ending ones included."""
        group = self._groups.get(snapshot)
        return len(group.links) if group else 0

    def close(self) -> None:
        """Kill every host and forget every request. The spawner reaps what it started."""
        for evaluation in self._evaluations.values():
            evaluation.callback = None
        self._evaluations.clear()
        for group in list(self._groups.values()):
            group.close()
        self._groups.clear()
        shutil.rmtree(self.runner_dir / "conditions", ignore_errors=True)
        for log in self.runner_dir.glob("conditions-*.log"):
            log.unlink(missing_ok=True)

    def settle(self, evaluation: _Evaluation, verdict: Verdict) -> None:
        """Give the verdict to whoever asked, unless it was cancelled."""
        callback, evaluation.callback = evaluation.callback, None
        if callback is not None:
            del self._evaluations[evaluation.request.key]
            callback(verdict)

    def make_room(self) -> None:
        """End the host that has been idle longest if there are too many in all."""
        links = [link for group in self._groups.values() for link in group.links]
        idle = [link for link in links if link.state is LinkState.IDLE]
        if len(links) >= self._hosts_in_all and idle:
            min(idle, key=lambda link: link.idle_since_s).end()

    def forget(self, group: _SnapshotHosts) -> None:
        """Drop a snapshot that has neither hosts nor requests."""
        if self._groups.get(group.snapshot) is group:
            del self._groups[group.snapshot]


class _Evaluation:
    """A request on its way; without a callback once it is answered or cancelled."""

    __slots__ = ("callback", "request", "since_s")

    def __init__(self, request: EvaluationRequest, callback: Callback, since_s: float) -> None:
        self.request = request
        self.callback: Callback | None = callback
        self.since_s = since_s


class _SnapshotHosts:
    """The hosts of one snapshot and the requests that wait for them."""

    def __init__(self, pool: ConditionHosts, request: EvaluationRequest) -> None:
        self.snapshot = request.snapshot
        self.links: list[HostLink] = []
        self._pool = pool
        self._copies = pool.runner_dir / "conditions" / request.snapshot
        self._host_request = HostRequest(
            snapshot=request.snapshot,
            bundle_dir=request.bundle_dir,
            entry=request.entry,
            imports=request.imports,
            copy_dir=self._copies / "copy",
            log_path=pool.runner_dir / f"conditions-{request.snapshot}.log",
        )
        self._queue: collections.deque[_Evaluation] = collections.deque()
        self._under_way: dict[HostLink, _Evaluation] = {}
        self._is_closed = False
        self._load_error: str | None = None
        #: When a host was last ready: what waited for it to start has not waited for a busy one.
        self._ready_s = 0.0
        self._growth_pause_s = 0.0
        self._growth = Deadline(pool.reactor, pool.clock, self._grow)
        self._reload = Deadline(pool.reactor, pool.clock, self._forget_load_error)

    def submit(self, evaluation: _Evaluation) -> None:
        self._queue.append(evaluation)
        if self._load_error is not None:
            # Not from inside ``evaluate``: the caller has not yet noted that it waits.
            self._pool.reactor.call_soon_threadsafe(self._dispatch)
        else:
            self._dispatch()

    def close(self) -> None:
        self._is_closed = True
        self._queue.clear()
        self._under_way.clear()
        self._growth.close()
        self._reload.close()
        for link in self.links:
            link.kill()
        _remove_if_empty(self._host_request.log_path)

    def host_ready(self, link: HostLink) -> None:
        del link
        self._ready_s = self._pool.clock.monotonic_s()
        self._dispatch()

    def host_answered(self, link: HostLink, verdict: Verdict) -> None:
        evaluation = self._under_way.pop(link, None)
        if evaluation is not None:
            self._pool.settle(evaluation, verdict)
        self._dispatch()

    def host_failed_to_load(self, link: HostLink, error: str) -> None:
        del link
        if self._is_closed:
            return
        _log.warning("condition_host.not_loaded", extra={"snapshot": self.snapshot, "error": error})
        if self._has_link(LinkState.IDLE, LinkState.BUSY):
            # The others go on, so the file is not to blame; perhaps there is no memory for one more.
            self._growth_pause_s = self._pool.clock.monotonic_s() + self._pool.reload_after_s
            return
        self._load_error = error
        self._reload.set(self._pool.reload_after_s)
        self._refuse_all(error)

    def host_gone(self, link: HostLink) -> None:
        self.links.remove(link)
        if not self.links:
            self._remove_copies()
        self._dispatch()
        self._forget_if_unused()

    def _dispatch(self) -> None:
        """Give waiting requests to idle hosts, oldest first, and see to it that there are hosts."""
        if self._load_error is not None:
            self._refuse_all(self._load_error)
            return
        self._drop_cancelled()
        while self._queue and (link := self._idle_link()) is not None:
            evaluation = self._queue.popleft()
            self._under_way[link] = evaluation
            limit_s = evaluation.request.time_limit_s
            link.begin(evaluation.request, self._pool.time_limit_s if limit_s is None else limit_s)
            self._drop_cancelled()
        if not self._queue:
            self._growth.clear()
        elif not self._has_link(LinkState.STARTING, LinkState.IDLE, LinkState.BUSY):
            self._start_host()
        elif not self._has_link(LinkState.STARTING):
            busy_since_s = max(self._queue[0].since_s, self._ready_s)
            due_s = max(busy_since_s + self._pool.grow_after_s, self._growth_pause_s)
            self._growth.set(max(0.0, due_s - self._pool.clock.monotonic_s()))

    def _grow(self) -> None:
        """Start another host: a request has waited long enough for a busy one."""
        self._drop_cancelled()
        if self._queue and len(self.links) < self._pool.hosts_per_snapshot:
            self._start_host()

    def _start_host(self) -> None:
        self._pool.make_room()
        link = HostLink(
            self,
            self._pool.reactor,
            self._pool.clock,
            self._host_request,
            load_limit_s=self._pool.load_limit_s,
            idle_limit_s=self._pool.idle_limit_s,
        )
        try:
            self._copies.mkdir(mode=0o700, parents=True, exist_ok=True)
            link.start(self._pool.spawn_host)
        except OSError as error:
            reason = f"the process for conditions could not be started: {error}"
            self._pool.reactor.call_soon_threadsafe(lambda: self.host_failed_to_load(link, reason))
            return
        self.links.append(link)
        _log.info("condition_host.started", extra={"snapshot": self.snapshot, "hosts": len(self.links)})

    def _idle_link(self) -> HostLink | None:
        return next((link for link in self.links if link.state is LinkState.IDLE), None)

    def _has_link(self, *states: LinkState) -> bool:
        return any(link.state in states for link in self.links)

    def _drop_cancelled(self) -> None:
        while self._queue and self._queue[0].callback is None:
            self._queue.popleft()

    def _refuse_all(self, load_error: str) -> None:
        while self._queue:
            self._pool.settle(self._queue.popleft(), Verdict(error=load_error))

    def _forget_load_error(self) -> None:
        self._load_error = None
        self._forget_if_unused()

    def _forget_if_unused(self) -> None:
        if not self.links and not self._queue and self._load_error is None:
            self._growth.close()
            self._pool.forget(self)

    def _remove_copies(self) -> None:
        """Remove the hosts' copy of the snapshot; a big one would hold up the loop, so a thread does it."""
        doomed = self._copies.with_name(f"{self.snapshot}.{next(_numbers)}")
        try:
            self._copies.rename(doomed)
        except OSError:
            return
        threading.Thread(target=shutil.rmtree, args=(doomed, True), name="aiflow-remove", daemon=True).start()


def _remove_if_empty(log_path: Path) -> None:
    """Remove the log of hosts that printed nothing: nobody misses it."""
    try:
        if log_path.stat().st_size == 0:
            log_path.unlink()
    except OSError:
        pass


_numbers = itertools.count(1)
