"""Submissions: what a contributor sends, the rules by which it is taken, and the model file on the disk."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from yieldcast import clock
from yieldcast.data.files import disk_error
from yieldcast.errors import MissingDataError, SchemaError, YieldcastError
from yieldcast.workspace.database import audit, queue, state
from yieldcast.workspace.database.models import Account, Submission
from yieldcast.workspace.settings import Money, Names, Text, TrainingOptions, WorkspaceSettings, explained

Rule = Literal["role", "revoked", "closed", "window", "quota", "budget", "same"]
_CHUNK = 1 << 20


class NotTakenError(YieldcastError):
    """A submission that the rules of the workspace do not allow now.

    Args:
        rule: which rule.
        message, hint: for the contributor.
    """

    exit_code = 5

    def __init__(self, rule: Rule, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.rule = rule


class Place(Protocol):
    """What is needed of a workspace (`directory.Workspace`)."""

    @property
    def settings(self) -> WorkspaceSettings:
        """Its settings."""

    def model_file(self, sha256: str) -> Path:
        """Where a model file lies."""


class About(BaseModel):
    """What a contributor declares with a model.

    Args:
        name: shown on the leaderboard.
        price_per_km2: yearly licence for one km2, in the currency of the workspace; None when not offered.
        outputs: names of the model's outputs in their order; None for those of the task.
        options: of the fine-tuning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Text
    price_per_km2: Money | None = None
    outputs: Names | None = Field(default=None, min_length=1, max_length=10_000)
    options: TrainingOptions = TrainingOptions()

    @classmethod
    def parse(cls, content: object) -> About:
        """From what was sent.

        Raises:
            SchemaError: an unknown key or a value out of range; the message names all of them.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise SchemaError(explained(cls, error), "Correct what is declared and submit again.") from None


def submit(session: Session, workspace: Place, account: Account, file: Path, about: About) -> Submission:
    """Take a model: its file is on the disk before its row is in the database.

    The same file with the same outputs and options again is the same submission, so that a contributor whose
    connection was lost may send it again. The archive is not checked here: `accept` or `refuse` follows.

    Args:
        session: of a transaction that writes, best a new one: the file is copied before its first statement.
        workspace: where the file goes and whose rules hold.
        account: of the contributor.
        file: the model; it is copied.
        about: what was declared.

    Returns:
        the submission, in the state "received" if it is new.

    Raises:
        NotTakenError: window, number of submissions, budget, or the account forbid it.
        SchemaError: the file is empty or too large, or the options exceed a limit.
        MissingDataError: no such file, or the disk refuses. After any failure nothing is kept.
    """
    limits = workspace.settings.limits
    if about.options.epochs > limits.epochs:
        raise SchemaError(
            f"epochs: expected at most {limits.epochs}, received {about.options.epochs}", "Declare fewer."
        )
    with _copied(file, workspace.model_file("incoming").parent, round(limits.model_mb * 1e6)) as copy:
        sha256, size = copy.sha256, copy.size
        # locked: of two uploads at the same time the second one sees the first
        holder = session.get_one(Account, account.id, with_for_update=True, populate_existing=True)
        key = _key(sha256, about)
        known = session.scalars(
            select(Submission).where(Submission.account_id == holder.id, Submission.key == key)
        ).first()
        if known is not None:
            return _same(known, about)
        _check_rules(session, workspace.settings, holder)
        identifier = uuid.uuid4().hex
        details = {"name": about.name, "sha256": sha256, "bytes": size}
        # First, because it makes `refuse` wait, which could remove the same file.
        audit.write(session, holder.name, "submit", identifier, details)
        copy.keep(workspace.model_file(sha256))
        submission = Submission(
            id=identifier, account_id=holder.id, key=key, name=about.name,
            price_per_km2=about.price_per_km2, outputs=list(about.outputs) if about.outputs else None,
            options=about.options.model_dump(mode="json"), sha256=sha256, bytes=size, received=clock.now(),
            state="received",
        )  # fmt: skip
        session.add(submission)
        session.flush()
    return submission


def accept(session: Session, submission: Submission, parameters: int) -> None:
    """Put a received submission, whose archive was checked, into the queue; any other is left as it is.

    Args:
        session: of a transaction that writes.
        submission: may come from another session.
        parameters: number of weights of the model.
    """
    row = _received(session, submission)
    if row is not None:
        row.parameters = parameters
        queue.add(session, row)
        audit.write(session, "server", "accept", row.id, {"parameters": parameters})


def refuse(session: Session, workspace: Place, submission: Submission, reason: str) -> None:
    """Refuse a received submission, whose archive breaks a rule; its file is removed. It does not count.

    Args:
        session: of a transaction that writes.
        workspace: where the file lies.
        submission: may come from another session.
        reason: a sentence for the contributor.
    """
    row = _received(session, submission)
    if row is None:
        return
    row.state, row.reason, row.finished = "refused", reason, clock.now()
    audit.write(session, "server", "refuse", row.id, {"reason": reason})
    others = select(Submission.id).where(Submission.sha256 == row.sha256, Submission.state != "refused")
    if session.scalar(others.limit(1)) is None:
        workspace.model_file(row.sha256).unlink(missing_ok=True)


def unchecked(session: Session) -> list[Submission]:
    """Submissions that were received and neither accepted nor refused: a server that was killed left them."""
    query = select(Submission).where(Submission.state == "received").order_by(Submission.received)
    return list(session.scalars(query))


def counted(session: Session, account_id: int) -> int:
    """How many submissions of a contributor count: all but refused ones."""
    query = select(func.count()).select_from(Submission)
    where = (Submission.account_id == account_id, Submission.state != "refused")
    return session.scalar(query.where(*where)) or 0


def budget_left(session: Session, settings: WorkspaceSettings, account_id: int) -> int:
    """Floating-point operations that a contributor may still use, 0 or more."""
    return max(0, settings.limits.budget_flop - queue.spent_flop(session, account_id))


def _received(session: Session, submission: Submission) -> Submission | None:
    row = session.get_one(Submission, submission.id, with_for_update=True, populate_existing=True)
    return row if row.state == "received" else None


def _check_rules(session: Session, settings: WorkspaceSettings, account: Account) -> None:
    """The rules for one more submission, see `submit`."""
    rules = settings.rules
    if account.role != "contributor":
        raise NotTakenError(
            "role", "the owner submits no models", "Invite a contributor and submit with its token."
        )
    if account.revoked is not None:
        raise NotTakenError("revoked", "the access of this account has ended", "Ask the owner.")
    if state.is_closed(session):
        raise NotTakenError("closed", "the workspace is closed: no model is taken any more")
    window = rules.window(clock.today())
    if window != "open":
        until = f"opens on {rules.opens}" if window == "before" else f"closed on {rules.closes}"
        raise NotTakenError("window", f"models are not taken on {clock.today()}: the window {until} (UTC)")
    if (sent := counted(session, account.id)) >= rules.submissions_per_contributor:
        raise NotTakenError(
            "quota", f"expected at most {rules.submissions_per_contributor} submissions, received {sent + 1}",
            "Submissions that were refused do not count; ask the owner for more.",
        )  # fmt: skip
    if budget_left(session, settings, account.id) == 0:
        raise NotTakenError(
            "budget",
            f"the compute budget of {settings.limits.budget_pflop:g} PFLOP is used up",
            "Ask the owner.",
        )


def _same(known: Submission, about: About) -> Submission:
    """The submission that was there, if name and price are the same too."""
    if (known.name, known.price_per_km2) == (about.name, about.price_per_km2):
        return known
    raise NotTakenError(
        "same",
        f"this model with these options is the submission {known.id}, {known.name!r} at the price "
        f"{_price(known.price_per_km2)}; received the name {about.name!r} and the price "
        f"{_price(about.price_per_km2)}",
        "Name and price of a submission are not changed; repeat them, or submit with other options.",
    )


def _price(price: Decimal | None) -> str:
    return "none" if price is None else f"{price.normalize():f}"


def _key(sha256: str, about: About) -> str:
    content = about.model_dump(mode="json", include={"outputs", "options"})
    return hashlib.sha256(json.dumps([sha256, content], sort_keys=True).encode()).hexdigest()


class _Copy:
    """A copy of a model file under a temporary name, on the disk."""

    def __init__(self, path: Path, sha256: str, size: int) -> None:
        self.path, self.sha256, self.size = path, sha256, size

    def keep(self, final: Path) -> None:
        """Give the copy its name, durably."""
        try:
            os.replace(self.path, final)
            folder = os.open(final.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise disk_error(final, error) from error


@contextmanager
def _copied(file: Path, folder: Path, limit: int) -> Iterator[_Copy]:
    """A copy of a file in a folder, hashed and synced; removed at the end of the block unless it was kept."""
    path = folder / f".incoming-{secrets.token_hex(8)}"
    try:
        yield _copy(file, path, limit)
    finally:
        path.unlink(missing_ok=True)


def _copy(file: Path, path: Path, limit: int) -> _Copy:
    if not file.is_file():
        raise MissingDataError(f"no file {file}", "Give the path of a model saved by Keras, model.keras.")
    digest, size = hashlib.sha256(), 0
    try:
        target = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
        with target, open(file, "rb") as source:
            while piece := source.read(_CHUNK):
                size += len(piece)
                if size > limit:
                    raise SchemaError(
                        f"{file.name}: expected at most {limit:,} bytes, received more",
                        "Save the model without the state of its optimizer, or submit a smaller one.",
                    )
                digest.update(piece)
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())
    except OSError as error:
        raise disk_error(path, error) from error
    if size == 0:
        raise SchemaError(f"{file.name}: expected a model, received an empty file", "Save the model again.")
    return _Copy(path, digest.hexdigest(), size)


def declared(submission: Submission) -> dict[str, Any]:
    """What was declared with a submission, as `About.parse` takes it."""
    return {
        "name": submission.name, "price_per_km2": submission.price_per_km2,
        "outputs": submission.outputs, "options": submission.options,
    }  # fmt: skip
