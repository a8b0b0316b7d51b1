"""Time of training a crop-type classifier on 2,000 series of 12 months: a head alone, or with the encoder.

Series are made up: four crops whose bands follow curves of their own, every place once. Timed are the whole
trainings with their scores on left-out places and their baselines. Networks are trained for two epochs; 18
times the second one is added for the time of 20, which is right if none of the trainings stops earlier.

    python experiments/benchmarks/crop_types.py --encoder presto_encoder.safetensors
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import xarray as xr

sys.path.insert(0, str(Path(__file__).parent.parent))

from results_file import heading, markdown_table, write
from yieldcast.cli.terminal import load_tensorflow, short_errors
from yieldcast.crop_types.classifier import CropTypeSettings, train
from yieldcast.crop_types.tuning import Tuning
from yieldcast.pixels import pixel_series
from yieldcast.pixels.series_bands import SENTINEL2

SAMPLES, MONTHS, CROPS = 2000, 12, 4
HEAD_LIMIT_S, NETWORK_LIMIT_S = 60, 600  # bounds of the project on two cores
EPOCHS, ALL_EPOCHS = 2, 20


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


def main() -> None:
    """Write benchmark-crop-types.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--write", type=Path, default=Path("experiments/results"))
    given = parser.parse_args()
    load_tensorflow()
    from yieldcast.encoders.files import load_encoder

    encoder, series, rows = load_encoder(given.encoder), made_up(), []
    frozen = CropTypeSettings()
    tuned = CropTypeSettings(mode="finetune", epochs=EPOCHS)
    for name, settings, limit in (("head", frozen, HEAD_LIMIT_S), ("finetune", tuned, NETWORK_LIMIT_S)):
        ends: list[float] = []

        def at_end(done: int, total: int, ends: list[float] = ends) -> None:
            ends.append(time.process_time())

        wall, processor = time.perf_counter(), time.process_time()
        train(series, settings, encoder, tuning=Tuning(progress=at_end))
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        epoch = sum(b - a for a, b in zip(ends[::EPOCHS], ends[1::EPOCHS], strict=True))
        most = processor + (ALL_EPOCHS - EPOCHS) * epoch
        rows.append([name, f"{processor:.0f}", f"{wall:.0f}", f"{most:.0f}", str(limit)])
        print(rows[-1], flush=True)
    parts = heading("Benchmark: training of crop-type classifiers")
    columns = [
        "training",
        "processor, s",
        "wall, s",
        f"processor at most, {ALL_EPOCHS} epochs, s",
        "limit, s",
    ]
    parts.append(
        f"{SAMPLES} series of {MONTHS} months, {CROPS} classes, with scores and baselines, one thread. "
        f"Networks: four trainings of {EPOCHS} epochs. The wall time is that of a machine with other work."
    )
    parts.append(markdown_table(columns, rows))
    print(f"written: {write(given.write / 'benchmark-crop-types.md', parts)}")


if __name__ == "__main__":
    with short_errors():
        main()
