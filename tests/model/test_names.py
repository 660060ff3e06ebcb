# SPDX-License-Identifier: Apache-2.0
"""Which names workflows, namespaces and tasks can have."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_flow.model.checks import checked_name
from ai_flow.model.errors import InvalidNameError
from ai_flow.model.operator import Operator
from ai_flow.model.workflow import Workflow


@pytest.mark.parametrize(
    "name",
    [
        "task",
        "task_1",
        "my-task",
        "v1.2",
        "my task",
        "训练",
        "größe",
        "a:b@c#d(e)+f=g,h",
        ".hidden",
        "[x]",
        "a" * 240,
        "0",
    ],
)
def test_reasonable_names_are_accepted(name: str) -> None:
    with Workflow(name, namespace=name) as workflow:
        task = Operator(name)

    assert workflow.name == workflow.namespace == task.name == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is empty"),
        (".", "it means a directory"),
        ("..", "it means a directory"),
        ("a/b", "it contains '/'"),
        ("../../etc/passwd", "it contains '/'"),
        ("a\\b", "it contains"),
        ("a\0b", "it contains"),
        ("a\nb", "it contains"),
        ("a\u202eb", "it contains"),
        ("\ud800", "it contains"),
        (" a", "it begins or ends with a space"),
        ("a ", "it begins or ends with a space"),
        ("-rf", "it begins with '-'"),
        ("a" * 241, "it is 241 bytes long"),
        ("训" * 81, "it is 243 bytes long"),
        (None, "it is not a text but of type NoneType"),
        (5, "it is not a text but of type int"),
        (b"task", "it is not a text but of type bytes"),
    ],
)
def test_names_that_cannot_be_a_directory_are_refused_with_the_rule(name: Any, reason: str) -> None:
    with Workflow("w"), pytest.raises(InvalidNameError) as raised:
        Operator(name)

    assert "name of a task: " + reason in str(raised.value)
    assert "1 to 240 bytes of printable characters" in str(raised.value)
    with pytest.raises(InvalidNameError, match="name of a workflow"):
        Workflow(name)
    with pytest.raises(InvalidNameError, match="name of a namespace"):
        Workflow("w", namespace=name)


def test_the_member_of_an_enumeration_counts_as_its_value() -> None:
    class Names(str, Enum):
        TRAIN = "train"

    with Workflow("w") as workflow:
        Operator(Names.TRAIN)

    [name] = workflow.tasks
    assert type(name) is str and name == "train"


@given(st.text())
def test_an_accepted_name_is_one_safe_path_component(name: str) -> None:
    try:
        accepted = checked_name("task", name)
    except InvalidNameError:
        return

    encoded = accepted.encode()
    assert accepted == name
    assert 0 < len(encoded) <= 240
    assert b"/" not in encoded and b"\0" not in encoded and accepted not in (".", "..")
