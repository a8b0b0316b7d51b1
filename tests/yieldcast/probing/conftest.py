"""Rows of a small made-up country whose yields follow a known formula, and pipelines on them."""

from dataclasses import replace

import numpy as np
import pytest

from yieldcast.features.feature_rows import Feature, FeatureRows
from yieldcast.probing.pipeline import Pipeline, Ridge

YEARS, PLACES = range(2009, 2019), 40


def feature(name, group="weather"):
    return Feature(name, group, "1", "", name)


def make_rows(seed=1):
    """Ten years of 40 places: yield = place + 300 rain - 150 heat + year + noise; mean of earlier years."""
    rng = np.random.default_rng(seed)
    years, places = len(YEARS), PLACES
    level, soil = rng.normal(3000, 250, places), rng.normal(30, 8, places)
    rain, heat = rng.normal(size=(2, years, places))
    truth = (
        level + 10 * soil + 300 * rain - 150 * heat + rng.normal(0, 80, (years, 1))
        + rng.normal(0, 150, (years, places))
    )  # fmt: skip
    history = np.full_like(truth, np.nan)
    for k in range(2, years):
        history[k] = truth[: k - 1].mean(axis=0)
    columns = {
        "rain_month_1": (rain, "weather"), "heat_month_2": (heat, "weather"),
        "clay_pct": (np.tile(soil, (years, 1)), "soil"), "mean_public_kg_ha": (history, "history"),
        "latitude_deg": (np.tile(rng.uniform(-30, -10, places), (years, 1)), "place"),
    }  # fmt: skip
    year, place = np.repeat(np.array(YEARS), places), np.tile(np.arange(places), years)
    return FeatureRows(
        np.stack([values.ravel() for values, _ in columns.values()], axis=1),
        tuple(feature(name, group) for name, (_, group) in columns.items()),
        (1000 + place).astype(np.int32), year.astype(np.int16), np.where(place % 2, "A", "B"),
        np.array([f"{one}-02-01" for one in year], dtype="datetime64[D]"), truth.ravel(),
        -20.0 + place / 10, -50.0 + place / 10,
    )  # fmt: skip


def with_column(rows, name, values, group="weather"):
    return replace(
        rows, values=np.column_stack([rows.values, values]), features=(*rows.features, feature(name, group))
    )


@pytest.fixture
def rows():
    return make_rows()


@pytest.fixture
def pipeline(rows):
    return Pipeline(rows, (2018,), Ridge())
