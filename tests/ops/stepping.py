# SPDX-License-Identifier: Apache-2.0
"""A scheduler that a test steps by hand; no process is started, the test says how tasks end."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from ai_flow.common.home import Home
from ai_flow.executor.attempt import AttemptFinished, Outcome
from ai_flow.scheduler.scheduler import Inputs, Scheduler, StepResult
from ai_flow.store import runners
from ai_flow.store.attempts import ClaimedAttempt
from ai_flow.store.open_store import open_store
from ai_flow_ha.lease import SCHEDULER_LEASE, Lease
from ai_flow_ha.process_identity import own_identity
from notification_service.clock import SystemClock
from notification_service.model.event import Event


class Stepping:
    """Decides for the home, and runs what belongs to nobody."""

    def __init__(self, home: Home) -> None:
        clock = SystemClock()
        self.store = open_store(home, clock)
        self._path = str(home.database)
        runner_id = uuid.uuid4().hex
        with self.store.database.write() as tx:
            runners.register(
                tx, runner_id, "server", own_identity(), takes_unowned=True, now_ms=clock.now_ms()
            )
        self._scheduler = Scheduler(
            database=self.store.database,
            log=self.store.log,
            clock=clock,
            lease=Lease(SCHEDULER_LEASE, runner_id),
            runner_id=runner_id,
            takes_unowned=True,
            new_attempt_id=lambda: uuid.uuid4().hex,
        )
        self.running: dict[tuple[int, str], ClaimedAttempt] = {}
        self.asked_to_stop: list[str] = []

    def step(self, outcomes: Sequence[AttemptFinished] = ()) -> StepResult:
        """Let the scheduler act on everything that there is."""
        result = self._scheduler.step(Inputs(outcomes=outcomes, free_slots=100))
        for launch in result.launches:
            self.running[launch.execution_id, launch.task] = launch
        self.asked_to_stop += result.stops
        return result

    def end(self, execution_id: int, task: str, outcome: str = "SUCCESS") -> StepResult:
        """Let the process of a running task end."""
        attempt = self.running.pop((execution_id, task))
        ended = AttemptFinished(
            attempt_id=attempt.attempt_id,
            outcome=Outcome(outcome),
            reason=None,
            exit_code=0,
            signal=None,
            started_at_ms=1,
            finished_at_ms=2,
            max_rss_bytes=None,
            cpu_s=None,
        )
        return self.step([ended])

    def send(self, key: str, namespace: str = "default") -> Event:
        """Append an event and let the scheduler act on it."""
        event = Event(key, "value")
        event.namespace = namespace
        (stored,) = self.store.log.append([event])
        self.step()
        return stored

    def refusals(self) -> list[str]:
        """Return why commands were not carried out."""
        return [str(reason) for (reason,) in self.rows("SELECT reason FROM refusal ORDER BY event_offset")]

    def rows(self, sql: str) -> Sequence[tuple[object, ...]]:
        """Look into the store as a person would."""
        import apsw

        connection = apsw.Connection(self._path, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def close(self) -> None:
        """Resign and close the store."""
        self._scheduler.resign()
        self.store.database.close()
