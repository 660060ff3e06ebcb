# SPDX-License-Identifier: Apache-2.0
"""How many fork servers live and for how long, and what a process must be before it may fork user code."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ai_flow.executor import fork_servers
from ai_flow.executor.attempt import Outcome
from ai_flow.runtime.out_of_memory import CERTAIN, LIKELY, OutOfMemory
from tests.executor.executor_support import SNAPSHOT, Site, is_gone

_FLOW = """\
import numpy.random
from ai_flow.model.workflow import Workflow
from ai_flow.operators.python import PythonOperator

with Workflow(name="w") as workflow:
    PythonOperator("t", lambda: print("seeded", numpy.random.seeded_in_this_process()))
"""


def test_server_that_was_idle_longest_gives_way(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_servers, "MAX_SNAPSHOT_SERVERS", 2)
    servers = []
    for snapshot in ("a", "b", "c"):
        site.executor.prepare(snapshot, site.bundle, "wf/wf.py", ["json"])
        servers.append(site.executor._servers.of_snapshot(snapshot))

    assert site.executor._servers.of_snapshot("a") is None
    site.until(lambda: is_gone(servers[0].pid))
    assert not is_gone(servers[1].pid)
    assert not is_gone(servers[2].pid)


def test_idle_server_ends_after_a_while(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_servers, "IDLE_LIMIT_S", 0.1)
    site.write_workflow(
        _FLOW.replace("import numpy.random\n", "").replace("numpy.random.seeded_in_this_process()", "1")
    )
    server = site.fork_server()
    assert site.finish(site.python("t")).outcome is Outcome.SUCCESS

    site.until(lambda: is_gone(server.pid))

    assert site.executor._servers.of_snapshot(SNAPSHOT) is None
    assert site.finish(site.python("t", number=2)).outcome is Outcome.SUCCESS


def test_random_numbers_of_numpy_are_seeded_anew_in_each_fork(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = site.root / "installed" / "numpy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "random.py").write_text(
        "import os\nseeded = 0\ndef seed():\n    global seeded\n    seeded = os.getpid()\n"
        "def seeded_in_this_process():\n    return seeded == os.getpid()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    site.write_workflow(_FLOW)
    spec = site.python("t")

    site.finish(spec)

    assert site.log(spec) == "seeded True\n"


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("pass", "None"),
        (
            "import threading, time; threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
            "an import has started 1 threads",
        ),
        # A pool that takes itself down when its process forks, as OpenBLAS does.
        (
            "import threading, os\nstop = threading.Event()\npool = threading.Thread(target=stop.wait)\n"
            "pool.start()\nos.register_at_fork(before=lambda: (stop.set(), pool.join()))",
            "None",
        ),
        (
            "import sys, types\nchannels = types.ModuleType('grpc._channel')\n"
            "channels.Channel = type('Channel', (), {'__init__': lambda self: None})\n"
            "sys.modules['grpc._channel'] = channels\nopen_one = channels.Channel()\nopen_one.me = open_one",
            "an import has opened a gRPC channel",
        ),
    ],
)
def test_process_may_fork_only_when_a_fork_can_live(before: str, why: str) -> None:
    program = textwrap.dedent(before) + "\nfrom ai_flow.runtime import preload\nprint(preload.settle().why)"

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)

    assert said.stdout == f"{why}\n", said.stderr


def test_only_our_own_counter_makes_a_kill_for_memory_certain() -> None:
    memory = OutOfMemory()
    ours, machine = memory.counters()

    assert memory.verdict((ours, machine)) is None
    assert memory.verdict((ours - 1, machine - 1)) == CERTAIN
    assert memory.verdict((ours, machine - 1)) == LIKELY
    memory.close()


def test_server_complains_in_its_own_log(site: Site) -> None:
    site.executor.prepare("a", site.bundle, "wf/wf.py", ["no_such_module"])
    server = site.executor._servers.of_snapshot("a")
    assert server is not None
    site.until(lambda: server.safe)

    log = Path(site.home.run / "r" / "store-1" / f"{server.name}.log").read_text()

    assert "cannot import no_such_module before the tasks do" in log
