# SPDX-License-Identifier: Apache-2.0
"""Runs attempts of tasks and evaluates conditions, each in processes of the user's own Python."""
