# SPDX-License-Identifier: Apache-2.0
"""Tests of ``ai_flow.ops`` and of the service below it."""
