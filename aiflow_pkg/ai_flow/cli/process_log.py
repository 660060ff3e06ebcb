# SPDX-License-Identifier: Apache-2.0
"""The log of the program's own process: quiet unless something is wrong or ``--debug`` is given."""

from __future__ import annotations


def configure(*, debug: bool) -> None:
    """Send warnings, or with ``debug`` everything of ours, to stderr; the first call wins."""
    import logging

    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", datefmt="%H:%M:%S"
    )
    # It reports every watch that is closed while a change comes in, and wake-ups are hints only.
    logging.getLogger("watchdog").setLevel(logging.CRITICAL)
    if debug:
        for name in ("ai_flow", "ai_flow_ha", "notification_service"):
            logging.getLogger(name).setLevel(logging.DEBUG)
