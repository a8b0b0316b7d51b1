"""In domain, out of domain, out of domain and a few local patches: table 3 of the paper for any countries.

Of each country some patches are only for the test. Models are trained on all other countries (out of domain),
on these and k patches of the country, and on k patches of the country alone, and tested on the same patches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from yieldcast.data.files import atomic_text, make_folder
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.tiles.patches import Ints, Progress, Survey, ignore
from yieldcast.tiles.run import NewNetwork
from yieldcast.tiles.scores import TileScores, tile_scores
from yieldcast.tiles.trainer import TrainSettings, class_weights, evaluate, train

KS = (10, 100, 900)  # of the paper
TEST_SHARE, MOST_TESTED = 0.1, 100  # section 4.2 and 4.3: a tenth, 100 patches of 1,000
STOP_SHARE = 0.1  # of the training patches
_CELLS = "cells"


@dataclass(frozen=True)
class Cell:
    """One training.

    Args:
        country: whose patches are the test.
        outside: whether the other countries are in the training.
        k: patches of the country in the training.
        draw: number of the draw, from 0.
        train, stop, test: rows of the patches.
    """

    country: str
    outside: bool
    k: int
    draw: int
    train: Ints
    stop: Ints
    test: Ints

    @property
    def setting(self) -> str:
        """As the paper's table has it: OOD, OOD + 10 ID, 10 ID."""
        local = f"{self.k} ID" if self.k else ""
        return " + ".join(filter(None, ("OOD" if self.outside else "", local)))


@dataclass(frozen=True)
class Result:
    """Scores of one cell."""

    country: str
    setting: str
    draw: int
    train: int
    test: int
    scores: TileScores


def cells(found: Survey, ks: Sequence[int], draws: int, seed: int) -> Iterator[Cell]:
    """All trainings of the study; those with more local patches than there are, are left out.

    Args:
        found: patches with countries.
        ks: numbers of local patches, 1 or more.
        draws: how often test patches and local patches are drawn.
        seed: of the draws.

    Raises:
        SchemaError: fewer than two countries, or one with a single patch.
        ConfigError: a k below 1.
    """
    countries = found.patches.countries
    names, sizes = np.unique(countries, return_counts=True)
    if len(names) < 2 or sizes.min() < 2:
        raise SchemaError(
            "expected two countries or more with two labelled patches or more each, received "
            f"{', '.join(f'{name or chr(8211)} ({size})' for name, size in zip(names, sizes, strict=True))}",
            "Give a column country in the list of patches, or a folder for each country.",
        )
    if any(k < 1 for k in ks):
        raise ConfigError(f"expected numbers of local patches from 1 on, received {min(ks)}")
    for number, name in enumerate(names.tolist()):
        for draw in range(draws):
            rng = np.random.default_rng([seed, draw, number])
            own = rng.permutation(np.flatnonzero(countries == name))
            tested = min(MOST_TESTED, max(1, round(TEST_SHARE * len(own))))
            test, local = own[:tested], own[tested:]
            others = rng.permutation(np.flatnonzero(countries != name))
            for outside, k in [(True, 0), *((o, k) for o in (True, False) for k in ks)]:
                if k <= len(local) and (outside or k > 1):
                    taught = np.concatenate([local[:k], others if outside else others[:0]])
                    yield Cell(name, outside, k, draw, *_stopping(taught, rng), test)


def study(
    found: Survey,
    ks: Sequence[int],
    draws: int,
    settings: TrainSettings,
    new_network: NewNetwork,
    folder: Path,
    progress: Progress = ignore,
) -> list[Result]:
    """Train and test every cell; finished ones are kept in the folder and not trained again.

    Args:
        found, ks, draws: as `cells`.
        settings: of each training.
        new_network: see `run.networks`.
        folder: for the results of the cells.
        progress: called with cells done and all cells.

    Raises:
        SchemaError, ConfigError: as `cells`, or the folder holds the results of another study.
        MissingDataError: the disk refuses.
    """
    every = list(cells(found, ks, draws, settings.seed))
    make_folder(folder / _CELLS)
    made = []
    for number, cell in enumerate(every):
        file = folder / _CELLS / f"{number:04d}.json"
        about = {
            "fingerprint": found.fingerprint, "settings": asdict(settings), "setting": cell.setting,
            "rows": [part.tolist() for part in (cell.train, cell.stop, cell.test)],
        }  # fmt: skip
        if file.is_file():
            kept = json.loads(file.read_text(encoding="utf-8"))
            if kept.pop("about") != about:
                raise ConfigError(f"{folder}: results of another study", "Choose another --out.")
            made.append(Result(**{**kept, "scores": TileScores(**kept["scores"])}))
        else:
            made.append(_result(found, cell, settings, new_network))
            content = {"about": about, **asdict(made[-1])}
            atomic_text(file, json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")
        progress(number + 1, len(every))
    return made


def mean_scores(results: Sequence[Result]) -> dict[tuple[str, str], tuple[float, float, int]]:
    """(country, setting) -> overall accuracy and macro-F1, means of the draws, and their number."""
    found: dict[tuple[str, str], list[TileScores]] = {}
    for one in results:
        found.setdefault((one.country, one.setting), []).append(one.scores)
    return {
        key: (
            float(np.mean([s.accuracy for s in scores])),
            float(np.mean([s.macro_f1 for s in scores])),
            len(scores),
        )
        for key, scores in found.items()
    }  # fmt: skip


def _result(found: Survey, cell: Cell, settings: TrainSettings, new_network: NewNetwork) -> Result:
    patches = found.patches
    network = new_network(len(patches.classes), settings.seed + cell.draw)
    weights = class_weights(found.pixels[cell.train].sum(axis=0), settings.loss)
    train(network, patches, (cell.train, cell.stop), found.side, weights, settings)
    _, counts = evaluate(network, patches, cell.test, found.side, settings.batch, np.ones_like(weights))
    scores = tile_scores(counts, patches.classes)
    return Result(cell.country, cell.setting, cell.draw, len(cell.train), len(cell.test), scores)


def _stopping(taught: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Rows to train on and rows that stop the training, at least one of each."""
    mixed = rng.permutation(taught)
    count = max(1, round(STOP_SHARE * len(mixed)))
    return np.sort(mixed[count:]), np.sort(mixed[:count])
