# SPDX-License-Identifier: Apache-2.0
"""Measurements; each script says what it measures and against which raw limit."""
