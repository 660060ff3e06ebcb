# SPDX-License-Identifier: Apache-2.0
"""The base of the public enumerations: their members are strings.

Python changed twice how such a member is formatted (3.11, 3.12). Here ``f"{member}"`` is the bare value on
every version, as users of aiflow have always seen it; ``str(member)`` stays ``Class.MEMBER``.
"""

from __future__ import annotations

from enum import Enum


class TextEnum(str, Enum):
    """An enumeration whose members equal, hash and format as their value."""

    def __format__(self, format_spec: str) -> str:
        return format(str(self.value), format_spec)
