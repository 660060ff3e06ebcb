# SPDX-License-Identifier: Apache-2.0
"""``notification event list|count|send|listen``.

They speak to the log over the same transports as any client, but register none: a look at the log leaves no
trace in it. A store that is not there is made by ``send`` and ``listen`` only.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import TypeVar

import click

from notification_service.client.listener import Listener
from notification_service.client.notification_client import ListenerProcessor
from notification_service.client.transport import (
    DEFAULT_NOTIFICATION_URI,
    Transport,
    open_transport,
    sqlite_path,
)
from notification_service.model.event import Event
from notification_service.model.event_filter import EventFilter

_COLUMNS = ("namespace", "key", "value", "sender", "create_time", "context", "offset")

F = TypeVar("F", bound=Callable[..., object])


class _Time(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]  # generic from click 8.2 on
    """An ISO 8601 time; without a zone it is local."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        text = str(value).strip()
        try:
            return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
        except ValueError:
            self.fail(f"{text!r} is not an ISO 8601 time such as 2024-05-01T12:30:00.", param, ctx)


def _server(command: F) -> F:
    option = click.option(
        "-s", "--server-uri", help="Uri of the server, or sqlite:///PATH. Default: the store of $AIFLOW_HOME."
    )
    return option(command)


def _namespace(text: str) -> Callable[[F], F]:
    return click.option("-n", "--namespace", help=text)


def _range(command: F) -> F:
    for option in (
        click.option("--sender", help="Sender of the event."),
        click.option("--begin-time", type=_Time(), help="Only events of this time (ISO 8601) and later."),
        click.option("--begin-offset", type=click.IntRange(min=0), help="Only events above this offset."),
        _namespace("Namespace of the event. Default: all namespaces."),
        _server,
    ):
        command = option(command)
    return command


@click.command("list")
@click.argument("key")
@_range
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml", "plain"]),
    default="table",
    show_default=True,
    help="Output format.",
)
def list_command(
    key: str,
    server_uri: str | None,
    namespace: str | None,
    begin_offset: int | None,
    begin_time: datetime | None,
    sender: str | None,
    output: str,
) -> None:
    """Lists the events of KEY ("*" for any)."""
    with closing(_open(server_uri, must_exist=True)) as transport:
        wanted = _filter(key, namespace, begin_offset, begin_time, sender)
        events = transport.list_events(wanted)
    click.echo(_format([_row(event) for event in events], output))


@click.command("count")
@click.argument("key")
@_range
def count_command(
    key: str,
    server_uri: str | None,
    namespace: str | None,
    begin_offset: int | None,
    begin_time: datetime | None,
    sender: str | None,
) -> None:
    """Counts the events of KEY ("*" for any)."""
    with closing(_open(server_uri, must_exist=True)) as transport:
        total, _ = transport.count_events(_filter(key, namespace, begin_offset, begin_time, sender))
    click.echo(total)


@click.command("send")
@click.argument("key")
@click.argument("value")
@_server
@_namespace("Namespace of the event.")
@click.option("--sender", help="Sender of the event.")
@click.option("--context", help="Context of the event.")
def send_command(
    key: str,
    value: str,
    server_uri: str | None,
    namespace: str | None,
    sender: str | None,
    context: str | None,
) -> None:
    """Sends an event with KEY and VALUE."""
    with closing(_open(server_uri)) as transport:
        (stored,) = transport.send(
            [Event(key, value, context=context)],
            namespace=namespace,
            sender=sender,
            producer=f"command_{uuid.uuid4().hex}",
            sequence=0,
        )
    click.echo(f"Successfully send event: {stored}.")


@click.command("listen")
@click.argument("key")
@_server
@_namespace("Namespace of the event. Default: all namespaces.")
@click.option("--begin-offset", type=click.IntRange(min=0), help="Begin above this offset.")
@click.option("--begin-time", type=_Time(), help="Begin with events of this time (ISO 8601). Default: now.")
def listen_command(
    key: str,
    server_uri: str | None,
    namespace: str | None,
    begin_offset: int | None,
    begin_time: datetime | None,
) -> None:
    """Shows the events of KEY ("*" for any) as they come, until Ctrl-C."""
    with closing(_open(server_uri)) as transport:
        if begin_offset is None:
            before = _milliseconds(begin_time or datetime.now()) - 1
            begin_offset = transport.time_to_offset(before)
        printer = _Printer(namespace if key == "*" else None)
        keys = None if key == "*" else [key]
        listener = Listener("listen", printer, keys=keys, namespace=namespace, offset=begin_offset)
        transport.listen(listener)
        listener.start()
        try:
            printer.broken.wait()
        finally:
            transport.unlisten(listener)
            listener.stop()


COMMANDS: dict[str, click.Command] = {
    "list": list_command,
    "count": count_command,
    "send": send_command,
    "listen": listen_command,
}


class _Printer(ListenerProcessor):
    """Prints each event on a line of its own."""

    def __init__(self, namespace: str | None) -> None:
        self._namespace = namespace
        #: Set when nobody reads the output any more.
        self.broken = threading.Event()

    def process(self, events: list[Event]) -> None:
        try:
            for event in events:
                if self._namespace in (None, "", event.namespace):
                    click.echo(_one_line(str(event)))
        except BrokenPipeError:
            self.broken.set()


def _open(server_uri: str | None, *, must_exist: bool = False) -> Transport:
    uri = server_uri or _own_uri()
    path = sqlite_path(uri)
    if must_exist and path is not None and not os.path.exists(path):
        raise click.UsageError(f"There is no store at {path}. Name one with -s, or a home with AIFLOW_HOME.")
    return open_transport(uri)


def _own_uri() -> str:
    if os.environ.get("AIFLOW_SOCKET"):
        return os.environ.get("AIFLOW_NOTIFICATION_URI") or DEFAULT_NOTIFICATION_URI
    home = os.path.abspath(
        os.path.expanduser(os.path.expandvars(os.environ.get("AIFLOW_HOME") or "~/aiflow"))
    )
    return f"sqlite:///{home}/aiflow.db"


def _filter(
    key: str,
    namespace: str | None,
    begin_offset: int | None,
    begin_time: datetime | None,
    sender: str | None,
) -> EventFilter:
    return EventFilter(
        key=key,
        namespace=namespace,
        sender=sender,
        begin_offset=begin_offset,
        begin_time=_milliseconds(begin_time) if begin_time is not None and begin_offset is None else None,
    )


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _row(event: Event) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(event, name) for name in _COLUMNS}
    moment = datetime.fromtimestamp((event.create_time or 0) / 1000).astimezone()
    return {**row, "create_time": moment.isoformat(timespec="milliseconds")}


def _format(rows: list[dict[str, object]], output: str) -> str:
    if output == "json":
        return json.dumps(rows, indent=2, ensure_ascii=False)
    if output == "yaml":
        import yaml

        return yaml.safe_dump(rows, sort_keys=False, allow_unicode=True).rstrip("\n")
    cells = [[_one_line(str(row[name])) for name in _COLUMNS] for row in rows]
    if output == "plain":
        return "\n".join(" ".join(line) for line in cells)
    if not cells:
        return "No data found"
    table = [list(_COLUMNS), *cells]
    widths = [max(len(line[column]) for line in table) for column in range(len(_COLUMNS))]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in table
    ]
    lines.insert(1, "=+=".join("=" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _one_line(text: str) -> str:
    """Keep control characters of a value from breaking the lines, or commanding the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
