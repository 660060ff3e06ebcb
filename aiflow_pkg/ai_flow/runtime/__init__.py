# SPDX-License-Identifier: Apache-2.0
"""What runs in the user's own Python: loading files, running tasks, evaluating conditions."""
