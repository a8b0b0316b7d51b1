"""Time of the leaderboard of a workspace while 50 contributors poll it and a worker trains.

A workspace of synthetic tiles with a scored submission of each contributor (predictions made up) is served by
``yieldcast workspace serve`` on this machine, with one worker that fine-tunes a network for many epochs. Each
contributor asks for the leaderboard, then for the own submissions, and waits; every connection is a new one.

    python experiments/benchmarks/workspace.py --write experiments/results
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from results_file import heading, markdown_table, write
from yieldcast import clock
from yieldcast.cli.terminal import load_tensorflow
from yieldcast.workspace import client, create
from yieldcast.workspace.database import accounts, queue, state
from yieldcast.workspace.database.models import Submission
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.settings import parse_options
from yieldcast.workspace.tasks.example_models import small_cnn
from yieldcast.workspace.tasks.synthetic_tiles import write_tiles
from yieldcast.workspace.tasks.task import Task, read_target

CONTRIBUTORS, EVERY_s, BOUND_s = 50, 5.0, 0.2
SIDE, TRAINING, HOLDOUT, EPOCHS = 32, 900, 900, 100


def make(folder: Path) -> dict[str, str]:
    """A published workspace with a scored submission of each contributor; gives tokens by name."""
    write_tiles(folder / "tiles.npz", TRAINING, seed=1, side=SIDE)
    write_tiles(folder / "holdout.npz", HOLDOUT, seed=2, side=SIDE, farms="other farm")
    create(folder / "W", "crop-tiles", folder / "tiles.npz", folder / "holdout.npz")
    rng, tokens = np.random.default_rng(0), {}
    with Workspace.open(folder / "W") as workspace:
        task = Task.read(workspace.path)
        target = read_target(workspace.path, task, "holdout")
        for k in range(CONTRIBUTORS):
            name = f"Contributor {k:02d}"
            with workspace.write() as session:
                tokens[name] = accounts.invite(session, name)
            wrong = rng.random((2, len(target))) < np.array([[0.4], [0.05 + 0.005 * k]])
            predicted = np.where(wrong, (target + 1) % len(task.outputs), target)
            _score(workspace, tokens[name], f"Model {k:02d}", predicted)
        with workspace.write() as session:
            state.publish(session)
    return tokens


def _score(workspace: Workspace, token: str, model: str, predicted: NDArray[Any]) -> None:
    """Put a submission into the database as a worker leaves it."""
    identifier = model.lower().replace(" ", "")
    for phase in (1, 2):
        np.savez(
            workspace.predictions_file(identifier, phase), predicted=predicted[phase - 1].astype(np.int16)
        )
    with workspace.write() as session:
        account = accounts.of_token(session, token)
        if account is None:
            raise RuntimeError("the account is gone")
        one = Submission(
            id=identifier, account_id=account.id, key=identifier, name=model, price_per_km2=Decimal("0.22"),
            options={}, sha256="0" * 64, bytes=1, received=clock.now(), state="received", parameters=1,
        )  # fmt: skip
        session.add(one)
        session.flush()
        queue.add(session, one)
        held = queue.claim(session, "benchmark", 60)
        if held is not None:
            queue.finish(session, held, {phase: queue.Scores({}, {}) for phase in (1, 2)}, 10**12, 60.0)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """``yieldcast workspace serve`` with one worker; gives its address."""
    command = [
        sys.executable,
        "-m",
        "yieldcast",
        "workspace",
        "serve",
        str(folder),
        "--port",
        "0",
        "--workers",
        "1",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"}
    )
    try:
        for line in process.stdout or ():
            if found := re.search(r": (http://127\.0\.0\.1:\d+)$", line):
                yield found[1]
                break
    finally:
        process.terminate()
        process.communicate()


def poll(url: str, token: str, end: float, first: float, times: dict[str, list[float]]) -> None:
    """Ask as a contributor's page does, until the end."""
    connection = client.Connection(url, token)
    time.sleep(first)
    while time.monotonic() < end:
        for path in ("/leaderboard", "/submissions"):
            began = time.monotonic()
            connection.get(path)
            times[path].append(time.monotonic() - began)
        time.sleep(EVERY_s)


def measure(folder: Path, seconds: float) -> tuple[dict[str, list[float]], str]:
    """Times of all answers in seconds, and how far the training was at the end."""
    tokens = make(folder)
    load_tensorflow()
    small_cnn((SIDE, SIDE, 1), 9).save(folder / "model.keras")
    times: dict[str, list[float]] = {"/leaderboard": [], "/submissions": []}
    long = parse_options({"epochs": EPOCHS, "patience": EPOCHS})
    with served(folder / "W") as url:
        first = next(iter(tokens.values()))
        trains = client.submit(url, folder / "model.keras", name="Trains", options=long, token=first)
        while not trains.progress()["progress"].get("epoch"):
            time.sleep(0.5)
        end = time.monotonic() + seconds
        threads = [
            threading.Thread(target=poll, args=(url, token, end, EVERY_s * k / CONTRIBUTORS, times))
            for k, token in enumerate(tokens.values())
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        standing = trains.progress()
    return times, f"{standing['state']}, epoch {standing['progress'].get('epoch')} of {EPOCHS}"


def main() -> None:
    """Measure, print a table, and write it when asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the contributors poll")
    parser.add_argument("--write", type=Path, metavar="DIR", help="folder of the results file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        times, standing = measure(Path(folder), options.seconds)
    rows: list[list[str]] = []
    numbers: dict[str, dict[str, Any]] = {}
    for path, found in times.items():
        found_ms = sorted(1000 * one for one in found)
        numbers[path] = {
            "answers": len(found_ms),
            "median_ms": round(statistics.median(found_ms)),
            "p95_ms": round(found_ms[int(0.95 * len(found_ms))]),
            "longest_ms": round(found_ms[-1]),
        }
        rows.append([f"`{path}`", *(f"{value:,}" for value in numbers[path].values())])
    table = markdown_table(["route", "answers", "median, ms", "95 %, ms", "longest, ms"], rows)
    print(table)
    if options.write:
        cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
        about = (
            f"{CONTRIBUTORS} contributors ask every {EVERY_s:g} s for {options.seconds:g} s, while one "
            f"worker trains on {TRAINING} tiles (at the end: {standing}). {cores} cores, load {load:.1f} at "
            f"the end. Bound of the project: {1000 * BOUND_s:.0f} ms at the median."
        )
        title = "Leaderboard of a workspace under load"
        write(options.write / "benchmark-workspace.md", [*heading(title), about, table])
        numbers["training"] = {"state": standing}
        text = json.dumps(numbers, indent=1) + "\n"
        (options.write / "benchmark-workspace.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
