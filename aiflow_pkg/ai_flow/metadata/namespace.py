# SPDX-License-Identifier: Apache-2.0
"""A namespace as people and programs see it."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceMeta:
    """A namespace; ``properties`` is the text of a JSON object.

    >>> NamespaceMeta(name="research", properties='{"owner": "Ada"}').get_properties()
    {'owner': 'Ada'}
    """

    name: str
    properties: str

    def get_properties(self) -> dict[str, str]:
        """Return the properties as a dictionary."""
        return json.loads(self.properties)
