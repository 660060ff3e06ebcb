# SPDX-License-Identifier: Apache-2.0
"""The interface of task executors as programs written for earlier versions know it."""
