# SPDX-License-Identifier: Apache-2.0
"""The database port, its implementations and the migrations of the schema."""
