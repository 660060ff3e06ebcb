# SPDX-License-Identifier: Apache-2.0
"""Tasks that fork daemons, ignore signals or are killed: ended, noted and explained."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.examples.program import HomeOfTest
from tests.server.runs import task_of, write

pytestmark = pytest.mark.slow


def test_daemons_of_a_task_are_ended_and_noted(home: HomeOfTest) -> None:
    file = write(
        home,
        """
        def daemonize():
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    time.sleep(300)
                os._exit(0)
        with Workflow(name="w") as workflow:
            PythonOperator(name="python", python_callable=daemonize)
            BashOperator(name="bash", bash_command="(setsid sleep 300 &) ; nohup sleep 301 > /dev/null & ")
        """,
    )

    finished = home.run(file)

    assert finished.exit_code == 0, finished.text
    for task in ("python", "bash"):
        assert "the task's processes outlived it and were ended" in finished.log(task)


def test_a_stop_rule_ends_a_task_that_ignores_sigterm(home: HomeOfTest) -> None:
    file = write(
        home,
        """
        with Workflow(name="w") as workflow:
            deaf = BashOperator(name="deaf", bash_command="trap '' TERM; while :; do sleep 0.05; done")
            quick = BashOperator(name="quick", bash_command="sleep 0.3")
            deaf.action_on_task_status(TaskAction.STOP, {quick: TaskStatus.SUCCESS})
            after = BashOperator(name="after", bash_command="true")
            after.action_on_task_status(TaskAction.START, {deaf: TaskStatus.STOPPED})
        """,
    )

    finished = home.run(file, "--stop-grace", "0.5")

    assert finished.exit_code == 0, finished.text
    assert finished.statuses == {"deaf": "STOPPED", "quick": "SUCCESS", "after": "SUCCESS"}


def test_a_killed_task_is_explained(home: HomeOfTest) -> None:
    file = write(
        home,
        """
        with Workflow(name="w") as workflow:
            BashOperator(name="killed", bash_command="kill -9 $$")
        """,
    )

    finished = home.run(file)

    assert finished.exit_code == 1
    assert "killed by signal 9 (SIGKILL)" in str(task_of(finished, "killed")["reason"])


def _memory_group() -> Path | None:
    """Return a directory where a cgroup with a limit of memory can be made (version 1 or 2), as root."""
    if os.getuid() != 0:
        return None
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        directory = Path("/sys/fs/cgroup/memory" + path.rstrip("/"))
        if "memory" in controllers.split(",") and os.access(directory, os.W_OK):
            return directory
    return None


@pytest.mark.skipif(_memory_group() is None, reason="no cgroup with a limit of memory can be made here")
def test_a_task_that_was_killed_for_lack_of_memory_is_explained(home: HomeOfTest) -> None:
    base = _memory_group()
    assert base is not None
    group = base / f"aiflow-test-{os.getpid()}"
    group.mkdir()
    file = write(
        home,
        """
        def hoard():
            kept = [bytearray(1 << 20) for _ in range(2000)]
            print(len(kept))
        with Workflow(name="w") as workflow:
            PythonOperator(name="hoarder", python_callable=hoard)
        """,
    )
    enter = f'echo $$ > {group}/cgroup.procs && exec "$@"'
    home.command = ("sh", "-c", enter, "sh", *home.command)
    try:
        (group / "memory.limit_in_bytes").write_text(str(200 << 20))

        finished = home.run(file)
    finally:
        group.rmdir()

    assert finished.exit_code == 1
    assert "out of memory" in str(task_of(finished, "hoarder")["reason"])
