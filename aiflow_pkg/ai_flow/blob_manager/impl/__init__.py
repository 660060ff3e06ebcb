# SPDX-License-Identifier: Apache-2.0
"""The blob managers that come with aiflow."""
