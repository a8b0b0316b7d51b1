"""Predicted crop types as a table, and their scores where the classes are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from yieldcast.crop_types.heads import Floats
from yieldcast.crop_types.scores import CropTypeScores, crop_type_scores
from yieldcast.data.files import atomic_write
from yieldcast.errors import ConfigError


def predictions(series: xr.Dataset, probability: Floats, classes: Sequence[str]) -> pd.DataFrame:
    """A row for each series: sample_id, lat, lon, location_id, season, class, probability, p_CLASS."""
    best = probability.argmax(axis=1)
    return pd.DataFrame(
        {
            "sample_id": series["sample"].values, "lat": series["latitude_deg"].values,
            "lon": series["longitude_deg"].values, "location_id": series["location"].values,
            "season": series["season"].values, "class": np.array(classes)[best],
            "probability": probability.max(axis=1).round(6),
            **{f"p_{name}": probability[:, k].round(6) for k, name in enumerate(classes)},
        }
    )  # fmt: skip


def write_predictions(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV or Parquet, whole or not at all.

    Raises:
        ConfigError: another ending.
        MissingDataError: the disk refuses.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"expected --out to end with .csv or .parquet, received {path}")
    parquet = path.suffix == ".parquet"
    atomic_write(
        path,
        lambda temporary: table.to_parquet(temporary) if parquet else table.to_csv(temporary, index=False),
    )


def scores_of(series: xr.Dataset, probability: Floats, classes: Sequence[str]) -> CropTypeScores | None:
    """Scores of the series whose class is known; None if none is."""
    labels = series["label"].values
    known = labels != ""
    if not known.any():
        return None
    truth = np.array([list(classes).index(one) for one in labels[known].tolist()])
    return crop_type_scores(probability[known], truth, classes)
