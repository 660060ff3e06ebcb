# SPDX-License-Identifier: Apache-2.0
"""Aids for running the code of tasks outside aiflow."""
