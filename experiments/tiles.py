"""Tiles: what a training learns on made-up patches, time of a patch, and whether edges of tiles show.

    python experiments/tiles.py [--only learning|countries] [--image NPZ] [--cells DIR]

The full network (ResNet-50 for 13 bands, U-Net decoder) on one core. No labelled Sentinel-2 patches and no
published weights were at hand, so that the patches come from `yieldcast.tiles.synthetic` and the weights are
random; the scores say that training works, nothing about real fields. NPZ is a real Sentinel-2 series with an
array (month, y, x) for each band, x10000, for the edges only; DIR keeps the trainings of the study of
countries, which goes on there. Writes tiles.json and tiles.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from results_file import heading, markdown_table, write
from yieldcast.cli.terminal import load_tensorflow, short_errors
from yieldcast.data.files import atomic_text
from yieldcast.tiles.bands import BANDS, Floats
from yieldcast.tiles.blending import Tiling, blended
from yieldcast.tiles.generalise import mean_scores, study
from yieldcast.tiles.image_files import ImageKind
from yieldcast.tiles.label_codes import harmonised_codes
from yieldcast.tiles.patch_files import read_patches
from yieldcast.tiles.patches import Survey, reflected, survey
from yieldcast.tiles.resnet import resnet_encoder
from yieldcast.tiles.run import TileRun, train_run
from yieldcast.tiles.synthetic import synthetic_patches, write_patches
from yieldcast.tiles.trainer import TrainSettings
from yieldcast.tiles.unet import small_encoder, tile_network

SIDE, PATCHES, EPOCHS = 64, 50, 12  # of a patch; of each of two countries
RASTER, TILE, SHIFTS = 320, 128, (8, 16, 40)
REAL_TILE, REAL_MONTH = 64, 8  # of November to October: July
COUNTRIES, LOCAL = ("north", "south"), (5,)
BUFFER = 32  # pixels at the edges of a raster that are not compared: there the input differs
OVERLAPS = {1: "none", 2: "half", 4: "three quarters"}


def patches_of(countries: tuple[str, ...], count: int) -> Survey:
    """Made-up patches, through files, as a user has them."""
    folder = Path(tempfile.mkdtemp())
    write_patches(folder, countries, count, SIDE)
    return survey(read_patches(folder, ImageKind(), harmonised_codes()))


def learning() -> tuple[dict[str, Any], TileRun]:
    """Scores of the full network, from scratch and with a frozen encoder of random weights."""
    import keras

    found, made = patches_of(("north", "south"), PATCHES), {}
    settings = TrainSettings(epochs=EPOCHS, patience=EPOCHS)
    for name, frozen in (("random weights, frozen", True), ("from scratch", False)):
        keras.utils.set_random_seed(0)
        network = tile_network(resnet_encoder(), len(found.patches.classes), frozen)
        began = time.process_time()
        run = train_run(Path(tempfile.mkdtemp()) / "run", found, network, settings, {"weights": None})
        made[name] = {
            "scores": asdict(run.scores), "train": run.record["patches"]["train"],
            "test": run.record["patches"]["test"], "seconds": time.process_time() - began,
            "history": run.record["training"]["history"],
        }  # fmt: skip
    return {"learning": made, "seconds": seconds(run.network)}, run


def seconds(network: Any) -> dict[str, float]:
    """CPU seconds of a patch of 256 pixels: prediction, and a step of a training from scratch."""
    image = np.random.default_rng(0).uniform(0, 0.5, (2, 256, 256, len(BANDS))).astype(np.float32)
    label = np.zeros(image.shape[:3], np.int8)
    weight = np.full(label.shape, 1 / label.size, np.float32)
    steps: dict[str, Callable[[], Any]] = {
        "prediction": partial(network.predict_on_batch, image),
        "training": partial(network.train_on_batch, image, label, sample_weight=weight),
    }
    made = {}
    for name, step in steps.items():
        step()  # compiles
        began = time.process_time()
        step()
        made[name] = (time.process_time() - began) / len(image)
    return made


def probabilities(network: Any, image: Floats, tiling: Tiling) -> Floats:
    """(y, x, class) of a whole image (y, x, 13)."""

    def read(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> tuple[Floats, NDArray[np.bool_]]:
        at = np.ix_(reflected(rows, image.shape[0]), reflected(columns, image.shape[1]))
        return image[at], np.zeros((len(rows), len(columns)), bool)

    parts = blended(network, read, (image.shape[0], image.shape[1]), tiling)
    return np.concatenate([one.probability for one in parts])


def edges(network: Any, image: Floats, side: int, buffer: int, name: str) -> list[dict[str, Any]]:
    """Agreement of the maps of an image and of the same image moved down and right by some pixels."""
    rows = []
    for parts, overlap in OVERLAPS.items():
        tiling = Tiling(side, parts)
        first = probabilities(network, image, tiling)
        for shift in SHIFTS:
            moved = probabilities(network, image[shift:, shift:], tiling)
            inside = slice(buffer, len(moved) - buffer)
            a, b = first[shift:, shift:][inside, inside], moved[inside, inside]
            rows.append(
                {
                    "image": name, "tile": side, "overlap": overlap, "shift": shift,
                    "agreement": float((a.argmax(-1) == b.argmax(-1)).mean()),
                    "mean": float(np.abs(a - b).mean()), "most": float(np.abs(a - b).max()),
                }
            )  # fmt: skip
    return rows


def real_image(path: Path) -> Floats:
    """One month of a real patch; bands that it lacks are 0, as for a product without them."""
    image = np.zeros((0, 0, 0), np.float32)
    with np.load(path) as arrays:
        known = [name for name in BANDS if name in arrays.files]
        for name in known:
            values = arrays[name][REAL_MONTH].astype(np.float32)
            if not image.size:
                image = np.zeros((*values.shape, len(BANDS)), np.float32)
            image[..., BANDS.index(name)] = np.where(values == 65535, 0, values) / 1e4
    return image


def countries(folder: Path) -> list[dict[str, Any]]:
    """Table 3 with a small encoder that is trained too, on two made-up countries."""
    found = patches_of(COUNTRIES, 30)
    settings = TrainSettings(epochs=10, patience=10)

    def small(classes: int, seed: int) -> Any:
        return tile_network(small_encoder(seed), classes, frozen=False, channels=(32, 32, 32, 16, 16))

    results = study(found, LOCAL, 1, settings, small, folder)
    means = mean_scores(results)
    return [
        {"country": one.country, "setting": one.setting, "train": one.train, "test": one.test,
         "accuracy": means[one.country, one.setting][0], "macro_f1": means[one.country, one.setting][1]}
        for one in results
    ]  # fmt: skip


def document(result: dict[str, Any], earlier: list[str]) -> list[str]:
    """The parts of tiles.md; `earlier` are commands that made other parts of it."""
    parts = heading("Tiles: training, speed and edges", *earlier)
    parts.append(
        "Made-up patches of two countries (fields of five classes with plausible reflectance, haze and "
        "brightness of each country, roads without label) and random weights: no labelled Sentinel-2 "
        "patches and no published file of a 13-band ResNet-50 were at hand. The scores show that training "
        "works; they say nothing about real fields. ResNet-50 and U-Net of full size, one core."
    )
    rows = [
        [name, f"{one['train']}", f"{one['test']}", f"{one['scores']['accuracy']:.3f}",
         f"{one['scores']['majority']:.3f}", f"{one['scores']['macro_f1']:.3f}", f"{one['seconds']:.0f}"]
        for name, one in result["learning"].items()
    ]  # fmt: skip
    heads = [
        "encoder",
        "trained",
        "tested",
        "overall accuracy",
        "most frequent class",
        "macro-F1",
        "CPU seconds",
    ]
    parts += [f"## Learning, {EPOCHS} epochs on patches of {SIDE} pixels", markdown_table(heads, rows)]
    speed = result["seconds"]
    parts.append(
        f"A patch of 256 pixels: {speed['prediction']:.2f} CPU seconds to predict, {speed['training']:.2f} "
        "for its part of a training step from scratch (about half of it with a frozen encoder)."
    )
    rows = [
        [one["image"], f"{one['tile']}", one["overlap"], f"{one['shift']}", f"{100 * one['agreement']:.2f}",
         f"{one['mean']:.4f}", f"{one['most']:.3f}"]
        for one in result["edges"]
    ]  # fmt: skip
    heads = [
        "image",
        "tile",
        "overlap",
        "shift, pixels",
        "same class, %",
        "mean difference",
        "largest difference",
    ]
    parts += [
        "## Edges of tiles, by a translated input",
        "The same image, moved down and right: every edge of a tile lies elsewhere in it. Differences of "
        "probabilities of the same places, without the outermost pixels (the images differ there). With "
        "shifts that are no multiple of 32 the network itself, whose deepest features have a 32nd of the "
        "resolution, answers a little differently; overlap averages over that too. "
        "The real image lacks B1, B8A, B9 and B10, where the network sees 0, and is unlike its training.",
        markdown_table(heads, rows),
    ]
    settings = list(dict.fromkeys(one["setting"] for one in result["countries"]))
    rows = [
        [
            country,
            *(f"{100 * one['accuracy']:.1f}" for one in result["countries"] if one["country"] == country),
        ]
        for country in COUNTRIES
    ]
    parts += [
        "## In and out of domain",
        f"Overall accuracy (%) on {result['countries'][0]['test']} patches of each of two made-up "
        "countries, as table 3 of Chang et al.: trained on the other countries (OOD), on these and k "
        "patches of the country, on k patches alone. One draw, a small encoder (width 8) that is trained "
        "too, 10 epochs.",
        markdown_table(["country", *settings], rows),
    ]
    return parts


def main() -> None:
    """Write both files; with --only, from earlier results of the other parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=("learning", "countries"))
    parser.add_argument("--image", type=Path)
    parser.add_argument("--cells", type=Path)
    parser.add_argument("--write", type=Path, default=Path("experiments/results"))
    given = parser.parse_args()
    load_tensorflow()
    file = given.write / "tiles.json"
    result = json.loads(file.read_text()) if given.only and file.is_file() else {}
    if given.only != "countries":
        made, run = learning()
        image = np.moveaxis(synthetic_patches(1, RASTER, 9)[0][0], 0, -1).astype(np.float32) / 1e4
        moved = edges(run.network, image, TILE, BUFFER, "made-up fields")
        if given.image:
            moved += edges(run.network, real_image(given.image), REAL_TILE, BUFFER // 2, "real, one month")
        result |= {**made, "edges": moved}
    if given.only != "learning":
        result |= {"countries": countries(given.cells or Path(tempfile.mkdtemp()))}
    atomic_text(file, json.dumps(result, indent=2) + "\n")
    other = {"countries": "--only learning --image NPZ", "learning": "--only countries"}
    earlier = [f"python experiments/tiles.py {other[given.only]}"] if given.only else []
    if {"edges", "countries"} <= set(result):
        print(f"written: {write(given.write / 'tiles.md', document(result, earlier))}")


if __name__ == "__main__":
    with short_errors():
        main()
