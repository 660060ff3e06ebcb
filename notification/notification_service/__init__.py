# SPDX-License-Identifier: Apache-2.0
"""The append-only event log and its clients: the bottom layer of aiflow."""

#: The version of aiflow, of which this package is a part; a test keeps the two the same.
__version__ = "0.5.0"
