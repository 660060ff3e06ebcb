# SPDX-License-Identifier: Apache-2.0
"""What ``ai_flow.ops`` returns: namespaces, workflows, snapshots, executions and triggers as plain values."""
