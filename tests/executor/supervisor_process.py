# SPDX-License-Identifier: Apache-2.0
"""A supervisor in a process of its own, for tests that kill one.

    python supervisor_process.py <root> <lives on: 0 or 1> <command>...

Launches one bash attempt per command and then turns its loop until it is killed. Says ``attempt <id>`` for
each, ``started`` when all have a process, and ``report <id> <outcome>`` for each end.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.executor.executor_support import Site


def main() -> None:
    root, lives_on, *commands = sys.argv[1:]
    site = Site(Path(root))
    site.start(lives_on=lives_on == "1")
    specs = [
        site.bash(command, number=number, stop_grace_s=0.3)
        for number, command in enumerate(commands, start=1)
    ]
    for spec in specs:
        site.executor.launch(spec)
        print("attempt", spec.attempt_id, flush=True)
    site.until(lambda: all(site.executor.pid_of(spec.attempt_id) or site.reports for spec in specs))
    print("started", flush=True)
    said = 0
    while True:
        site.reactor.run_once(0.5)
        for report in site.reports[said:]:
            said += 1
            print("report", report.attempt_id, report.outcome.value, flush=True)


if __name__ == "__main__":
    main()
