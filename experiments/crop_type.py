"""Crop types from pixel series: a frozen encoder with a head, beside trees on the raw series.

    python experiments/crop_type.py --data DIR --encoder presto_encoder.safetensors

DIR holds three tables with the columns of `yieldcast.pixels.series_tables`: monthly Sentinel series with
weather (A, France 2023), 16-day MODIS series (D, Mato Grosso), NDVI by day of year (E, Uzbekistan). Writes
crop-type.json and crop-type.md. Scores are macro-F1 of pooled predictions of left-out folds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from results_file import heading, markdown_table, write
from yieldcast.cli.terminal import load_tensorflow, short_errors
from yieldcast.crop_types.classifier import CropTypeSettings, head_inputs
from yieldcast.crop_types.heads import fit_head, out_of_fold, probabilities
from yieldcast.crop_types.scores import crop_type_scores, standard_error
from yieldcast.data.files import atomic_text
from yieldcast.encoders.presto_inputs import raw_columns
from yieldcast.pixels.series_tables import TableSettings, read_series

A_CLASSES = ("grass", "maize", "oilseeds", "small_grain_cereals")
DRAWS, PER_CLASS = 8, 10
BARS = {
    "A random": 0.79, "A across tiles": 0.70, "A 10 per class": 0.68, "D 4 classes, 2016": 0.88,
    "E 7 classes": 0.65,
}  # fmt: skip
RANDOM_BELOW = 0.08  # random weights on A, by how much at least
Array = NDArray[Any]
Split = Callable[["Task", Array, Any], tuple[float, int, dict[str, float]]]


@dataclass(frozen=True)
class Task:
    """Labelled series, their table, and the inputs of each model."""

    series: xr.Dataset
    frame: pd.DataFrame
    truth: Array
    classes: list[str]

    @classmethod
    def of(cls, series: xr.Dataset, frame: pd.DataFrame, keep: Array) -> Task:
        """Chosen samples only."""
        chosen = series.isel(sample=np.flatnonzero(keep))
        classes, truth = np.unique(chosen["label"].values, return_inverse=True)
        return cls(chosen, frame[keep].reset_index(drop=True), truth, classes.tolist())

    def take(self, keep: Array) -> Task:
        """Fewer samples."""
        return Task.of(self.series, self.frame, keep)


def folds(column: str) -> Split:
    """Predictions of each fold by the others."""

    def score(task: Task, inputs: Array, head: Any) -> tuple[float, int, dict[str, float]]:
        fold = pd.factorize(task.frame[column])[0]
        made = out_of_fold(head, inputs, task.truth, fold, len(task.classes))
        found = crop_type_scores(made, task.truth, task.classes)
        return found.macro_f1, found.samples, found.f1

    return score


def tiles(task: Task, inputs: Array, head: Any) -> tuple[float, int, dict[str, float]]:
    """One tile by the other three, and these by it."""
    side = (task.frame["tile"] == "30UYU").to_numpy().astype(np.int64)
    made = out_of_fold(head, inputs, task.truth, side, len(task.classes))
    found = crop_type_scores(made, task.truth, task.classes)
    return found.macro_f1, found.samples, found.f1


def last_year(task: Task, inputs: Array, head: Any) -> tuple[float, int, dict[str, float]]:
    """Harvest 2016 by the harvests before."""
    test = (task.frame["harvest_year"] == 2016).to_numpy()
    trained = fit_head(head, inputs[~test], task.truth[~test])
    made = probabilities([trained], inputs[test], len(task.classes))
    found = crop_type_scores(made, task.truth[test], task.classes)
    return found.macro_f1, found.samples, found.f1


def few_labels(task: Task, inputs: Array, head: Any) -> tuple[float, int, dict[str, float]]:
    """Ten samples of each class, drawn eight times, of other places than those of the test; the mean."""
    every, classes = [], range(len(task.classes))
    places = task.series["location"].values
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        taught = np.concatenate(
            [rng.choice(np.flatnonzero(task.truth == k), PER_CLASS, replace=False) for k in classes]
        )
        test = ~np.isin(places, places[taught])
        made = probabilities(
            [fit_head(head, inputs[taught], task.truth[taught])], inputs[test], len(task.classes)
        )
        every.append(crop_type_scores(made, task.truth[test], task.classes))
    mean = {name: float(np.mean([one.f1[name] for one in every])) for name in task.classes}
    return float(np.mean([one.macro_f1 for one in every])), every[0].samples, mean


def read_tasks(folder: Path) -> dict[str, Task]:
    """The three tables."""
    monthly = read_series(folder / "samples/s2_s1_meteo_monthly.parquet", TableSettings("crop_group"))
    modis = read_series(folder / "brazil/mato_grosso_mod13q1_samples.parquet", TableSettings("label"))
    ndvi = read_series(
        folder / "central_asia/cawa_ndvi.parquet",
        TableSettings("crop_group", group="region", step="16-days", start="01-01"),
    )
    france = (monthly.frame["source"] == "worldcereal_fra2023_dekadal").to_numpy()
    year = modis.frame["harvest_year"].to_numpy()
    labels = modis.series["label"].values
    both = [k for k in np.unique(labels) if {True, False} <= set((year[labels == k] == 2016).tolist())]
    d = Task.of(modis.series, modis.frame, np.full(len(labels), True))
    e_labels = ndvi.series["label"].values
    crops = ~np.isin(e_labels, ["other", "fallow", ""])
    a_labels = monthly.series["label"].values
    return {
        "A": Task.of(monthly.series, monthly.frame, france & np.isin(a_labels, A_CLASSES)),
        "D9": d, "D4": d.take(np.isin(labels, both)),
        "E": Task.of(ndvi.series, ndvi.frame, crops),
    }  # fmt: skip


PLAN: tuple[tuple[str, str, Split], ...] = (
    ("A random", "A", folds("random_fold")), ("A across tiles", "A", tiles),
    ("A 10 per class", "A", few_labels),
    ("D 9 classes", "D9", folds("random_fold")), ("D 4 classes, 2016", "D4", last_year),
    ("E 7 classes", "E", folds("random_fold")),
)  # fmt: skip
VARIANTS = {
    "encoder, time": ("time", False), "encoder, global": ("global", False),
    "encoder with location, time": ("time", True), "encoder with location, global": ("global", True),
}  # fmt: skip
RANDOM, RAW, CATBOOST = "random weights, time", "raw series, trees", "raw series, CatBoost"


def inputs_of(task: Task, encoder: Any, random: Any | None) -> dict[str, tuple[Array, str]]:
    """Inputs and head of each model."""
    made = {
        name: (head_inputs(task.series, CropTypeSettings(pool=pool, location=where), encoder), "linear")  # type: ignore[arg-type]
        for name, (pool, where) in VARIANTS.items()
    }
    if random is not None:
        made[RANDOM] = (head_inputs(task.series, CropTypeSettings(), random), "linear")
    made["raw series, linear"] = (raw_columns(task.series)[0], "linear")
    made[RAW] = (raw_columns(task.series)[0], "boosted")
    made[CATBOOST] = (raw_columns(task.series)[0], "catboost")
    return made


def run(folder: Path, weights: Path) -> dict[str, Any]:
    """Scores of all tasks and models."""
    import keras

    from yieldcast.encoders.files import licence, load_encoder
    from yieldcast.encoders.presto import PrestoEncoder

    encoder = load_encoder(weights)
    keras.utils.set_random_seed(1)
    random = PrestoEncoder()
    random.build()
    began, tasks = time.perf_counter(), read_tasks(folder)
    scores: dict[str, dict[str, Any]] = {}
    cached: dict[str, dict[str, tuple[Array, str]]] = {}
    for name, key, split in PLAN:
        task = tasks[key]
        if key not in cached:
            cached[key] = inputs_of(task, encoder, random if key == "A" else None)
        of_task: dict[str, Any] = {}
        for model, (inputs, head) in cached[key].items():
            macro, samples, classes = split(task, inputs, head)
            of_task[model] = {"macro_f1": macro, "samples": samples, "f1": classes}
        scores[name] = of_task
        print(f"{name}: " + ", ".join(f"{m} {one['macro_f1']:.3f}" for m, one in of_task.items()), flush=True)
    return {
        "licence": licence(encoder), "seconds": round(time.perf_counter() - began), "tasks": scores,
        "bars": BARS, "met": {name: best(scores[name])[1] >= bar for name, bar in BARS.items()},
        "random_below": scores["A random"]["encoder, time"]["macro_f1"]
        - scores["A random"][RANDOM]["macro_f1"],
    }  # fmt: skip


def best(of_task: dict[str, Any]) -> tuple[str, float]:
    """The best model with the encoder."""
    name = max((name for name in of_task if name in VARIANTS), key=lambda name: of_task[name]["macro_f1"])
    return name, float(of_task[name]["macro_f1"])


def document(result: dict[str, Any]) -> list[str]:
    """The parts of crop-type.md."""
    tasks, models = result["tasks"], [*VARIANTS, RANDOM, "raw series, linear", RAW, CATBOOST]
    parts = heading("Crop types from pixel series, frozen encoder")
    parts.append(
        f"Encoder: Presto, {result['licence']}. Macro-F1 of left-out folds; A: France 2023, Sentinel "
        "with weather, 4 classes; D: Mato Grosso, MODIS; E: Uzbekistan, Landsat NDVI. The head on embeddings "
        "is logistic regression with equal weight of classes; gaps of the raw series are filled in time; "
        "the trees are those of scikit-learn and of CatBoost. "
        f"Everything took {result['seconds']} s."
    )
    rows = []
    for name, of_task in tasks.items():
        cells = [f"{of_task[m]['macro_f1']:.3f}" if m in of_task else "–" for m in models]
        rows.append(
            [f"{name} ({of_task[RAW]['samples']})", *cells, f"{BARS[name]:.2f}" if name in BARS else "–"]
        )
    parts.append(markdown_table(["task (series tested)", *models, "wanted"], rows))
    parts.append("## What the table says\n\n" + "\n".join(f"- {line}" for line in said(result)))
    for name, of_task in tasks.items():
        classes = list(of_task[RAW]["f1"])
        rows = [[k, *(f"{of_task[m]['f1'][k]:.3f}" for m in models if m in of_task)] for k in classes]
        table = markdown_table(["class", *(m for m in models if m in of_task)], rows)
        parts += [f"## F1 by class: {name}", table]
    return parts


def said(result: dict[str, Any]) -> list[str]:
    """One sentence for each task: encoder against raw series."""
    lines = []
    for name, of_task in result["tasks"].items():
        trees = max((RAW, CATBOOST), key=lambda model: of_task[model]["macro_f1"])
        frozen, raw = of_task["encoder, time"]["macro_f1"], of_task[trees]["macro_f1"]
        error = standard_error(frozen, of_task[RAW]["samples"])
        verdict = "level with"
        if abs(frozen - raw) > 2 * error:
            verdict = "better than" if frozen > raw else "WORSE than"
        lines.append(
            f"{name}: the encoder (time-pooled, no location) is {verdict} {trees}: "
            f"{frozen:.3f} against {raw:.3f} (standard error about {error:.3f}). "
            f"Best with the encoder: {best(of_task)[0]}."
        )
    lines.append(
        f"Random weights are {result['random_below']:.3f} below the published ones on A "
        f"(wanted: {RANDOM_BELOW} or more)."
    )
    missed = [name for name, met in result["met"].items() if not met]
    lines.append(f"Figures that were wanted and not met: {', '.join(missed) or 'none'}.")
    return lines


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--write", type=Path, default=Path("experiments/results"))
    given = parser.parse_args()
    load_tensorflow()
    result = run(given.data, given.encoder)
    atomic_text(given.write / "crop-type.json", json.dumps(result, indent=2) + "\n")
    print(f"written: {write(given.write / 'crop-type.md', document(result))}")


if __name__ == "__main__":
    with short_errors():
        main()
