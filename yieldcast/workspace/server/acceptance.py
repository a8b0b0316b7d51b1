"""How a model is taken: stored by the rules, checked apart, compared with the task, queued or refused."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from yieldcast.errors import SchemaError
from yieldcast.workspace.database import submissions
from yieldcast.workspace.database.models import Account, Submission
from yieldcast.workspace.database.submissions import About
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.server.checking import check_apart
from yieldcast.workspace.server.problems import RequestError
from yieldcast.workspace.server.uploads import PREFIX
from yieldcast.workspace.tasks.fit import Shape, check_inputs
from yieldcast.workspace.tasks.task import Task


def take(workspace: Workspace, account: Account, file: Path, about: About) -> tuple[Submission, bool]:
    """Take a model, or give the submission that it already is.

    Args:
        workspace: whose rules hold.
        account: of the contributor.
        file: the model; it is copied.
        about: what was declared.

    Returns:
        the submission, and whether it is new.

    Raises:
        RequestError: 422 with the rule that refuses the model; then the submission is refused too.
        NotTakenError: the rules of the workspace do not allow it now.
    """
    with workspace.write() as session:
        row = submissions.submit(session, workspace, account, file, about)
    new = row.state == "received"
    if new:
        settle(workspace, row)
    elif row.state == "refused":
        raise RequestError(422, row.reason or "the model was refused", "Correct the model.", "refused before")
    return row, new


def settle(workspace: Workspace, row: Submission) -> None:
    """Check a received submission, then queue or refuse it.

    Raises:
        RequestError: 422 with the rule that refuses it; then it is refused in the database too.
    """
    try:
        found = check_apart(workspace.model_file(row.sha256))
        _check_fit(Task.read(workspace.path), found.inputs)
    except RequestError as refused:
        with workspace.write() as session:
            submissions.refuse(session, workspace, row, str(refused))
        raise
    with workspace.write() as session:
        submissions.accept(session, row, found.parameters)


def remove_cut_off(workspace: Workspace) -> None:
    """Remove uploads that were cut off when a server was killed; before the first one arrives."""
    for cut_off in workspace.scratch.glob(f"{PREFIX}*"):
        cut_off.unlink(missing_ok=True)


def settle_received(workspace: Workspace) -> None:
    """Check submissions that were received when a server was killed, before they were checked."""
    with workspace.read() as session:
        rows = submissions.unchecked(session)
    for row in rows:
        with suppress(RequestError):  # noted as refused
            settle(workspace, row)


def _check_fit(task: Task, inputs: Mapping[str, Shape]) -> None:
    try:
        check_inputs(task.inputs, inputs)
    except SchemaError as error:
        raise RequestError(422, str(error), error.hint, "task") from None
