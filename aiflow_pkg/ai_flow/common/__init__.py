# SPDX-License-Identifier: Apache-2.0
"""What every part of aiflow may use: the home, the environment and the exceptions."""
