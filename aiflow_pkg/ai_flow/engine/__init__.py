# SPDX-License-Identifier: Apache-2.0
"""The pure part: state and event in, changes out. No I/O, no clock, no randomness (see DESIGN.md)."""
