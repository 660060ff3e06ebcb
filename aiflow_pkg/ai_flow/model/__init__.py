# SPDX-License-Identifier: Apache-2.0
"""What a workflow file is made of: workflows, operators, conditions, rules and their words.

Everything here is plain Python over the standard library, because it runs in the Python of the user. Mistakes
in a definition are reported where they are made, as an ``AIFlowException`` (the tree is in ``errors``).
"""
