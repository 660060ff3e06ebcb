# SPDX-License-Identifier: Apache-2.0
"""The exceptions that users of aiflow may catch."""
