# SPDX-License-Identifier: Apache-2.0
"""Operations inside a task: over the socket of its supervisor, never through the store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_flow import ops
from ai_flow.common.exception.exceptions import AIFlowDBException, AIFlowException
from ai_flow.common.home import Home
from ai_flow.model.internal.conditions import SingleEventCondition
from ai_flow.model.rule import WorkflowRule
from ai_flow.service import remote
from ai_flow.service.errors import NotFoundError, UploadError
from ai_flow.service.remote import Dispatcher
from ai_flow.service.service import Service
from ai_flow.store.open_store import Store, open_store
from notification_service.client import socket_link, socket_transport
from notification_service.gateway import Gateway
from notification_service.reactor import Reactor

FLOW = """\
import beside
from ai_flow.model.workflow import Workflow
from ai_flow.operators.bash import BashOperator

with Workflow(name="flow") as flow:
    BashOperator(name="task", bash_command="true")
"""


class Supervisor:
    """The loop of a supervisor, on a thread of its own."""

    def __init__(self, store: Store, home: Home, socket: Path) -> None:
        self._reactor = Reactor()
        dispatcher = Dispatcher(Service(store, home))
        self._gateway = Gateway(
            self._reactor,
            socket,
            lambda attempt, token: (attempt, token) == ("1" * 32, "secret"),
            store.log,
            lambda: None,
            extra=dispatcher.handle,
        )
        self._is_over = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def end(self) -> None:
        self._is_over = True
        self._reactor.call_soon_threadsafe(lambda: None)
        self._thread.join()
        self._gateway.close()
        self._reactor.close()

    def _serve(self) -> None:
        while not self._is_over:
            self._reactor.run_once()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    store = open_store(home)
    yield store
    store.database.close()


@pytest.fixture
def supervisor(
    store: Store, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Supervisor]:
    """A supervisor, and the environment of one of its tasks, from where the store cannot be reached."""
    supervisor = Supervisor(store, home, tmp_path / "tasks.sock")
    monkeypatch.setenv("AIFLOW_HOME", str(tmp_path / "wrong"))
    monkeypatch.setenv("AIFLOW_SOCKET", str(tmp_path / "tasks.sock"))
    monkeypatch.setenv("AIFLOW_ATTEMPT_ID", "1" * 32)
    monkeypatch.setenv("AIFLOW_TOKEN", "secret")
    yield supervisor
    supervisor.end()
    assert not (tmp_path / "wrong").exists()


@pytest.fixture
def flow_file(tmp_path: Path) -> str:
    (tmp_path / "beside.py").write_text("x = 1\n")
    file = tmp_path / "flow_file.py"
    file.write_text(FLOW)
    return str(file)


@pytest.mark.usefixtures("supervisor")
def test_every_kind_of_operation_gives_what_it_gives_outside(
    store: Store, home: Home, flow_file: str
) -> None:
    added = ops.add_namespace("research", {"owner": "Ada"})
    uploaded = ops.upload_workflows(flow_file)
    trigger = ops.add_workflow_trigger(WorkflowRule(SingleEventCondition("go")), "flow")
    execution_id = ops.start_workflow_execution("flow")
    ops.stop_task_execution(execution_id, "task")
    ops.disable_workflow("flow")
    ops.pause_workflow_trigger(trigger.id)

    outside = Service(store, home)
    assert ops.get_namespace("research") == added == outside.namespaces.get("research")
    assert [w.id for w in uploaded] == [1]
    assert ops.get_workflow("flow") == outside.workflows.get("flow")
    assert ops.list_workflow_snapshots("flow") == outside.snapshots.list("flow")
    assert ops.list_workflow_executions("flow") == outside.workflow_executions.list("flow")
    assert ops.list_workflow_triggers("flow") == outside.triggers.list("flow")
    assert ops.list_task_executions(execution_id) == outside.task_executions.list(execution_id) == []
    assert ops.get_workflow("nothing") is None
    assert ops.list_workflows("research") == []
    (bundle,) = home.snapshots.iterdir()
    assert {path.name for path in (bundle / "flow_file").iterdir()} == {"flow_file.py", "beside.py"}


@pytest.mark.usefixtures("supervisor")
def test_refusals_are_the_same_exceptions(tmp_path: Path, flow_file: str) -> None:
    with pytest.raises(NotFoundError, match=r"^Workflow default\.flow not exists\.$") as refusal:
        ops.start_workflow_execution("flow")
    assert (refusal.value.what, refusal.value.id, refusal.value.code) == (
        "Workflow",
        "default.flow",
        "not_found",
    )

    (tmp_path / "circle.py").write_text(FLOW + "    flow.tasks['task'].start_after(flow.tasks['task'])\n")
    with pytest.raises(UploadError, match="'task' waits for 'task'"):
        ops.upload_workflows(str(tmp_path / "circle.py"))

    (tmp_path / "elsewhere.py").write_text(FLOW.replace('"flow"', '"flow", namespace="elsewhere"'))
    with pytest.raises(AIFlowException, match=r"^Namespace elsewhere not exists: add it with"):
        ops.upload_workflows(str(tmp_path / "elsewhere.py"))
    assert ops.list_workflows() == []


@pytest.mark.usefixtures("supervisor")
def test_only_operations_can_be_called() -> None:
    for method in ("workflows._set_enabled", "workflows.__init__", "workflows", "store.close", "a.b", ""):
        with pytest.raises(AIFlowException, match=r"method must be an operation such as 'workflows.get'"):
            remote.call(method, {})


@pytest.mark.usefixtures("supervisor")
def test_arguments_that_do_not_fit_are_a_refusal_and_no_end_of_the_loop() -> None:
    with pytest.raises(AIFlowException, match="arguments must be those of workflows"):
        remote.call("workflows.get", {"nonsense": 1})

    assert ops.list_workflows() == []


def test_without_a_supervisor_it_is_an_aiflow_exception_of_one_sentence(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIFLOW_SOCKET", str(tmp_path / "nobody.sock"))
    monkeypatch.setattr(socket_link.SocketLink.__init__, "__kwdefaults__", {"limit_s": 0.2})
    monkeypatch.setattr(socket_transport.SocketTransport.__init__, "__kwdefaults__", {"limit_s": 0.2})

    with pytest.raises(AIFlowDBException, match=r"the supervisor of this task has not answered for 0\.2 s"):
        ops.list_workflows()


@pytest.mark.usefixtures("supervisor")
def test_a_wrong_token_is_an_aiflow_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIFLOW_TOKEN", "guessed")

    with pytest.raises(AIFlowException, match="is not known to this supervisor, or its token is wrong"):
        ops.list_workflows()
