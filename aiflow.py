# SPDX-License-Identifier: Apache-2.0
"""Run aiflow straight from a checkout: ``python aiflow.py run workflow.py``.

This file is also what the single binary and the zip application start with. It puts the three source
roots on the import path when it lies beside them, and hands over to the command line of ``ai_flow``;
an installed aiflow does not need it (the command ``aiflow`` goes to the same place). A child process
inherits nothing from here: whoever starts one gives it its own import path.
"""

from __future__ import annotations

import sys
from pathlib import Path

#: Each holds one package; they are put first, so that a checkout wins over an installed aiflow.
SOURCE_ROOTS = ("aiflow_pkg", "notification", "ha")


def add_source_roots(checkout: Path) -> None:
    """Put the source roots of ``checkout`` at the front of the import path, where they exist."""
    roots = [str(checkout / root) for root in SOURCE_ROOTS if (checkout / root).is_dir()]
    sys.path[:0] = [root for root in roots if root not in sys.path]


def main() -> None:
    """Start the command line and leave with its exit code."""
    add_source_roots(Path(__file__).resolve().parent)
    from ai_flow.cli.main import main as command_line

    sys.exit(command_line())


if __name__ == "__main__":
    main()
