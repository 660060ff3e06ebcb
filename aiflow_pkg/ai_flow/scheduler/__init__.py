# SPDX-License-Identifier: Apache-2.0
"""The thin loop around the engine: reads the log, asks hosts, commits decisions, follows when another
decides.
"""
