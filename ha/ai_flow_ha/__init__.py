# SPDX-License-Identifier: Apache-2.0
"""Who decides: leases over the shared store, and what several servers need of each other.

The package builds on ``notification_service`` and is used by ``ai_flow``. The lease is needed wherever
two processes can share one home, so it is here for SQLite too; what only a cluster needs (the MySQL
database, election, membership) may not be imported on the way to a plain ``aiflow run``.
"""
