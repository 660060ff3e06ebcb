# SPDX-License-Identifier: Apache-2.0
"""The program with shorter limits than people get, so that tests need not wait for the real ones.

The first argument says which fields of ``RunOptions`` have other defaults: ``'{"lease_s": 1.5}'``.
Everything else is the program as it is.
"""

from __future__ import annotations

import json
import sys
from functools import partial

from ai_flow.cli import main
from ai_flow.cli.run import command
from ai_flow.server.run_session import RunOptions

if __name__ == "__main__":
    limits, *arguments = sys.argv[1:]
    command.RunOptions = partial(RunOptions, **json.loads(limits))  # pyright: ignore[reportAttributeAccessIssue]
    sys.exit(main.main(arguments))
