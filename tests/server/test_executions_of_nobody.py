# SPDX-License-Identifier: Apache-2.0
"""`--until-idle`: executions that belong to no process are run by whoever says so, whoever decides."""

from __future__ import annotations

import pytest

from tests.examples.program import HomeOfTest
from tests.server.runs import beside, lease_of, store_of, write

pytestmark = pytest.mark.slow

_STREAM = """
    with Workflow(name="stream") as workflow:
        BashOperator(name="stream", bash_command="echo here; until test -e $GO; do sleep 0.02; done")
"""
_BATCH = """
    with Workflow(name="batch") as workflow:
        a = PythonOperator(name="a", python_callable=lambda: print("run by", os.environ["WHO"]))
        b = BashOperator(name="b", bash_command="echo run by $WHO")
        b.start_after(a)
"""
_QUICK = """
    with Workflow(name="quick") as workflow:
        BashOperator(name="quick", bash_command="true")
"""


def _python(home: HomeOfTest, text: str) -> str:
    """Run a program of the user's that uses the home."""
    path = home.scratch / "program.py"
    path.write_text(text)
    return home.python(path)


def _statuses(home: HomeOfTest, workflow: str) -> list[str]:
    return _python(
        home,
        "from ai_flow import ops\n"
        f"for e in ops.list_workflow_executions('{workflow}') or []: print(e.status)\n",
    ).split()


def test_executions_of_nobody_are_run_while_a_plain_run_decides(home: HomeOfTest) -> None:
    home.variables["GO"] = str(home.scratch / "go")
    decider, taker = beside(home, "decider", WHO="decider"), beside(home, "taker", WHO="taker")
    batch = write(home, _BATCH, "batch.py")

    with decider.running(write(home, _STREAM, "stream.py")) as stream:
        home.wait_for_log("stream", "stream", "here")
        _python(
            home,
            "from ai_flow import ops\n"
            f"ops.upload_workflows({str(batch)!r})\n"
            "for _ in range(3): ops.start_workflow_execution('batch')\n",
        )
        finished = taker.run(write(home, _QUICK, "quick.py"), "--until-idle")
        with store_of(home) as store:
            assert lease_of(store).process.pid == stream.pid
        (home.scratch / "go").touch()
        assert stream.finish().exit_code == 0

    assert finished.exit_code == 0, finished.text
    assert _statuses(home, "batch") == ["SUCCESS"] * 3
    for execution_id in (2, 3, 4):
        assert home.log("batch", "a", execution_id=execution_id).read_text() == "run by taker\n"
        assert home.log("batch", "b", execution_id=execution_id).read_text() == "run by taker\n"


def test_executions_of_triggers_are_run_too(home: HomeOfTest) -> None:
    home.variables |= {"GO": str(home.scratch / "go"), "WHO": "somebody"}
    batch = write(home, _BATCH, "batch.py")
    sender = write(
        home,
        """
        def send():
            client = AIFlowNotificationClient("localhost:50052")
            for i in range(3):
                client.send_event("wake", str(i))
        with Workflow(name="sender") as workflow:
            PythonOperator(name="send", python_callable=send)
        """,
        "sender.py",
    )
    _python(
        home,
        "from ai_flow import ops\n"
        "from ai_flow.model.internal.conditions import SingleEventCondition\n"
        "from ai_flow.model.rule import WorkflowRule\n"
        f"ops.upload_workflows({str(batch)!r})\n"
        "ops.add_workflow_trigger(WorkflowRule(SingleEventCondition('wake')), 'batch')\n",
    )
    decider = beside(home, "decider")

    with decider.running(write(home, _STREAM, "stream.py")) as stream:
        home.wait_for_log("stream", "stream", "here")
        finished = home.run(sender, "--until-idle")
        (home.scratch / "go").touch()
        assert stream.finish().exit_code == 0

    assert finished.exit_code == 0, finished.text
    assert _statuses(home, "batch") == ["SUCCESS"] * 3


def test_a_trigger_whose_condition_fails_is_told_and_the_others_fire(home: HomeOfTest) -> None:
    batch = write(home, _BATCH, "batch.py")
    home.variables["WHO"] = "somebody"
    _python(
        home,
        "from ai_flow import ops\n"
        "from ai_flow.model.condition import Condition\n"
        "from ai_flow.model.internal.conditions import SingleEventCondition\n"
        "from ai_flow.model.rule import WorkflowRule\n"
        "class Fails(Condition):\n"
        "    def is_met(self, event, context):\n"
        "        raise ValueError('a bad day')\n"
        f"ops.upload_workflows({str(batch)!r})\n"
        "ops.add_workflow_trigger(WorkflowRule(Fails(expect_event_keys=['wake'])), 'batch')\n"
        "ops.add_workflow_trigger(WorkflowRule(SingleEventCondition('wake')), 'batch')\n",
    )
    sender = write(
        home,
        """
        with Workflow(name="sender") as workflow:
            PythonOperator(
                name="send",
                python_callable=lambda: AIFlowNotificationClient("localhost:50052").send_event("wake", ""),
            )
        """,
        "sender.py",
    )

    finished = home.run(sender, "--until-idle")

    assert finished.exit_code == 0, finished.text
    assert _statuses(home, "batch") == ["SUCCESS"]
    (failure,) = finished.document["trigger_failures"]
    assert (failure["workflow"], failure["trigger"]) == ("batch", 1)
    assert "ValueError: a bad day" in failure["error"]
    assert "trigger 1 of batch could not be evaluated for event" in finished.text
