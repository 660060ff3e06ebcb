# SPDX-License-Identifier: Apache-2.0
"""What the exit code of a command means.

A command that is ended by a signal exits with ``SIGNALLED`` plus the number of the signal, as a shell
reports it: 130 for Ctrl-C, 143 for SIGTERM, 129 for a terminal that was closed.
"""

from __future__ import annotations

#: Everything went well; stops made by a workflow's own rules belong to that.
SUCCESS = 0
#: An execution FAILED, or waited for an event that cannot come any more.
FAILED = 1
#: The user made a mistake: nothing was run.
MISTAKE = 2
#: A person stopped an execution.
STOPPED = 3
#: A defect of aiflow (EX_SOFTWARE of sysexits).
DEFECT = 70
#: The time given with --timeout is over; ``timeout`` of coreutils uses the same number.
TIMED_OUT = 124
#: Added to the number of a signal.
SIGNALLED = 128


def of_signal(number: int) -> int:
    """Return the exit code of a command that signal ``number`` ended."""
    return SIGNALLED + number
