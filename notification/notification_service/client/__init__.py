# SPDX-License-Identifier: Apache-2.0
"""Send events and listen to them, from any process."""
