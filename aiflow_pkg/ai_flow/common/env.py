# SPDX-License-Identifier: Apache-2.0
"""Variables and ``~`` in paths, and the home of aiflow."""

from __future__ import annotations

import os
from typing import overload

from ai_flow.common.exception.exceptions import AIFlowConfigException

#: Variables may name variables; deeper than this they name themselves.
_MAX_DEPTH = 20
#: One that names itself twice doubles the text each time, so the depth alone is no limit.
_MAX_CHARACTERS = 65_536


@overload
def expand_env_var(env_var: str) -> str: ...


@overload
def expand_env_var(env_var: None) -> None: ...


def expand_env_var(env_var: str | None) -> str | None:
    """Return a text with its variables and a leading ``~`` replaced; None and ``""`` as they are.

    What a variable stands for is expanded too. Unknown variables stay as they are.

    >>> os.environ.update(DATA="$ROOT/data", ROOT="/srv")
    >>> expand_env_var("$DATA/today"), expand_env_var("$UNKNOWN_VARIABLE/today")
    ('/srv/data/today', '$UNKNOWN_VARIABLE/today')
    """
    if not env_var:
        return env_var
    text = env_var
    for _ in range(_MAX_DEPTH):
        expanded = os.path.expanduser(os.path.expandvars(text))
        if expanded == text:
            return text
        if len(expanded) > max(_MAX_CHARACTERS, len(text)):
            break
        text = expanded
    raise AIFlowConfigException(f"{env_var!r} cannot be expanded: a variable in it stands for itself.")


#: The other name of it.
expand_env_vars = expand_env_var


def get_aiflow_home() -> str:
    """Return the directory that ``$AIFLOW_HOME`` names, or ``~/aiflow``, as an absolute path."""
    return os.path.abspath(expand_env_var(os.environ.get("AIFLOW_HOME") or "~/aiflow"))
