# SPDX-License-Identifier: Apache-2.0
"""What a condition sees and what it may do: the evaluation inside a real host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest

from ai_flow.engine.world import StateValue
from ai_flow.model.condition import Condition
from ai_flow.model.rule import WorkflowRule
from ai_flow.model.state import ValueStateDescriptor
from tests.executor.condition_support import PREAMBLE_LINES, Rig, event

pytestmark = pytest.mark.slow


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Rig]:
    built = Rig(tmp_path)
    yield built
    built.close()


def test_condition_sees_every_field_of_the_event(hosts: Rig) -> None:
    snapshot = hosts.snapshot("""
        from notification_service.model.event import Event
        class Exact(Condition):
            def is_met(self, event, context):
                fields = (event.key, event.value, event.namespace, event.sender, event.context,
                          event.create_time, event.offset)
                return type(event) is Event and fields == ("go", "wärme", "ns", "someone", '{"a": 1}', 12, 34)
        w = rule(Exact(["go"]))
    """)
    seen = event(
        value="wärme", namespace="ns", sender="someone", context='{"a": 1}', create_time=12, offset=34
    )

    assert hosts.verdict(snapshot, event=seen).met
    assert not hosts.verdict(snapshot, event=event()).met


def test_number_is_summed_up_in_a_state(hosts: Rig) -> None:
    snapshot = hosts.snapshot("""
        class NumCondition(Condition):
            def is_met(self, event, context):
                state = context.get_state(ValueStateDescriptor(name="num_state"))
                num = 0 if state.value() is None else int(state.value())
                num += int(event.value)
                if num >= 100:
                    return True
                state.update(num)
                return False
        w = rule(NumCondition(["go"]))
    """)

    first = hosts.verdict(snapshot, event=event(value="60"))
    second = hosts.verdict(snapshot, event=event(value="60"), states=first.states)

    assert (first.met, first.states) == (False, {"num_state": StateValue("json", "60")})
    assert (second.met, second.states) == (True, {})


def test_nothing_kept_on_self_survives_an_evaluation(hosts: Rig) -> None:
    snapshot = hosts.snapshot("""
        class Counts(Condition):
            seen = 0
            def is_met(self, event, context):
                self.seen += 1
                self.expect_event_keys.append("more")
                return self.seen == 1 and len(self.expect_event_keys) == 2
        w = rule(Counts(["go"]))
    """)

    assert [hosts.verdict(snapshot).met for _ in range(3)] == [True, True, True]
    assert hosts.counting.started == 1


def test_state_may_hold_an_instance_of_a_class_of_the_workflow_file(hosts: Rig) -> None:
    snapshot = hosts.snapshot("""
        class Total:
            def __init__(self): self.value = 0
        class Sums(Condition):
            def is_met(self, event, context):
                state = context.get_state(ValueStateDescriptor(name="total"))
                total = state.value() or Total()
                total.value += 1
                state.update(total)
                if total.value == 2:
                    os._exit(1) if event.value == "die" else None
                return total.value == 3
        w = rule(Sums(["go"]))
    """)

    first = hosts.verdict(snapshot)
    hosts.error(snapshot, states=first.states, event=event(value="die"))
    second = hosts.verdict(snapshot, states=first.states)
    third = hosts.verdict(snapshot, states=second.states)

    assert first.states["total"] is not None
    assert first.states["total"].encoding == "pickle"
    assert [first.met, second.met, third.met] == [False, False, True]


def test_clear_forgets_and_an_unchanged_state_is_not_reported(hosts: Rig) -> None:
    snapshot = hosts.snapshot("""
        class Clears(Condition):
            def is_met(self, event, context):
                old, same, new = (context.get_state(ValueStateDescriptor(n)) for n in ("old", "same", "new"))
                was = old.value()
                old.clear()
                same.update([1, True])
                new.clear()
                return was == "x" and old.value() is None and new.value() is None
        w = rule(Clears(["go"]))
    """)
    states = {"old": StateValue("json", '"x"'), "same": StateValue("json", "[1,true]")}

    verdict = hosts.verdict(snapshot, states=states)

    assert verdict.met
    assert verdict.states == {"old": None}


def test_change_in_place_counts_only_when_it_is_updated(hosts: Rig) -> None:
    snapshot = hosts.snapshot("""
        class InPlace(Condition):
            def is_met(self, event, context):
                state = context.get_state(ValueStateDescriptor(name="s"))
                state.value().append(2)
                kept = [7]
                context.get_state(ValueStateDescriptor(name="kept")).update(kept)
                kept.append(8)
                return state.value() == [1]
        w = rule(InPlace(["go"]))
    """)

    verdict = hosts.verdict(snapshot, states={"s": StateValue("json", "[1]")})

    assert verdict.met
    assert verdict.states == {"kept": StateValue("json", "[7]")}


def test_condition_sees_workflow_execution_and_statuses(hosts: Rig) -> None:
    snapshot = hosts.snapshot("""
        from ai_flow.model.internal.contexts import WorkflowExecutionContext
        from ai_flow.model.status import TaskStatus
        class Looks(Condition):
            def is_met(self, event, context):
                assert isinstance(context, WorkflowExecutionContext)
                assert context.workflow is w and context.workflow.namespace == "default"
                execution = context.workflow_execution
                assert (execution.id, execution.workflow_id, execution.status) == (7, 3, "RUNNING")
                assert execution.begin_date.timestamp() == 1_700_000_000 and execution.end_date is None
                assert context.get_task_status("t") is TaskStatus.STOPPING
                assert context.get_task_status("never") is None
                return True
        w = rule(Looks(["go"]))
    """)

    verdict = hosts.verdict(snapshot, statuses={"t": "STOPPING"})

    assert (verdict.error, verdict.met) == (None, True)


def test_trigger_brings_its_own_condition_and_sees_the_workflow(hosts: Rig) -> None:
    snapshot = hosts.snapshot('w = rule(SingleEventCondition("unused"))')

    class Triggers(Condition):
        def is_met(self, event: object, context: object) -> bool:
            state = context.get_state(ValueStateDescriptor(name="n"))  # type: ignore[attr-defined]
            state.update((state.value() or 0) + 1)
            names = (context.namespace, context.workflow.name)  # type: ignore[attr-defined]
            return names == ("default", "w") and context.get_task_status("t") is None  # type: ignore[attr-defined]

    pickled = cloudpickle.dumps(WorkflowRule(Triggers(["go"])))

    verdict = hosts.verdict(snapshot, trigger=pickled, workflow_execution=None)

    assert (verdict.error, verdict.met) == (None, True)
    assert verdict.states == {"n": StateValue("json", "1")}


def test_trigger_that_cannot_be_unpickled_says_why(hosts: Rig) -> None:
    snapshot = hosts.snapshot('w = rule(SingleEventCondition("unused"))')

    error = hosts.error(snapshot, trigger=b"cno_such_module\nThing\n.", workflow_execution=None)

    assert error.startswith("ModuleNotFoundError: No module named 'no_such_module'")


def test_combination_with_a_part_of_the_user_is_evaluated_as_a_whole_and_begins_anew(hosts: Rig) -> None:
    snapshot = hosts.snapshot("""
        class Big(Condition):
            def is_met(self, event, context):
                return int(event.value) > 10
        w = rule(MeetAllCondition("both", [SingleEventCondition("a"), MeetAnyCondition([Big(["b"])])]))
    """)
    states: dict[str, StateValue] = {}
    met: list[bool] = []

    for key, value in (("a", "0"), ("b", "5"), ("b", "50"), ("b", "50"), ("a", "0")):
        verdict = hosts.verdict(snapshot, event=event(key, value), states=states)
        states = {name: state for name, state in (states | dict(verdict.states)).items() if state is not None}
        met.append(verdict.met)

    assert met == [False, False, True, False, True]
    assert states == {}


@pytest.mark.parametrize(
    ("returned", "kind"), [("'yes'", "str"), ("None", "NoneType"), ("1", "int"), ("[True]", "list")]
)
def test_answer_that_is_no_bool_is_an_error_that_names_its_type(hosts: Rig, returned: str, kind: str) -> None:
    snapshot = hosts.snapshot(f"""
        class Vague(Condition):
            def is_met(self, event, context):
                context.get_state(ValueStateDescriptor(name="s")).update(1)
                return {returned}
        w = rule(Vague(["go"]))
        with w:
            pass
        w.action_on_condition("t", TaskAction.START, MeetAnyCondition([Vague(["go"])]))
    """)
    expected = f"Vague.is_met returned a value of type {kind}; it must return True or False"

    assert hosts.error(snapshot) == expected
    assert hosts.error(snapshot, rule_index=1) == expected


def test_bool_of_numpy_is_a_bool(hosts: Rig) -> None:
    snapshot = hosts.snapshot("""
        numpy_bool = type("bool_", (), {"__module__": "numpy", "__bool__": lambda self: True})
        class Scores(Condition):
            def is_met(self, event, context):
                return numpy_bool()
        w = rule(Scores(["go"]))
    """)

    assert hosts.verdict(snapshot).met


def test_exception_is_told_with_the_line_of_the_users_code(hosts: Rig) -> None:
    snapshot = hosts.snapshot(
        """
        import json, helper
        class Raises(Condition):
            def is_met(self, event, context):
                context.get_state(ValueStateDescriptor(name="s")).update(1)
                if event.value == "helper":
                    helper.check()
                return json.loads("no json")
        w = rule(Raises(["go"]))
        """,
        helper="""
        def check():
            raise ValueError("not checked")
        """,
    )

    assert hosts.error(snapshot, event=event(value="helper")) == (
        "ValueError: not checked (helper.py:3, in check)"
    )
    assert hosts.error(snapshot) == (
        "JSONDecodeError: Expecting value: line 1 column 1 (char 0) "
        f"(flow.py:{PREAMBLE_LINES + 8}, in is_met)"
    )
    assert "Traceback (most recent call last)" in hosts.log(snapshot)
    assert hosts.counting.started == 1


def test_sys_exit_in_a_condition_is_an_error_like_any_other(hosts: Rig) -> None:
    snapshot = hosts.snapshot("""
        class Leaves(Condition):
            def is_met(self, event, context):
                sys.exit(3)
        w = rule(Leaves(["go"]))
    """)

    assert hosts.error(snapshot) == f"SystemExit: 3 (flow.py:{PREAMBLE_LINES + 4}, in is_met)"


def test_value_that_cannot_be_kept_is_told_with_its_line(hosts: Rig) -> None:
    snapshot = hosts.snapshot("""
        import threading
        class Keeps(Condition):
            def is_met(self, event, context):
                context.get_state(ValueStateDescriptor(name="s")).update(threading.Lock())
                return True
        w = rule(Keeps(["go"]))
    """)

    error = hosts.error(snapshot)

    assert (
        error == f"TypeError: cannot pickle '_thread.lock' object (flow.py:{PREAMBLE_LINES + 5}, in is_met)"
    )


def test_condition_that_cannot_be_copied_says_what_to_do(hosts: Rig) -> None:
    snapshot = hosts.snapshot("""
        import threading
        class Locked(Condition):
            def __init__(self, keys):
                super().__init__(keys)
                self.lock = threading.Lock()
            def is_met(self, event, context):
                return True
        w = rule(Locked(["go"]))
    """)

    assert hosts.error(snapshot) == (
        "Locked cannot be copied for an evaluation: TypeError: cannot pickle '_thread.lock' object; "
        "keep locks, files and connections out of it and open them in is_met"
    )


def test_file_that_now_defines_something_else_is_found_out(hosts: Rig) -> None:
    snapshot = hosts.snapshot("""
        class Met(Condition):
            def is_met(self, event, context):
                return True
        w = rule(Met(["go"]))
    """)

    assert hosts.error(snapshot, workflow="other").startswith(
        "workflow default.other is not in flow.py any more: executing the workflow file again gave something"
    )
    assert hosts.error(snapshot, rule_index=1).startswith(
        "rule 1 of task t of workflow w is not the one of before"
    )
    assert hosts.error(snapshot, event=event("other")).startswith(
        "rule 0 of task t of workflow w is not the one"
    )


def test_files_beside_the_workflow_file_are_there_and_the_snapshot_stays_as_it_is(hosts: Rig) -> None:
    snapshot = hosts.snapshot(
        """
        import helper
        HERE = os.path.dirname(os.path.abspath(__file__))
        class Reads(Condition):
            def is_met(self, event, context):
                with open(os.path.join(HERE, "helper.py"), "a") as file:
                    file.write("# more")
                with open("beside.txt", "w") as file:
                    file.write("x")
                return __name__ == "flow" and sys.modules["flow"].w is w and helper.ANSWER == 42
        w = rule(Reads(["go"]))
        """,
        helper="ANSWER = 42",
    )
    stem = snapshot.bundle_dir / "flow"
    for path in stem.iterdir():
        path.chmod(0o444)
    stem.chmod(0o555)
    before = {path.name: path.read_text() for path in stem.iterdir()}

    verdict = hosts.verdict(snapshot)

    assert (verdict.error, verdict.met) == (None, True)
    assert {path.name: path.read_text() for path in stem.iterdir()} == before
    stem.chmod(0o755)


def test_what_conditions_print_goes_to_the_log_only(hosts: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    snapshot = hosts.snapshot("""
        print("loading")
        class Talks(Condition):
            def is_met(self, event, context):
                print("evaluating \\udc80")
                print("to stderr", file=sys.stderr)
                os.system("echo from a child")
                return sys.stdin.read() == ""
        w = rule(Talks(["go"]))
    """)

    assert hosts.verdict(snapshot).met

    assert hosts.log(snapshot) == "loading\nevaluating \\udc80\nto stderr\nfrom a child\n"
    assert os.stat(hosts.runner_dir / f"conditions-{snapshot.key}.log").st_mode & 0o077 == 0
    assert capfd.readouterr() == ("", "")


def test_large_event_value_passes(hosts: Rig) -> None:
    snapshot = hosts.snapshot("""
        class Large(Condition):
            def is_met(self, event, context):
                context.get_state(ValueStateDescriptor(name="s")).update(event.value)
                return len(event.value) == 10_000_000
        w = rule(Large(["go"]))
    """)

    verdict = hosts.verdict(snapshot, event=event(value="ä" * 10_000_000))

    assert verdict.met
    assert verdict.states == {"s": StateValue("json", '"' + "ä" * 10_000_000 + '"')}
