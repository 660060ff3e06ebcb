# SPDX-License-Identifier: Apache-2.0
"""The append-only event log and its clients: the bottom layer of aiflow."""
