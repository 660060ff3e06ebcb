# SPDX-License-Identifier: Apache-2.0
"""Conditions, events and contexts that aiflow itself makes; the documented ones are importable by users."""
