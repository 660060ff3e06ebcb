# SPDX-License-Identifier: Apache-2.0
"""The other name of ``ai_flow.notification.notification_client``, as section 4.6 of the manual writes it."""

from __future__ import annotations

from ai_flow.notification.notification_client import (
    AIFlowNotificationClient,
    Event,
    ListenerProcessor,
    ListenerRegistrationId,
)

__all__ = ["AIFlowNotificationClient", "Event", "ListenerProcessor", "ListenerRegistrationId"]
