"""Federated averaging against training on pooled data: three owners, synthetic tiles, as many passes.

    PYTHONPATH=.venv/.federated python experiments/workspace_federated.py [--seeds 3]

Flower's FedAvg over its gRPC transport on this machine. The tiles of all owners are of one region and are
dealt out with equal class shares, or so that each owner has most tiles of three of the nine classes. Every
training takes as many passes over the tiles: the federation, the pooled training, and each owner alone. The
holdouts are those of all owners together. Writes workspace-federated.json and workspace-federated.md.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from results_file import heading, markdown_table, write
from yieldcast.cli.terminal import load_tensorflow, short_errors
from yieldcast.data.files import atomic_text
from yieldcast.workspace.federated.learner import Learner
from yieldcast.workspace.federated.progress import Progress
from yieldcast.workspace.federated.settings import FederationSettings
from yieldcast.workspace.federated.simulation import joined, simulate, train_pooled
from yieldcast.workspace.federated.site_data import SiteData, open_site
from yieldcast.workspace.tasks.example_models import small_cnn
from yieldcast.workspace.tasks.synthetic_tiles import CLASSES, SyntheticTiles, synthetic_tiles
from yieldcast.workspace.tasks.task import Task

RESULTS = Path(__file__).parent / "results"
OWNERS = ("north", "south", "west")
TRAINING, HOLDOUT = 1800, 900
OWN = 0.7  # share of an owner's three classes that lies with that owner, where class shares differ
SETTINGS = FederationSettings(rounds=15, local_epochs=1, batch_size=32, learning_rate=3e-3, wait_s=600)
BAR = 0.02


def dealt(tiles: SyntheticTiles, uneven: bool, seed: int) -> list[np.ndarray]:
    """Positions of the tiles of each owner: thirds, or mostly the tiles of three classes."""
    rng = np.random.default_rng(seed)
    chance = np.full((len(CLASSES), len(OWNERS)), 1 / len(OWNERS))
    if uneven:
        chance[:] = (1 - OWN) / (len(OWNERS) - 1)
        chance[np.arange(len(CLASSES)), np.arange(len(CLASSES)) % len(OWNERS)] = OWN
    owner = np.array([rng.choice(len(OWNERS), p=chance[label]) for label in tiles.labels])
    return [np.flatnonzero(owner == k) for k in range(len(OWNERS))]


def workspaces(folder: Path, uneven: bool, seed: int) -> dict[str, SiteData]:
    """Prepared data of the three owners."""
    parts = {
        "training": synthetic_tiles(TRAINING, seed=2 * seed),
        "holdout": synthetic_tiles(HOLDOUT, seed=2 * seed + 1),
    }
    rows = {part: dealt(tiles, uneven, seed) for part, tiles in parts.items()}
    for k, owner in enumerate(OWNERS):
        for part, tiles in parts.items():
            mine = rows[part][k]
            inputs = folder / owner / "data" / part / "inputs"
            inputs.mkdir(parents=True)
            np.save(inputs / "image.npy", tiles.images[mine].astype(np.float32))
            np.save(inputs.parent / "target.npy", tiles.labels[mine])
        task = Task(
            task="crop-tiles", inputs={"image": (64, 64, 1)}, outputs=CLASSES, kind="classes",
            training=len(rows["training"][k]), holdout=len(rows["holdout"][k]), fingerprint="0" * 64,
            synthetic=True,
        )  # fmt: skip
        task.write(folder / owner / "data")
    return {owner: open_site(folder / owner) for owner in OWNERS}


def trial(uneven: bool, seed: int) -> dict[str, Any]:
    """Accuracy on all holdouts of the federation by round, of pooled training and of each owner alone."""
    import keras

    settings = SETTINGS.model_copy(update={"seed": seed})
    with TemporaryDirectory() as folder:
        sites = workspaces(Path(folder), uneven, seed)
        keras.utils.set_random_seed(seed)
        learner = Learner(small_cnn((64, 64, 1), len(CLASSES)), "classes")
        start = learner.weights()
        began = time.process_time()
        progress = Progress(settings, "0" * 64, start)
        simulate(progress, learner, sites)
        federated_s = time.process_time() - began
        pooled = train_pooled(learner, list(sites.values()), settings, start)
        holdout = joined([site.holdout for site in sites.values()])
        passes = range(settings.passes)
        alone = {
            owner: learner.score(
                learner.fit(start, site.training, settings, passes, f"{owner} alone"), holdout
            )
            for owner, site in sites.items()
        }
        return {
            "uneven": uneven, "seed": seed, "examples": {o: s.training.count for o, s in sites.items()},
            "rounds": progress.scores, "pooled": pooled.score, "alone": alone,
            "weights_bytes": sum(array.nbytes for array in start), "federated_cpu_s": federated_s,
        }  # fmt: skip


def page(trials: list[dict[str, Any]]) -> list[str]:
    """The parts of the results file."""
    parts = heading("One model of three owners: federated averaging against pooled training")
    size = trials[0]["weights_bytes"] / 1e6
    parts.append(
        f"{TRAINING:,} training and {HOLDOUT:,} holdout tiles of the nine synthetic classes (64 x 64, one "
        f"band), dealt out to three owners; the small CNN of the examples ({size:.2f} MB of weights). "
        f"{SETTINGS.rounds} rounds of {SETTINGS.local_epochs} local epoch, batches of {SETTINGS.batch_size}, "
        f"Adam from {SETTINGS.learning_rate:g} along half a cosine; the pooled training and each owner alone "
        f"take {SETTINGS.passes} epochs with the same rates. Accuracy on the holdouts of all owners, after "
        "the last round: no round and no setting was chosen by it. Nothing here is a measure of real skill."
    )
    rows = []
    for uneven, label in ((False, "equal"), (True, f"{OWN:.0%} of three classes each")):
        mine = [t for t in trials if t["uneven"] == uneven]
        federated = np.array([t["rounds"][-1] for t in mine])
        pooled = np.array([t["pooled"] for t in mine])
        best = np.array([max(t["alone"].values()) for t in mine])
        rows.append(
            [label, _mean(federated), _mean(pooled), f"{np.mean(federated - pooled):+.4f}",
             f"{np.min(federated - pooled):+.4f}", _mean(best)]
        )  # fmt: skip
    heads = ["Class shares", "Federated", "Pooled", "Difference", "Worst of seeds", "Best owner alone"]
    parts += [markdown_table(heads, rows), _verdict(trials), "## By round", _rounds(trials)]
    return parts


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.4f}"


def _verdict(trials: list[dict[str, Any]]) -> str:
    worst = min(t["rounds"][-1] - t["pooled"] for t in trials)
    held = "holds" if worst > -BAR else "does not hold"
    return (
        f"Bar: federated accuracy at most {BAR:.0%} (of all tiles) below pooled. It {held} in the worst of "
        f"{len(trials)} trainings ({worst:+.4f})."
    )


def _rounds(trials: list[dict[str, Any]]) -> str:
    shown = sorted({1, 2, 5, 10, 15, SETTINGS.rounds} & set(range(1, SETTINGS.rounds + 1)))
    rows = [
        [f"{'unequal' if t['uneven'] else 'equal'}, seed {t['seed']}",
         *(f"{t['rounds'][number - 1]:.4f}" for number in shown), f"{t['pooled']:.4f}"]
        for t in trials
    ]  # fmt: skip
    return markdown_table(["Class shares", *(f"round {n}" for n in shown), "pooled"], rows)


def main(options: Mapping[str, Any]) -> None:
    """Run the trials that are missing and write both files; the same command again goes on."""
    load_tensorflow()
    file = RESULTS / "workspace-federated.json"
    settings = {**SETTINGS.model_dump(), "own": OWN, "training": TRAINING, "holdout": HOLDOUT}
    kept = json.loads(file.read_text()) if file.exists() else {}
    trials = kept["trials"] if kept.get("settings") == settings else []
    for seed in range(options["seeds"]):
        for uneven in (False, True):
            if not any((t["seed"], t["uneven"]) == (seed, uneven) for t in trials):
                trials.append(trial(uneven, seed))
                atomic_text(file, json.dumps({"settings": settings, "trials": trials}, indent=1) + "\n")
    write(RESULTS / "workspace-federated.md", page(trials))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    with short_errors():
        main(vars(parser.parse_args()))
