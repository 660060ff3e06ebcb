# SPDX-License-Identifier: Apache-2.0
"""Uploads of real files: executed in a child, copied whole, and refused with one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ai_flow import ops
from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.common.home import Home
from ai_flow.runtime import describe
from ai_flow.service.loading import load_workflow_file
from ai_flow.service.service import open_service

FLOW = """\
from ai_flow.model.workflow import Workflow
from ai_flow.operators.bash import BashOperator

with Workflow(name="flow") as flow:
    BashOperator(name="task", bash_command="true")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The directory of the user's files."""
    project = tmp_path / "project"
    project.mkdir()
    return project


def _write(project: Path, text: str, name: str = "flow_file.py") -> str:
    file = project / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return str(file)


def _refusal(file: str, artifacts: Any = None) -> str:
    with pytest.raises(AIFlowException) as refusal:
        ops.upload_workflows(file, artifacts)
    return str(refusal.value)


def _bundle(workflow: str = "flow") -> Path:
    return Path(ops.list_workflow_snapshots(workflow)[-1].uri)


def _files(bundle: Path) -> set[str]:
    return {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}


def test_all_workflows_of_a_file_are_stored_in_their_order(home: Home, project: Path) -> None:
    two = FLOW + FLOW.replace('"flow"', '"another"').replace("as flow", "as other")
    file = _write(project, two)

    uploaded = ops.upload_workflows(file)

    assert [w.name for w in uploaded] == ["flow", "another"]
    assert uploaded == ops.list_workflows()
    assert {w.content for w in uploaded} == {two}
    first, second = (ops.list_workflow_snapshots(name)[0] for name in ("flow", "another"))
    assert first.signature == second.signature


def test_a_workflow_that_has_two_variables_is_one(home: Home, project: Path) -> None:
    file = _write(project, FLOW + "alias = flow\n")

    assert [w.name for w in ops.upload_workflows(file)] == ["flow"]


def test_the_script_that_defines_a_workflow_uploads_and_starts_it(home: Home, project: Path) -> None:
    file = _write(
        project,
        f"from ai_flow import ops\n{FLOW}\n"
        'if __name__ == "__main__":\n'
        "    ops.upload_workflows(__file__)\n"
        '    print(ops.start_workflow_execution("flow"))\n',
    )

    result = subprocess.run(
        [sys.executable, os.path.basename(file)], cwd=project, capture_output=True, text=True, timeout=60
    )

    assert (result.returncode, result.stdout, result.stderr) == (0, "1\n", "")
    assert [e.status for e in ops.list_workflow_executions("flow")] == ["INIT"]


def test_modules_beside_the_file_travel_with_it(home: Home, project: Path) -> None:
    _write(project, "COMMAND = 'true'\n", "commands.py")
    _write(project, "NEVER = 1\n", "unused.py")
    _write(project, "from .inner import name\n", "parts/__init__.py")
    _write(project, "name = 'flow'\n", "parts/inner.py")
    file = _write(project, "import commands\nfrom parts import name\n" + FLOW)

    ops.upload_workflows(file)

    assert _files(_bundle()) == {
        "flow_file/flow_file.py",
        "flow_file/commands.py",
        "flow_file/parts/__init__.py",
        "flow_file/parts/inner.py",
    }


def test_artifacts_of_any_kind_travel_with_it(home: Home, project: Path, tmp_path: Path) -> None:
    _write(tmp_path, "a,b\n", "data.csv")
    _write(tmp_path, "1\n", "models/one.bin")
    _write(tmp_path, "1\n", "models/__pycache__/x.pyc")
    file = _write(project, FLOW)

    ops.upload_workflows(file, [str(tmp_path / "data.csv"), str(tmp_path / "models")])

    assert _files(_bundle()) == {"flow_file/flow_file.py", "flow_file/data.csv", "flow_file/models/one.bin"}


def test_files_of_one_name_do_not_overwrite_each_other(home: Home, project: Path, tmp_path: Path) -> None:
    ops.upload_workflows(_write(project, FLOW))
    (tmp_path / "elsewhere").mkdir()
    ops.upload_workflows(_write(tmp_path / "elsewhere", FLOW.replace('"flow"', '"other"')))

    assert '"flow"' in (_bundle("flow") / "flow_file/flow_file.py").read_text()
    assert '"other"' in (_bundle("other") / "flow_file/flow_file.py").read_text()


def test_what_the_file_prints_does_not_reach_the_caller(
    home: Home, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ops.upload_workflows(_write(project, "import os\nprint('loading')\nos.system('echo echo')\n" + FLOW))

    assert capfd.readouterr() == ("", "")


def test_the_file_is_never_executed_in_the_process_of_the_caller(home: Home, project: Path) -> None:
    file = _write(
        project, FLOW + f"open({str(project / 'pid')!r}, 'w').write(str(__import__('os').getpid()))\n"
    )

    ops.upload_workflows(file)

    assert (project / "pid").read_text() != str(os.getpid())
    assert "flow_file" not in sys.modules


def test_the_source_is_shown_in_the_encoding_that_it_declares(home: Home, project: Path) -> None:
    file = project / "flow_file.py"
    file.write_bytes(("# -*- coding: latin-1 -*-\n# grüße\n" + FLOW).encode("latin-1"))

    (workflow,) = ops.upload_workflows(str(file))

    assert "# grüße" in workflow.content


def test_the_stored_description_is_that_of_the_workflow(home: Home, project: Path) -> None:
    (workflow,) = ops.upload_workflows(_write(project, FLOW))

    description = json.loads(workflow.workflow_object)

    assert description["format"] == describe.GRAPH_FORMAT
    assert [task["bash_command"] for task in description["tasks"]] == ["true"]


# Refusals.


def test_a_missing_file_is_refused(home: Home, project: Path) -> None:
    assert _refusal(str(project / "none.py")) == (
        f"Cannot extract workflow because file not exists: {project / 'none.py'}."
    )


def test_a_file_without_workflows_is_refused(home: Home, project: Path) -> None:
    file = _write(project, "x = 1\n")

    assert _refusal(file).startswith(f"No workflow objects found in {file}, failed to upload workflow. ")


@pytest.mark.parametrize("name", ["flow.txt", "directory.py/x.py"])
def test_what_is_no_python_file_is_refused(home: Home, project: Path, name: str) -> None:
    file = _write(project, FLOW, name).removesuffix("/x.py")

    assert _refusal(file) == f"Cannot load {file}: a workflow file is a Python file, its name ends in .py."


def test_a_missing_artifact_is_refused(home: Home, project: Path) -> None:
    file = _write(project, FLOW)

    assert _refusal(file, [str(project / "data")]) == (
        f"The artifact {project / 'data'} does not exist, failed to upload {file}."
    )


@pytest.mark.parametrize("artifacts", ["data.csv", [7], {"a": "b"}])
def test_artifacts_that_are_no_list_of_paths_are_refused(home: Home, project: Path, artifacts: Any) -> None:
    assert _refusal(_write(project, FLOW), artifacts).startswith("artifacts must be a list of paths, found ")


def test_two_artifacts_of_one_name_are_refused(home: Home, project: Path, tmp_path: Path) -> None:
    first, second = _write(tmp_path, "1", "one/data"), _write(tmp_path, "2", "two/data")

    message = _refusal(_write(project, FLOW), [first, second])

    assert message.startswith("Two files would be 'data' beside flow_file.py: ")


def test_a_syntax_error_is_shown_with_its_line(home: Home, project: Path) -> None:
    file = _write(project, FLOW + "with Workflow(name=) as other:\n")

    message = _refusal(file)

    assert message.startswith(f"Cannot load {file}: SyntaxError: ")
    assert message.endswith(f"({file}, line 6: with Workflow(name=) as other:)")


def test_an_exception_of_the_file_is_shown_with_its_line(home: Home, project: Path) -> None:
    file = _write(project, FLOW + "int('x')\n")

    with pytest.raises(AIFlowException) as refusal:
        ops.upload_workflows(file)

    assert str(refusal.value) == (
        f"Cannot load {file}: ValueError: invalid literal for int() with base 10: 'x' "
        f"({file}, line 6: int('x'))"
    )
    assert "Traceback" in vars(refusal.value)["traceback"]


def test_a_mistake_in_the_definition_is_shown_with_its_line(home: Home, project: Path) -> None:
    file = _write(project, FLOW + "BashOperator(name='outside', bash_command='true')\n")

    assert _refusal(file).startswith(
        f"Cannot load {file}: TaskOutsideWorkflowError: Task 'outside' belongs to no workflow: "
    )


@pytest.mark.parametrize(
    "how", ["import sys; sys.exit(3)", "import os; os._exit(0)", "import os; os.abort()"]
)
def test_a_file_that_ends_its_process_is_refused(home: Home, project: Path, how: str) -> None:
    file = _write(project, f"print('about to end')\n{how}\n{FLOW}")

    assert _refusal(file).startswith(f"Cannot load {file}: ")
    assert ops.list_workflows() == []


def test_a_file_that_never_ends_is_refused(home: Home, project: Path) -> None:
    file = _write(project, "import time\nprint('one moment', flush=True)\ntime.sleep(3600)\n" + FLOW)

    with pytest.raises(AIFlowException) as refusal:
        load_workflow_file(file, limit_s=0.5)

    assert str(refusal.value).startswith(f"Cannot load {file}: it did not come to its end within 0.5 s")


def test_two_workflows_of_one_name_are_refused(home: Home, project: Path) -> None:
    file = _write(project, FLOW + FLOW.replace("as flow", "as other"))

    assert "two workflows named 'flow'" in _refusal(file)
    assert ops.list_workflows() == []


def test_a_missing_namespace_stores_nothing(home: Home, project: Path) -> None:
    elsewhere = FLOW.replace('"flow"', '"other", namespace="elsewhere"').replace("as flow", "as other")
    file = _write(project, FLOW + elsewhere)

    assert _refusal(file).startswith("Namespace elsewhere not exists")
    assert ops.list_workflows() == []
    assert ops.list_workflows("elsewhere") == []

    ops.add_namespace("elsewhere", {})
    assert [w.namespace for w in ops.upload_workflows(file)] == ["default", "elsewhere"]


def test_a_circle_of_tasks_is_refused(home: Home, project: Path) -> None:
    circle = (
        "with Workflow(name='circle') as circle:\n"
        "    a = BashOperator(name='a', bash_command='true')\n"
        "    b = BashOperator(name='b', bash_command='true')\n"
        "    c = BashOperator(name='c', bash_command='true')\n"
        "    free = BashOperator(name='free', bash_command='true')\n"
        "    b.start_after([a, free])\n"
        "    a.start_after(b)\n"
        "    c.start_after(b)\n"
    )
    file = _write(project, FLOW + circle)

    assert _refusal(file) == (
        f"Workflow default.circle of {file} has tasks that can never start: 'a' waits for 'b', and 'b' waits "
        "for 'a' and 'free', and 'c' waits for 'b'. Let one of them start with the workflow, or by an event."
    )
    assert ops.list_workflows() == []


@pytest.mark.parametrize(
    "way_in",
    [
        "a.action_on_event_received(TaskAction.START, 'go')",
        "a.action_on_event_received(TaskAction.RESTART, 'go')",
        "a.action_on_task_status(TaskAction.START, {free: TaskStatus.FAILED})",
        "a.action_on_condition(TaskAction.START, MeetAnyCondition([Mine(['go']), Mine(['x'])]))",
    ],
)
def test_a_circle_with_a_way_in_is_fine(home: Home, project: Path, way_in: str) -> None:
    file = _write(
        project,
        f"""\
from ai_flow.model.action import TaskAction
from ai_flow.model.condition import Condition
from ai_flow.model.internal.conditions import MeetAnyCondition
from ai_flow.model.status import TaskStatus
{FLOW}
class Mine(Condition):
    def is_met(self, event, context):
        return True

with Workflow(name="circle") as circle:
    free = BashOperator(name="free", bash_command="true")
    a = BashOperator(name="a", bash_command="true")
    b = BashOperator(name="b", bash_command="true")
    b.start_after(a)
    a.start_after(b)
    {way_in}
""",
    )

    assert len(ops.upload_workflows(file)) == 2


def test_a_file_that_changes_meanwhile_is_refused(home: Home, project: Path) -> None:
    file = _write(project, FLOW)
    loaded = load_workflow_file(file)
    _write(project, FLOW + "# more\n")

    with open_service(home) as service, pytest.raises(AIFlowException) as refusal:
        service.workflows.upload(loaded.to_data())

    assert str(refusal.value) == f"{file} was changed while it was being uploaded: try again."


@pytest.mark.parametrize(
    "operation", ["upload_workflows(__file__)", "start_workflow_execution('flow')", "list_workflows()"]
)
def test_operations_at_the_top_of_a_workflow_file_are_refused(
    home: Home, project: Path, operation: str
) -> None:
    file = _write(project, f"from ai_flow import ops\n{FLOW}ops.{operation}\n")

    message = _refusal(file)

    assert "CalledWhileLoadingError: The workflow file called " in message
    assert 'put what is for people to run below if __name__ == "__main__":' in message
    assert f"line 7: ops.{operation}" in message


def test_a_path_that_is_none_is_refused(home: Home) -> None:
    path: Any = None

    assert _refusal(path) == "workflow_file_path must be the path of a workflow file, found None."
