"""A whole workspace with synthetic tiles: an owner, a server with workers, and three contributors.

The contributors' models learned a region of their own; the workspace holds another one. So each has a
baseline worth something, and something to gain by fine-tuning inside the workspace.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yieldcast.data.files import atomic_text, atomic_write, make_folder
from yieldcast.errors import MissingDataError
from yieldcast.workspace.settings import TrainingOptions, WorkspaceSettings, parse_settings

if TYPE_CHECKING:
    from yieldcast.workspace.client import Submission

TILES, HOLDOUT, OWN_TILES = 2700, 900, 1500
_SHIFT = 1.0  # the workspace's region, see `synthetic_tiles`
_SERVER_s = 120.0
_POLL_s = 1.0
OWNER = "owner"
Counting = Callable[[int, int], None]
Moved = Callable[[Mapping[str, str]], None]

# Prices, areas and costs: the example of a published use case of private Sentinel-2 tiles. The price of a
# submission is made up.
SETTINGS: WorkspaceSettings = parse_settings(
    {
        "title": "Nine crops on synthetic tiles",
        "rules": {"submissions_per_contributor": 5, "rare_classes": 4},
        "prices": {"currency": "EUR", "per_submission": 500},
        "costs": {
            "monitored_km2": 1_500_000.0, "misclassified_km2": 18,
            "internal_accuracy": 0.845, "internal_cost": 280_000,
        },
        "page": {"description": "Synthetic tiles of 64 x 64 pixels; no real field is shown."},
    },
    "the demo",
)  # fmt: skip
EPOCHS = 5  # of the fine-tuning inside the workspace


@dataclass(frozen=True)
class Contributor:
    """Who submits what.

    Args:
        name: on the leaderboard.
        model: key of `example_models.EXAMPLE_MODELS`.
        price_per_km2: yearly price of a licence.
        epochs: of the training on the contributor's own tiles.
        learning_rate: of the fine-tuning.
    """

    name: str
    model: str
    price_per_km2: str
    epochs: int
    learning_rate: float

    @property
    def options(self) -> TrainingOptions:
        """What is declared for the fine-tuning."""
        return TrainingOptions(
            epochs=EPOCHS, learning_rate=self.learning_rate, augmentation=("flips",), patience=3
        )


CONTRIBUTORS = (
    Contributor("Alfa Fields", "residual network", "0.25", 6, 1e-3),
    Contributor("Bravo Crops", "vision transformer", "0.22", 8, 5e-4),
    Contributor("Carmo Agro", "small CNN", "0.10", 6, 1e-3),
)


def write_models(folder: Path, progress: Counting) -> dict[str, Path]:
    """Train the contributors' models on tiles of their own region; models that are there are kept.

    Args:
        folder: for the ``.keras`` files.
        progress: called with models done and of all.

    Returns:
        file by name of the contributor.
    """
    from yieldcast.workspace.tasks.example_models import EXAMPLE_MODELS, pretrained
    from yieldcast.workspace.tasks.synthetic_tiles import CLASSES, synthetic_tiles

    make_folder(folder)
    own, files = None, dict[str, Path]()
    for done, one in enumerate(CONTRIBUTORS, start=1):
        files[one.name] = folder / f"{one.model.replace(' ', '_')}.keras"
        if not files[one.name].is_file():
            own = own or synthetic_tiles(OWN_TILES, seed=1)
            model = pretrained(
                EXAMPLE_MODELS[one.model], own.images, own.labels, classes=len(CLASSES), epochs=one.epochs
            )
            atomic_write(files[one.name], partial(model.save, include_optimizer=False))
        progress(done, len(CONTRIBUTORS))
    return files


def create_workspace(out: Path) -> Path:
    """Make the owner's tiles and the workspace in a folder, with tokens of all; one that is there is kept.

    Returns:
        folder of the workspace.
    """
    from yieldcast.workspace import create
    from yieldcast.workspace.database import accounts
    from yieldcast.workspace.directory import Workspace
    from yieldcast.workspace.tasks.options import DataOptions
    from yieldcast.workspace.tasks.synthetic_tiles import write_tiles

    path = out / "workspace"
    if not path.exists():
        training, holdout = (
            write_tiles(out / f"{name}.npz", count, seed=seed, shift=_SHIFT, farms=name)
            for seed, (name, count) in enumerate((("training", TILES), ("holdout", HOLDOUT)), start=2)
        )
        synthetic = DataOptions(synthetic=True)
        _keep_token(out, OWNER, create(path, "crop-tiles", training, holdout, SETTINGS, synthetic))
    with Workspace.open(path) as workspace:
        for one in CONTRIBUTORS:
            if not token_file(out, one.name).is_file():
                with workspace.write() as session:
                    _keep_token(out, one.name, accounts.invite(session, one.name))
    return path


def token_file(out: Path, name: str) -> Path:
    """Where the demo keeps a token; owners of real workspaces give them away and keep none."""
    return out / "tokens" / f"{name.lower().replace(' ', '-')}.txt"


def _keep_token(out: Path, name: str, token: str) -> None:
    file = token_file(out, name)
    make_folder(file.parent)
    atomic_text(file, token + "\n")
    file.chmod(0o600)


@contextmanager
def serving(path: Path, log: Path) -> Iterator[str]:
    """``yieldcast workspace serve`` in a process of its own, ended with the block.

    Args:
        path: of the workspace.
        log: file for what the server says.

    Yields:
        its address.

    Raises:
        MissingDataError: it ends, or does not answer.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "yieldcast", "workspace", "serve", str(path), "--port", str(port)]
    with log.open("wb") as said:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        _wait_for(url, server, log)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    import requests

    until = time.monotonic() + _SERVER_s
    while time.monotonic() < until and server.poll() is None:
        with suppress(requests.RequestException):
            if requests.get(f"{url}/api/v1/overview", timeout=5).ok:
                return
        time.sleep(0.2)
    raise MissingDataError(
        f"the server of the workspace {'ended' if server.poll() is not None else 'does not answer'}",
        f"What it said is in {log}.",
    )


def submit_all(url: str, out: Path, models: Mapping[str, Path], moved: Moved) -> list[Submission]:
    """Submit all models as their contributors, and wait for their results.

    Args:
        url: of the server.
        out: folder of the demo, which holds the tokens.
        models: file by name of the contributor.
        moved: called with what each contributor's submission does.

    Returns:
        the submissions in the order of `CONTRIBUTORS`, ended.
    """
    from yieldcast.workspace.client import ENDS, submit

    running = [
        submit(
            url, models[one.name], name=one.model, price_per_km2=one.price_per_km2, options=one.options,
            token=token_file(out, one.name).read_text(encoding="utf-8").strip(),
        )
        for one in CONTRIBUTORS
    ]  # fmt: skip
    while True:
        now = [one.progress() for one in running]
        moved({one.name: _text(said) for one, said in zip(CONTRIBUTORS, now, strict=True)})
        if all(said["state"] in ENDS for said in now):
            return [one.refreshed() for one in running]
        time.sleep(_POLL_s)


def _text(progress: Mapping[str, Any]) -> str:
    """What a submission does, in a few words."""
    parts = [f"phase {progress['phase']}"] if progress.get("phase") else []
    parts += [f"epoch {progress['epoch']} of {EPOCHS}"] if progress.get("epoch") else []
    return f"{progress['state']}{': ' if parts else ''}{', '.join(parts)}"


def publish(path: Path) -> None:
    """Open the leaderboard."""
    from yieldcast.workspace.database import state
    from yieldcast.workspace.directory import Workspace

    with Workspace.open(path) as workspace, workspace.write() as session:
        state.publish(session)


def not_done(submissions: Sequence[Submission]) -> list[str]:
    """Names of contributors whose submission did not end with results."""
    return [one.name for one, now in zip(CONTRIBUTORS, submissions, strict=True) if now.state != "done"]
