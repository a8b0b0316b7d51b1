"""Time of training a crop-type classifier on 2,000 series of 12 months: a head alone, or with the encoder.

Series are made up: four crops whose bands follow curves of their own, every place once. The head is timed
with its scores on left-out places and the baselines. Of fine-tuning, one training on all series is timed for
two epochs; a run has that training and three on two thirds of the series each, of 15 epochs if none stops
earlier.

    python experiments/benchmarks/crop_types.py --encoder presto_encoder.safetensors
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

sys.path.insert(0, str(Path(__file__).parent.parent))

from results_file import heading, markdown_table, write
from yieldcast.cli.terminal import load_tensorflow, short_errors
from yieldcast.crop_types.classifier import CropTypeSettings, train
from yieldcast.pixels import pixel_series
from yieldcast.pixels.series_bands import SENTINEL2

if TYPE_CHECKING:
    from yieldcast.encoders.presto import PrestoEncoder

SAMPLES, MONTHS, CROPS = 2000, 12, 4
HEAD_LIMIT_S, NETWORK_LIMIT_S = 60, 600  # bounds of the project on two cores
EPOCHS, ALL_EPOCHS = 2, 15
TRAININGS = 3  # of all series, in sum: one, and three on two thirds


def made_up() -> xr.Dataset:
    """Labelled series with all Sentinel-2 bands but B8A, radar, weather and terrain."""
    rng = np.random.default_rng(0)
    crop = np.arange(SAMPLES) % CROPS
    green = np.exp(-((np.arange(MONTHS) - 3 - 1.5 * crop[:, None]) ** 2) / 8)
    green = green + rng.normal(0, 0.2, green.shape)
    bands = {
        name: np.clip(2000 + 200 * k * green + rng.normal(0, 300, green.shape), 1, 9000)
        for k, name in enumerate(SENTINEL2) if name != "B8A"
    }  # fmt: skip
    bands |= {"VV": -12 + 2 * green, "VH": -18 + 3 * green}
    bands |= {"temperature": 285 + 10 * green, "precipitation": 0.05 + 0.01 * np.abs(green)}
    places = np.arange(SAMPLES)
    return pixel_series.create(
        {name: values.astype(np.float32) for name, values in bands.items()},
        np.tile(np.arange(MONTHS), (SAMPLES, 1)), 45 + (places // 50) / 50, (places % 50) / 50, places,
        "month", {"elevation": np.full(SAMPLES, 100.0), "slope": np.full(SAMPLES, 2.0)},
        label=[f"crop {k}" for k in crop],
    )  # fmt: skip


def head(series: xr.Dataset, encoder: PrestoEncoder) -> list[str]:
    """Row of the table: a head on the frozen encoder."""
    wall, processor = time.perf_counter(), time.process_time()
    train(series, CropTypeSettings(), encoder)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    made = ["head, with scores and baselines", f"{processor:.0f}", f"{wall:.0f}", f"{wall:.0f}"]
    print(made, flush=True)
    return [*made, str(HEAD_LIMIT_S)]


def network(series: xr.Dataset, encoder: PrestoEncoder) -> list[str]:
    """Row of the table: one training of encoder and head."""
    from yieldcast.crop_types.fine_tuning import TunedLearner

    ends: list[float] = []
    classes = np.arange(SAMPLES) % CROPS
    wall, processor = time.perf_counter(), time.process_time()
    learner = TunedLearner(series, classes, CROPS, CropTypeSettings(mode="finetune", epochs=EPOCHS), encoder)
    learner.fit(np.arange(SAMPLES), 0, lambda done, total: ends.append(time.perf_counter()))
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    most = TRAININGS * (wall + (ALL_EPOCHS - EPOCHS) * (ends[1] - ends[0]))
    made = [f"network, {EPOCHS} epochs", f"{processor:.0f}", f"{wall:.0f}", f"{most:.0f}"]
    print(made, flush=True)
    return [*made, str(NETWORK_LIMIT_S)]


def main() -> None:
    """Write benchmark-crop-types.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--write", type=Path, default=Path("experiments/results"))
    given = parser.parse_args()
    load_tensorflow()
    from yieldcast.encoders.files import load_presto

    encoder, series = load_presto(given.encoder), made_up()
    rows = [head(series, encoder), network(series, encoder)]
    parts = heading("Benchmark: training of crop-type classifiers")
    columns = [
        "training",
        "processor, s",
        "wall, s",
        "wall of a run at most, s",
        "limit, s",
    ]
    parts.append(
        f"{SAMPLES} series of {MONTHS} months, {CROPS} classes, on two cores without other work, as the "
        f"limits are. A run at most: {TRAININGS} trainings on all series of {ALL_EPOCHS} epochs each."
    )
    parts.append(markdown_table(columns, rows))
    print(f"written: {write(given.write / 'benchmark-crop-types.md', parts)}")


if __name__ == "__main__":
    with short_errors():
        main()
