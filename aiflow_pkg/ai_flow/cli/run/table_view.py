# SPDX-License-Identifier: Apache-2.0
"""A run on a terminal: a table of the tasks that stays in place, with their output scrolling above it.

Everything is drawn on the caller's thread, and only what differs from what stands there is drawn again: at
most ten times a second, and without a change only when a shown number of seconds grows. Each drawing is one
write, so nothing flickers. rich is imported here and nowhere else, and the first drawing comes after the
first tasks were started.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO, cast

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from ai_flow.cli.run import wording
from ai_flow.cli.run.history import ExecutionHistory, RunHistory, TaskHistory
from ai_flow.cli.run.view import LastingStream
from ai_flow.cli.text import duration
from ai_flow.model.status import TaskStatus, WorkflowStatus

#: Told apart well on dark and on light terminals; status colours are not among them.
_TASK_COLOURS = ("cyan", "magenta", "blue", "bright_cyan", "bright_magenta", "bright_blue")
_STATUS_STYLES = {
    TaskStatus.RUNNING: "cyan",
    TaskStatus.SUCCESS: "green",
    TaskStatus.FAILED: "bold red",
    TaskStatus.STOPPING: "yellow",
    TaskStatus.STOPPED: "yellow",
    TaskStatus.RETRYING: "yellow",
}
_EXECUTION_STYLES = {
    WorkflowStatus.SUCCESS: "bold green",
    WorkflowStatus.FAILED: "bold red",
    WorkflowStatus.STOPPED: "bold yellow",
}
#: Rows of the terminal that are left for output.
_LEFT_FOR_OUTPUT = 4
#: An execution is shown when it can have this many lines.
_LEAST_LINES = 4
_DRAW_EVERY_S = 0.1
#: What is shown first when there is no room for all.
_IMPORTANCE = {
    TaskStatus.RUNNING: 0,
    TaskStatus.STOPPING: 0,
    TaskStatus.RETRYING: 1,
    TaskStatus.FAILED: 2,
    TaskStatus.STOPPED: 3,
    TaskStatus.SUCCESS: 4,
    None: 5,
}


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the table as it is drawn; equal rows need no drawing."""

    label: str
    status: TaskStatus | None
    run: str
    time: str
    note: str


@dataclass(frozen=True, slots=True)
class _Block:
    """The part of the table for one execution."""

    title: str
    status: WorkflowStatus
    note: str
    rows: tuple[_Row, ...]
    rest: str


class _Lines:
    """Lines that are written as they are: markup, wrapping and colours inside them are the user's."""

    def __init__(self, lines: Sequence[str], style: Style, prefix: tuple[str, Style] | None = None) -> None:
        self._lines, self._style, self._prefix = lines, style, prefix

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._lines:
            if self._prefix is not None:
                yield Segment(*self._prefix)
            yield Segment(line, self._style)
            yield Segment.line()


class TableView:
    """Draws the table and prints above it."""

    def __init__(self, stream: LastingStream) -> None:
        self._console = Console(
            file=cast("TextIO", stream),
            force_terminal=True,
            no_color=bool(os.environ.get("NO_COLOR")) or None,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._above: list[RenderableType] = []
        self._drawn: tuple[_Block, ...] = ()
        self._drawn_at_s = 0.0
        self._live.start()

    def changed(self, task: TaskHistory, at_ms: int) -> None:
        """Keep failures in sight: they stay above the table; all else the table shows."""
        if task.status in (TaskStatus.FAILED, TaskStatus.RETRYING):
            self._above.append(_Lines([wording.of_change(task)], Style.parse("red")))

    def output(self, task: TaskHistory, lines: Sequence[str]) -> None:
        """Print lines above the table, behind the name of their task."""
        style = Style.parse(_TASK_COLOURS[task.number % len(_TASK_COLOURS)])
        self._above.append(_Lines(lines, Style.null(), (f"{task.label} | ", style)))

    def note(self, line: str) -> None:
        """Print a line above the table."""
        self._above.append(_Lines([line], Style.parse("yellow")))

    def refresh(self, history: RunHistory) -> None:
        """Draw what has changed."""
        now_s = time.monotonic()
        if now_s - self._drawn_at_s < _DRAW_EVERY_S:
            return
        self._drawn_at_s = now_s
        self._draw(history)

    def close(self, history: RunHistory) -> None:
        """Leave the finished table where it stands, and tell below it how each execution ended."""
        self._draw(history)
        self._live.stop()
        for execution in history.executions:
            first, *more = wording.summary(execution)
            style = _EXECUTION_STYLES.get(execution.progress.status, "bold")
            self._console.print(Text(first, style=style), soft_wrap=True)
            for line in more:
                self._console.print(Text(line), soft_wrap=True)

    def _draw(self, history: RunHistory) -> None:
        blocks = tuple(self._blocks(history))
        above, self._above = self._above, []
        with self._console:  # one write for all of it
            if above:
                self._console.print(*above, sep="", end="", crop=False)
            if blocks != self._drawn:
                self._drawn = blocks
                self._live.update(Group(*(_rendered(block) for block in blocks)), refresh=True)

    def _blocks(self, history: RunHistory) -> Iterator[_Block]:
        now_ms = time.time_ns() // 1_000_000
        lines = max(3, self._console.height - _LEFT_FOR_OUTPUT)
        executions = history.executions
        shown = sorted(executions, key=lambda execution: execution.progress.is_finished)
        shown = shown[: max(1, lines // _LEAST_LINES)]
        room = max(1, lines // max(1, len(shown)) - 2)
        for execution in executions:
            if execution in shown:
                yield _block(execution, now_ms, room)


def _block(execution: ExecutionHistory, now_ms: int, room: int) -> _Block:
    tasks = list(execution.tasks.values())
    shown, rest = tasks, ""
    if len(tasks) > room:
        ordered = sorted(tasks, key=lambda task: (_IMPORTANCE.get(task.status, 1), -_ended_ms(task)))
        names = {task.name for task in ordered[: max(1, room - 1)]}
        shown = [task for task in tasks if task.name in names]
        rest = _counted(task for task in tasks if task.name not in names)
    progress = execution.progress
    note = progress.waits_for or ""
    return _Block(execution.title, progress.status, note, tuple(_row(task, now_ms) for task in shown), rest)


def _row(task: TaskHistory, now_ms: int) -> _Row:
    latest = task.latest
    if latest is None:
        return _Row(task.label, None, "", "", "")
    run = str(latest.sequence_number)
    if latest.tries > 1:
        run += f" ({latest.try_number}/{latest.tries})"
    seconds = latest.seconds(now_ms)
    took = ""
    if seconds is not None:
        took = duration(seconds) if latest.ended_ms is not None else f"{int(seconds)} s"
        if latest.ended_ms is None and seconds >= 60:
            took = duration(int(seconds))
    return _Row(task.label, latest.status, run, took, wording.short_reason(latest))


def _rendered(block: _Block) -> RenderableType:
    title = Text(block.title, style="bold")
    title.append(f"  {block.status.value}", style=_EXECUTION_STYLES.get(block.status, "cyan"))
    if block.note:
        title.append(f"  {block.note}", style="yellow")
    title.no_wrap, title.overflow = True, "ellipsis"
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column("task", no_wrap=True, overflow="ellipsis", max_width=40)
    table.add_column("status", no_wrap=True, min_width=8)
    table.add_column("run", no_wrap=True)
    table.add_column("time", no_wrap=True, justify="right", min_width=6)
    table.add_column("note", no_wrap=True, overflow="ellipsis")
    for row in block.rows:
        style = _STATUS_STYLES.get(row.status, "") if row.status else "dim"
        status = row.status.value if row.status else "not started"
        table.add_row(
            Text(f"  {row.label}"), Text(status, style=style), Text(row.run), Text(row.time), Text(row.note)
        )
    rest = [Text(f"  {block.rest}", style="dim", no_wrap=True, overflow="ellipsis")] if block.rest else []
    return Group(title, table, *rest)


def _counted(tasks: Iterator[TaskHistory]) -> str:
    counts = Counter(task.status.value if task.status else "not started" for task in tasks)
    return "and " + ", ".join(f"{count} {status}" for status, count in counts.most_common())


def _ended_ms(task: TaskHistory) -> int:
    latest = task.latest
    return (latest.ended_ms or 0) if latest is not None else 0
