# SPDX-License-Identifier: Apache-2.0
"""Packs the rule of a workflow trigger in the process that made it.

The rule becomes data, which the scheduler reads, and a pickle, which only a condition host opens. The
pickle has to mean something in that host: classes of the caller's script and of the modules beside it are
therefore kept by value, those of installed packages by name. Standard library and cloudpickle only: tasks
add triggers too.
"""

from __future__ import annotations

import contextlib
import pickle
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ai_flow.model.checks import checked_condition
from ai_flow.model.rule import WorkflowRule
from ai_flow.runtime.describe import describe_condition
from ai_flow.service.errors import InvalidArgumentError, UnsuitableRuleError

if TYPE_CHECKING:
    from ai_flow.model.condition import Condition

_OWN_PACKAGES = ("ai_flow", "notification_service", "ai_flow_ha")
_SHARED_DIRECTORIES = ("site-packages", "dist-packages")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedRule:
    """A rule that can be stored."""

    condition: dict[str, Any]
    rule: bytes
    python: str


def pack_rule(rule: object) -> PackedRule:
    """Describe and pickle a ``WorkflowRule``; raise ``UnsuitableRuleError`` when it cannot be a trigger."""
    if not isinstance(rule, WorkflowRule):
        raise InvalidArgumentError("rule", rule, "a WorkflowRule")
    condition = checked_condition(rule.condition)
    description = describe_condition(condition)
    if _needs_an_execution(description):
        raise UnsuitableRuleError(
            "a TaskStatusAllMetCondition compares tasks of one workflow execution, and a trigger has none; "
            "use a TaskStatusCondition"
        )
    return PackedRule(
        condition=description,
        rule=_pickled(rule, is_data=description["type"] != "user"),
        python=".".join(map(str, sys.version_info[:2])),
    )


def _needs_an_execution(description: dict[str, Any]) -> bool:
    if description["type"] == "status":
        return True
    return any(_needs_an_execution(part) for part in description.get("conditions", []))


def _pickled(rule: WorkflowRule, *, is_data: bool) -> bytes:
    try:
        import cloudpickle
    except ImportError:
        if is_data:
            return pickle.dumps(rule)
        raise UnsuitableRuleError(
            f"{type(rule.condition).__name__} is a class of yours, and to keep it the package cloudpickle is "
            "needed: install it"
        ) from None
    with contextlib.ExitStack() as registered:
        for module in {id(module): module for module in _users_modules(rule)}.values():
            if module.__name__ not in cloudpickle.list_registry_pickle_by_value():
                cloudpickle.register_pickle_by_value(module)
                registered.callback(cloudpickle.unregister_pickle_by_value, module)
        try:
            return cloudpickle.dumps(rule)
        except Exception as error:
            raise UnsuitableRuleError(
                f"{type(rule.condition).__name__} cannot be pickled: {type(error).__name__}: {error}; keep "
                "locks, files and connections out of it and open them in is_met"
            ) from error


def _users_modules(rule: WorkflowRule) -> Iterator[ModuleType]:
    """Yield the modules of the user's that the classes of a rule and its conditions come from."""
    for value in (rule, *_conditions(rule.condition)):
        for kind in type(value).__mro__:
            module = sys.modules.get(kind.__module__)
            if module is not None and _is_users(module):
                yield module


def _conditions(condition: Condition) -> Iterator[Condition]:
    yield condition
    for part in getattr(condition, "conditions", None) or ():
        yield from _conditions(part)


def _is_users(module: ModuleType) -> bool:
    """Tell whether the module is neither installed nor ours; ``__main__`` is kept by value anyway."""
    file = getattr(module, "__file__", None)
    top = module.__name__.partition(".")[0]
    if file is None or top in (*_OWN_PACKAGES, "__main__"):
        return False
    libraries = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return not file.startswith(libraries) and not any(f"/{name}/" in file for name in _SHARED_DIRECTORIES)
