# SPDX-License-Identifier: Apache-2.0
"""Namespaces: added, listed, changed, deleted, and every refusal in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from ai_flow import ops
from ai_flow.common.exception.exceptions import AIFlowException
from ai_flow.common.home import Home
from ai_flow.metadata.namespace import NamespaceMeta
from tests.ops.conftest import Upload

pytestmark = pytest.mark.usefixtures("home")


def test_a_new_home_has_the_default_namespace() -> None:
    assert ops.list_namespace() == [NamespaceMeta(name="default", properties="{}")]


def test_an_added_namespace_is_returned_and_kept() -> None:
    added = ops.add_namespace("research", {"owner": "Ada", "öffentlich": "nein"})

    assert added == ops.get_namespace("research")
    assert added.name == "research"
    assert added.get_properties() == {"owner": "Ada", "öffentlich": "nein"}


def test_adding_one_twice_is_refused() -> None:
    ops.add_namespace("research", {})

    with pytest.raises(AIFlowException, match=r"^Namespace research already exists\.$"):
        ops.add_namespace("research", {"owner": "Ada"})

    found = ops.get_namespace("research")
    assert found is not None
    assert found.get_properties() == {}


def test_an_unknown_namespace_is_none() -> None:
    assert ops.get_namespace("nowhere") is None
    assert ops.update_namespace("nowhere", {}) is None


def test_update_replaces_the_properties() -> None:
    ops.add_namespace("research", {"owner": "Ada", "room": "1"})

    updated = ops.update_namespace("research", {"owner": "Grace"})

    assert updated == ops.get_namespace("research")
    assert updated is not None
    assert updated.get_properties() == {"owner": "Grace"}


def test_list_comes_by_name_in_pages() -> None:
    for name in ("b", "c", "a"):
        ops.add_namespace(name, {})

    assert [n.name for n in ops.list_namespace()] == ["a", "b", "c", "default"]
    assert [n.name for n in ops.list_namespace(limit=2, offset=1)] == ["b", "c"]
    assert [n.name for n in ops.list_namespace(offset=3)] == ["default"]
    assert [n.name for n in ops.list_namespace(limit=0)] == ["a", "b", "c", "default"]
    assert ops.list_namespace(offset=4) == []


def test_a_deleted_namespace_is_gone() -> None:
    ops.add_namespace("research", {})

    ops.delete_namespace("research")

    assert ops.get_namespace("research") is None


def test_deleting_an_unknown_one_is_refused() -> None:
    with pytest.raises(AIFlowException, match=r"^Namespace nowhere not exists\.$"):
        ops.delete_namespace("nowhere")


def test_deleting_one_that_holds_workflows_is_refused(home: Home, upload: Upload) -> None:
    upload("flow")

    with pytest.raises(AIFlowException) as refusal:
        ops.delete_namespace("default")

    assert str(refusal.value) == ("Namespace: default is not empty, please remove all its workflows first.")
    ops.delete_workflow("flow")
    ops.delete_namespace("default")
    assert ops.list_namespace() == []


@pytest.mark.parametrize(
    ("properties", "found"),
    [
        ({"a": 1}, "properties['a'] must be a text under a text, found 1."),
        ({1: "a"}, "properties[1] must be a text under a text, found 'a'."),
        ("a", "properties must be a dictionary of texts, found 'a'."),
    ],
)
def test_properties_that_are_no_texts_are_refused(properties: Any, found: str) -> None:
    with pytest.raises(AIFlowException) as refusal:
        ops.add_namespace("research", properties)

    assert str(refusal.value) == found
    assert ops.get_namespace("research") is None


@pytest.mark.parametrize("name", ["", "a/b", ".", "-n", 7, None])
def test_a_name_that_cannot_be_one_is_refused(name: Any) -> None:
    with pytest.raises(AIFlowException, match="cannot be the name of a namespace"):
        ops.add_namespace(name, {})


def test_no_properties_are_an_empty_set() -> None:
    properties: Any = None

    assert ops.add_namespace("research", properties).get_properties() == {}


@pytest.mark.parametrize(
    ("limit", "offset", "found"),
    [
        (-1, None, "limit must be 0 or more, found -1."),
        (None, -1, "offset must be 0 or more, found -1."),
        ("1", None, "limit must be a whole number, found '1'."),
        (True, None, "limit must be a whole number, found True."),
        (2**63, None, f"limit must be a whole number, found {2**63}."),
    ],
)
def test_a_page_that_cannot_be_is_refused(limit: Any, offset: Any, found: str) -> None:
    with pytest.raises(AIFlowException) as refusal:
        ops.list_namespace(limit, offset)

    assert str(refusal.value) == found
