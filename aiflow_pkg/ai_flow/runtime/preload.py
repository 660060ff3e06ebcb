# SPDX-License-Identifier: Apache-2.0
"""Import what tasks will need before they are forked, and find out whether forking is safe afterwards.

A fork has only the thread that forked: a lock that another thread held stays locked in it for ever. So
after the imports there must be no other thread. A pool that takes itself down in its own atfork handler
(OpenBLAS) is harmless and disappears at the first fork, which is therefore tried out before counting. A
gRPC channel or a CUDA context does not survive a fork either, threads or not.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import traceback
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: What nearly every workflow file and every task needs.
_SDK = (
    "ai_flow.model.workflow",
    "ai_flow.model.action",
    "ai_flow.model.status",
    "ai_flow.model.condition",
    "ai_flow.model.state",
    "ai_flow.operators.bash",
    "ai_flow.operators.python",
    "ai_flow.notification.notification_client",
    "ai_flow.runtime.describe",
    "ai_flow.runtime.loader",
    "ai_flow.runtime.task_process",
)

Preloaded = namedtuple("Preloaded", ["safe", "why"])


def import_sdk() -> None:
    """Import the parts of aiflow that workflow files use."""
    import_modules(_SDK)


def import_modules(names: Iterable[str]) -> None:
    """Import what can be imported; who needs the rest finds out, with a better place for the error."""
    for name in names:
        if name in sys.modules:
            continue
        try:
            importlib.import_module(name)
        except BaseException:
            print(f"cannot import {name} before the tasks do:", file=sys.stderr)
            traceback.print_exc()


def settle() -> Preloaded:
    """Say whether this process may fork user code from now on, and hide its imports from the collector."""
    why = _why_unsafe()
    if why is None:
        # Otherwise the first collection in each fork would copy every page that holds an object.
        gc.collect()
        gc.freeze()
    return Preloaded(why is None, why)


def _why_unsafe() -> str | None:
    if sys.platform != "linux":
        return f"forking is not safe on {sys.platform}"
    if _count_threads() > 1:
        _fork_on_trial()
    threads = _count_threads()
    if threads > 1:
        return f"an import has started {threads - 1} threads"
    if _has_grpc_channel():
        return "an import has opened a gRPC channel"
    if _has_cuda_context():
        return "an import has opened a CUDA device"
    return None


def _count_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _fork_on_trial() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _has_grpc_channel() -> bool:
    channel = getattr(sys.modules.get("grpc._channel"), "Channel", None)
    aio_channel = getattr(sys.modules.get("grpc.aio._channel"), "Channel", None)
    kinds = tuple(kind for kind in (channel, aio_channel) if isinstance(kind, type))
    return bool(kinds) and any(isinstance(thing, kinds) for thing in gc.get_objects())


def _has_cuda_context() -> bool:
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("/dev/nvidia"):
                return True
        except OSError:
            continue
    return False
