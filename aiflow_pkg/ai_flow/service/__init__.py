# SPDX-License-Identifier: Apache-2.0
"""What can be asked of aiflow: one typed layer below the CLI, ``ai_flow.ops`` and the servers."""
