# SPDX-License-Identifier: Apache-2.0
"""The values that users hold: events, errors, and the public doctests."""

from __future__ import annotations

import copy
import doctest
import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest

from notification_service import errors
from notification_service.client import embedded_notification_client
from notification_service.client.notification_client import ListenerRegistrationId
from notification_service.database import errors as database_errors
from notification_service.errors import NotificationError, OffsetOutOfRange, SequenceConflictError
from notification_service.model import event as event_module
from notification_service.model.event import ANY_CONDITION, DEFAULT_NAMESPACE, Event


def test_an_event_has_the_text_of_the_reference() -> None:
    event = Event("K", "V")
    event.namespace, event.sender, event.context = "N", "S", "C"
    event.create_time, event.offset = 5, 7

    assert str(event) == "key:K, value:V, namespace:N, sender:S, create_time:5, offset:7, context: C"
    assert (ANY_CONDITION, DEFAULT_NAMESPACE) == ("*", "DEFAULT")


@pytest.mark.parametrize("field", ["key", "value", "namespace", "sender", "context", "create_time", "offset"])
def test_events_are_equal_when_all_fields_are(field: str) -> None:
    one, other = Event("k", "v"), Event("k", "v")
    assert one == other

    setattr(other, field, 3)

    assert one != other
    assert pickle.loads(pickle.dumps(other)) == other
    assert one != "an event"


def test_an_event_cannot_be_hashed_because_it_can_change() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Event("k", "v"))


def test_registration_ids_are_values() -> None:
    assert ListenerRegistrationId("a") == ListenerRegistrationId("a") != ListenerRegistrationId("b")
    assert len({ListenerRegistrationId("a"), ListenerRegistrationId(id="a")}) == 1


@pytest.mark.parametrize("error", [OffsetOutOfRange(3, 5), SequenceConflictError("p", 1, 2)])
def test_errors_can_be_copied_and_sent_to_other_processes(error: NotificationError) -> None:
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)


def test_every_error_is_of_one_tree_and_has_its_own_code() -> None:
    kinds: list[Any] = [
        kind
        for module in (errors, database_errors)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == module.__name__
    ]

    assert [kind for kind in kinds if not issubclass(kind, NotificationError)] == []
    codes = [kind.code for kind in kinds if "code" in vars(kind)]
    assert len(codes) == len(set(codes)) >= len(kinds) - 1


def test_the_examples_in_the_documentation_work(store_path: Path) -> None:
    uri = f"sqlite:///{store_path}"

    assert doctest.testmod(event_module).failed == 0
    result = doctest.testmod(
        embedded_notification_client,
        extraglobs={
            "EmbeddedNotificationClient": embedded_notification_client.EmbeddedNotificationClient,
            "Event": Event,
            "store_uri": uri,
        },
    )
    assert (result.failed, result.attempted) == (0, 3)
