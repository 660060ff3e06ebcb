# SPDX-License-Identifier: Apache-2.0
"""The command line. Importing this package imports nothing else; see ``DESIGN.md`` beside it."""
