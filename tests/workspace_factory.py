"""Small workspaces for tests: accounts, submissions and files that stand for models."""

import os
import time
from pathlib import Path

from sqlalchemy import select

from yieldcast.workspace.database import accounts, queue, submissions
from yieldcast.workspace.database.models import Account
from yieldcast.workspace.directory import Workspace

SCORES = {phase: queue.Scores({"accuracy": 0.9 + phase / 100}, {"accuracy": 0.9}) for phase in (1, 2)}


def write_task(folder: Path) -> None:
    """`prepare` of a workspace whose data play no part."""
    (folder / "task.json").write_text("{}", encoding="utf-8")


def contributor(workspace, name: str = "Ana") -> Account:
    """A new contributor's account."""
    with workspace.write() as session:
        token = accounts.invite(session, name)
    with workspace.read() as session:
        return accounts.of_token(session, token)


def model_file(workspace, number: int = 0) -> Path:
    """A file that stands for a model, with other bytes for each number."""
    path = workspace.scratch / f"model-{number}.keras"
    path.write_bytes(b"model %d" % number)
    return path


def submit(workspace, account, number: int = 0, **about):
    """Submit a model."""
    said = submissions.About.parse({"name": f"model {number}", **about})
    with workspace.write() as session:
        return submissions.submit(session, workspace, account, model_file(workspace, number), said)


def queued(workspace, account, count: int = 1) -> list[str]:
    """Identifiers of submissions that wait."""
    made = [submit(workspace, account, number) for number in range(count)]
    with workspace.write() as session:
        for one in made:
            submissions.accept(session, one, 1000)
    return [one.id for one in made]


def send_until_killed(folder: Path, count: int) -> None:
    """A process that submits models, checks them and ends; one before it may have done a part."""
    with Workspace.open(folder) as workspace:
        with workspace.read() as session:
            account = session.scalars(select(Account).where(Account.role == "contributor")).one()
        for number in range(count):
            made = submit(workspace, account, number)
            with workspace.write() as session:
                submissions.accept(session, made, 1000)


def work_until_killed(folder: Path) -> None:
    """A process that takes jobs and finishes them, until it is killed."""
    name = f"worker {os.getpid()}"
    with Workspace.open(folder) as workspace:
        while True:
            with workspace.write() as session:
                held = queue.claim(session, name, 0.5)
            if held is None:
                time.sleep(0.02)
                continue
            for flop in (1, 2):
                time.sleep(0.005)
                with workspace.write() as session:
                    queue.renew(session, held, 0.5, {"epoch": flop}, flop)
            with workspace.write() as session:
                queue.finish(session, held, SCORES, 3, 0.01)
