# SPDX-License-Identifier: Apache-2.0
"""aiflow: an event-driven workflow orchestrator for streaming and batch tasks.

A workflow file imports what it needs from the modules below this package: ``ai_flow.model.workflow``,
``ai_flow.operators.bash``, ``ai_flow.operators.python``, ``ai_flow.notification.notification_client``, and
so on. Importing the package itself costs next to nothing and changes nothing: no file is made, no logger is
configured, nothing outside the standard library is loaded.
"""

from __future__ import annotations

__version__ = "0.5.0"
