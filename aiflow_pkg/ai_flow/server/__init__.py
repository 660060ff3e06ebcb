# SPDX-License-Identifier: Apache-2.0
"""Processes that put the parts together: `aiflow run`, and later the server."""
