# SPDX-License-Identifier: Apache-2.0
"""The metadata of a home: workflows, snapshots, executions, and the engine's state between steps."""
