# SPDX-License-Identifier: Apache-2.0
"""Where files are kept that several machines or executions need."""
