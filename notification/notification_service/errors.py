# SPDX-License-Identifier: Apache-2.0
"""Everything that can go wrong in the notification service, as one tree.

    NotificationError
    +-- InvalidEventError            a key, value or other field that no event can have
    +-- OffsetOutOfRange             reading below the first event that retention has left
    +-- SequenceConflictError        a (producer, sequence) that was used for another event
    +-- SequenceExpiredError         a repeated append whose first event retention has removed
    +-- UnknownClientError           a client id that was never registered here
    +-- ServerUnreachableError       nobody answers at a server uri
    +-- RequestRefusedError          the other side answered a request with an error
    +-- ProtocolError                bytes on a task socket that are no frame of ours
    +-- DatabaseError                see ``notification_service.database.errors``

Each error builds one sentence from the ids that it is given and keeps them as attributes. ``code`` is
stable for programs; ``hint`` says what to do where the sentence alone does not.
"""

from __future__ import annotations


class NotificationError(Exception):
    """The root of the tree; ``str()`` is one sentence for a person."""

    code = "notification_error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # The constructors take ids, not args, so the default recipe of pickle and copy would not fit.
        return _rebuild, (type(self), dict(self.__dict__))


def _rebuild(kind: type[NotificationError], attributes: dict[str, object]) -> NotificationError:
    error = kind.__new__(kind, attributes["message"])
    error.__dict__.update(attributes)
    return error


class InvalidEventError(NotificationError):
    """A field of an event has the wrong type or is too large."""

    code = "invalid_event"


class OffsetOutOfRange(NotificationError):
    """The reader's position lies before the first event that is still in the log."""

    code = "offset_out_of_range"

    def __init__(self, offset: int, removed_through: int) -> None:
        super().__init__(
            f"Cannot read the events after offset {offset}: retention has removed all events up to offset "
            f"{removed_through}.",
            hint=f"Read from offset {removed_through} to get every event that is left.",
        )
        self.offset = offset
        self.removed_through = removed_through


class SequenceConflictError(NotificationError):
    """Two different events claim the same (producer, sequence)."""

    code = "sequence_conflict"

    def __init__(self, producer: str, sequence: int, offset: int) -> None:
        super().__init__(
            f"Sequence {sequence} of producer {producer} already belongs to another event, at offset "
            f"{offset}.",
            hint="Leave initial_seq_num out to go on after the last event that this client sent.",
        )
        self.producer = producer
        self.sequence = sequence
        self.offset = offset


class SequenceExpiredError(NotificationError):
    """The event was appended once, but retention has removed it, so it cannot be returned."""

    code = "sequence_expired"

    def __init__(self, producer: str, sequence: int) -> None:
        super().__init__(
            f"Sequence {sequence} of producer {producer} was appended before, and retention has removed "
            "that event.",
            hint="Leave initial_seq_num out to go on after the last event that this client sent.",
        )
        self.producer = producer
        self.sequence = sequence


class UnknownClientError(NotificationError):
    """The client id is not in the store."""

    code = "unknown_client"

    def __init__(self, client_id: int) -> None:
        super().__init__(
            f"Init notification client with a client id which have not registered: {client_id}.",
            hint="Leave client_id out to register a new client.",
        )
        self.client_id = client_id


class ServerUnreachableError(NotificationError):
    """No notification server answers at the uri."""

    code = "server_unreachable"

    def __init__(self, server_uri: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"No notification server is reachable at {server_uri}: {reason}.", hint=hint)
        self.server_uri = server_uri


class RequestRefusedError(NotificationError):
    """The supervisor or server answered with an error; ``code`` and ``hint`` are the ones it gave."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class ProtocolError(NotificationError):
    """The peer sent something that is no frame, or a frame that is too large."""

    code = "protocol_error"
