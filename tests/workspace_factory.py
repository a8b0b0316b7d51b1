"""Small workspaces for tests: accounts, submissions and files that stand for models."""

from pathlib import Path

from yieldcast.workspace.database import accounts, queue, submissions
from yieldcast.workspace.database.models import Account

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
