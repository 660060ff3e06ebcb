# SPDX-License-Identifier: Apache-2.0
"""The operator that submits Flink jobs."""
