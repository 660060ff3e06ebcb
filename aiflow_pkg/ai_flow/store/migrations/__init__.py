# SPDX-License-Identifier: Apache-2.0
"""Numbered, immutable migrations of the component "store"."""
