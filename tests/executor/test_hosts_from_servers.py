# SPDX-License-Identifier: Apache-2.0
"""Condition hosts that the executor starts: from a fork server, or from the guard where that cannot be."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ai_flow.executor.children import HostHandle
from ai_flow.executor.condition_requests import HostExit, HostRequest
from ai_flow.runtime.condition_frames import FrameReader, Message
from tests.executor.executor_support import SNAPSHOT, Site, is_gone, kill

_FLOW = """\
import os
from ai_flow.model.operator import Operator
from ai_flow.model.workflow import Workflow

print("pid", os.getpid(), os.getppid())
with Workflow(name="w") as workflow:
    Operator("t")
"""


@dataclass
class Host:
    """A host and what came from it."""

    site: Site
    channel: socket.socket
    handle: HostHandle
    log: Path
    exits: list[HostExit] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    reader: FrameReader = field(default_factory=FrameReader)

    def wait_for_message(self) -> Message:
        def received() -> list[Message]:
            try:
                self.messages += self.reader.feed(self.channel.recv(65536))
            except BlockingIOError:
                pass
            return self.messages

        return self.site.until(received)[0]

    def wait_for_exit(self) -> HostExit:
        return self.site.until(lambda: self.exits)[0]

    def pids(self) -> tuple[int, int]:
        words = self.log.read_text().split()
        return int(words[1]), int(words[2])


def start_host(site: Site) -> Host:
    (site.bundle / "wf" / "wf.py").write_text(_FLOW)
    log = site.root / "host.log"
    request = HostRequest(
        snapshot=SNAPSHOT,
        bundle_dir=site.bundle,
        entry="wf/wf.py",
        imports=("colorsys",),
        copy_dir=site.root / "copy",
        log_path=log,
    )
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    exits: list[HostExit] = []
    handle = site.executor.spawn_host(request, theirs, exits.append)
    assert exits == []
    return Host(site, ours, handle, log, exits)


@pytest.fixture(params=["fork", "spawn"])
def where(request: pytest.FixtureRequest, site: Site) -> Site:
    """A site whose hosts are forks, or fresh interpreters."""
    site.start(preload=request.param == "fork")
    return site


def test_host_gets_its_channel_and_says_that_it_is_ready(where: Site) -> None:
    host = start_host(where)

    assert host.wait_for_message()["ready"], host.log.read_text()

    parent = where.executor._servers.of_snapshot(SNAPSHOT) or where.guard()
    assert host.pids()[1] == parent.pid
    host.channel.close()
    assert host.wait_for_exit() == HostExit(exit_code=0)


def test_killed_host_is_reported_and_gone(where: Site) -> None:
    host = start_host(where)
    host.wait_for_message()

    host.handle.kill()

    assert host.wait_for_exit() == HostExit(signal=9)
    assert is_gone(host.pids()[0])
    host.handle.kill()
    host.channel.close()


def test_host_that_is_killed_before_it_exists_is_reported(where: Site) -> None:
    host = start_host(where)

    host.handle.kill()

    assert host.wait_for_exit() in (HostExit(), HostExit(signal=9))
    host.channel.close()


def test_host_of_a_dead_server_is_reported_and_gone(where: Site) -> None:
    host = start_host(where)
    host.wait_for_message()
    pid, server = host.pids()

    kill(server)

    assert host.wait_for_exit().error is not None
    host.channel.close()
    where.until(lambda: is_gone(pid))
