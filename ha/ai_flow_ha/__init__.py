# SPDX-License-Identifier: Apache-2.0
"""What several servers over one database need: the shared store, leases, election and membership.

The package stands between ``notification_service``, on which it builds, and ``ai_flow``, which uses it
when a cluster is configured. A single machine needs nothing of it, so nothing here may be imported on
the way to a plain ``aiflow run``.
"""
