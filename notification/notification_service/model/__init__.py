# SPDX-License-Identifier: Apache-2.0
"""What travels through the notification service."""
