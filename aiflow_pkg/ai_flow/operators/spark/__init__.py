# SPDX-License-Identifier: Apache-2.0
"""The operators that submit Spark applications and run Spark SQL."""
