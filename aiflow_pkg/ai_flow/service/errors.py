# SPDX-License-Identifier: Apache-2.0
"""Why an operation was refused; each message is one sentence, in the words that scripts may know.

AIFlowException
└── OperationError
    ├── InvalidArgumentError        an argument that no such operation can have
    ├── NotFoundError               what the operation is about does not exist
    ├── AlreadyExistsError          what it would make exists
    ├── NotEmptyError               a namespace still holds workflows
    ├── InUseError                  something else needs what would be removed
    ├── NotFinishedError            a workflow execution still goes on
    ├── StartRefusedError           what would be started cannot be
    ├── UnsuitableRuleError         a rule that cannot start a workflow
    ├── CalledWhileLoadingError     a workflow file calls operations while it is loaded
    ├── CalledInConditionError      a condition calls operations
    ├── UnavailableError            the store or the supervisor cannot be reached
    └── UploadError                 a workflow file that cannot become workflows

They travel from the supervisor to a task by ``code`` and attributes (``ai_flow.service.remote``), so both
must be plain. Only the standard library is imported here: tasks raise these errors too.
"""

from __future__ import annotations

from collections.abc import Sequence

from ai_flow.common.exception.exceptions import AIFlowDBException, AIFlowException


class OperationError(AIFlowException):
    """The root of all refusals."""

    code = "operation"


class InvalidArgumentError(OperationError):
    """An argument has a type or value that it cannot have."""

    code = "invalid_argument"

    def __init__(self, name: str, value: object, wanted: str) -> None:
        super().__init__(f"{name} must be {wanted}, found {value!r}.")
        self.name = name


class NotFoundError(OperationError):
    """There is no such thing; ``what`` and ``id`` say which."""

    code = "not_found"

    def __init__(self, what: str, id: str | int, *, hint: str | None = None) -> None:
        super().__init__(_with_hint(f"{what} {id} not exists.", hint))
        self.what = what
        self.id = id


class AlreadyExistsError(OperationError):
    """There is one already."""

    code = "already_exists"

    def __init__(self, what: str, id: str) -> None:
        super().__init__(f"{what} {id} already exists.")
        self.what = what
        self.id = id


class NotEmptyError(OperationError):
    """A namespace cannot be deleted while it holds workflows."""

    code = "not_empty"

    def __init__(self, namespace: str) -> None:
        super().__init__(f"Namespace: {namespace} is not empty, please remove all its workflows first.")
        self.namespace = namespace


class InUseError(OperationError):
    """A snapshot is needed."""

    code = "in_use"

    def __init__(self, snapshot_id: int, user: str) -> None:
        super().__init__(
            f"Workflow snapshot {snapshot_id} is used by {user}, cannot be removed: remove that first."
        )
        self.snapshot_id = snapshot_id
        self.user = user


class NotFinishedError(OperationError):
    """A workflow execution still goes on."""

    code = "not_finished"

    def __init__(self, execution_id: int) -> None:
        super().__init__(f"Workflow execution {execution_id} is not finished, cannot be removed.")
        self.execution_id = execution_id


class StartRefusedError(OperationError):
    """Something cannot be started now."""

    code = "start_refused"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"Start {what} execution failed. {reason}")
        self.what = what
        self.reason = reason


class UnsuitableRuleError(OperationError):
    """A rule cannot be a workflow trigger."""

    code = "unsuitable_rule"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The rule cannot trigger a workflow: {reason}.")
        self.reason = reason


class CalledWhileLoadingError(OperationError):
    """Operations belong below ``if __name__ == "__main__":``: a workflow file is executed for every task."""

    code = "called_while_loading"

    def __init__(self, method: str) -> None:
        super().__init__(
            f"The workflow file called {method} while it was being loaded: put what is for people to run "
            'below if __name__ == "__main__":, because the file is loaded again for every task.'
        )
        self.method = method


class CalledInConditionError(OperationError):
    """A condition only decides: it may be evaluated more than once for one event."""

    code = "called_in_condition"

    def __init__(self, method: str) -> None:
        super().__init__(
            f"A condition called {method}: a condition only says whether it is met; let a task that it "
            "starts do the rest."
        )
        self.method = method


class UnavailableError(AIFlowDBException, OperationError):
    """The operation could not be carried out, for a reason that is not in its arguments."""

    code = "unavailable"

    def __init__(self, message: str) -> None:
        super().__init__(message)


class UploadError(OperationError):
    """A workflow file cannot be uploaded; nothing was stored."""

    code = "upload"

    def __init__(self, path: str, message: str, hint: str | None = None) -> None:
        super().__init__(_with_hint(message, hint))
        self.path = path
        #: The traceback from the user's code on, if the file raised something.
        self.traceback: str | None = None

    @classmethod
    def missing(cls, path: str) -> UploadError:
        """Return the error for a file that is not there."""
        return cls(path, f"Cannot extract workflow because file not exists: {path}.")

    @classmethod
    def no_workflow(cls, path: str) -> UploadError:
        """Return the error for a file that defines no workflow."""
        return cls(
            path,
            f"No workflow objects found in {path}, failed to upload workflow.",
            "Define one at the top level of the file: with Workflow(name=...) as workflow: ...",
        )

    @classmethod
    def same_name(cls, path: str, workflow: str) -> UploadError:
        """Return the error for two workflows of one name."""
        return cls(path, f"{path} defines two workflows named {workflow}: give one of them another name.")

    @classmethod
    def no_way_in(cls, path: str, workflow: str, waits: Sequence[tuple[str, str]]) -> UploadError:
        """Return the error for tasks that can never start; ``waits`` says what each waits for."""
        tasks = ", and ".join(f"'{task}' waits for {what}" for task, what in waits)
        return cls(
            path,
            f"Workflow {workflow} of {path} has tasks that can never start: {tasks}.",
            "Let one of them start with the workflow, or by an event.",
        )


def _with_hint(message: str, hint: str | None) -> str:
    return f"{message} {hint}" if hint else message
