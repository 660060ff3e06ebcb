# SPDX-License-Identifier: Apache-2.0
"""`aiflow run`: reading its options, driving a ``RunSession`` and showing what happens."""
