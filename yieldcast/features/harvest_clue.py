"""How much the features of fields tell of the length of the season, which no one knows before the harvest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError
from yieldcast.features.feature_rows import FeatureRows
from yieldcast.features.seasons import find

Floats = NDArray[np.float64]
FOLDS, LEAST_ROWS = 5, 40
_SEED = 0


@dataclass(frozen=True)
class HarvestClue:
    """Share of the variance of season lengths within a harvest year that trees predict, 0 or less = nothing.

    Args:
        known_seasons: rows left out at random: other rows of the same seasons teach, as in a random split.
        new_seasons: whole harvest years left out, as in a forecast; NaN with one harvest year.
    """

    known_seasons: float
    new_seasons: float


def season_lengths(field_seasons: xr.Dataset, crop: str, rows: FeatureRows) -> Floats:
    """(row,) days from sowing to harvest; NaN where one of the two is not known.

    Args:
        field_seasons: see `yieldcast.data.field_seasons`.
        crop: of the rows.
        rows: places and harvest years.
    """
    table = field_seasons.isel(season=field_seasons["crop"].values.astype(str) == crop)
    days = (table["harvest_date"].values - table["sowing_date"].values) / np.timedelta64(1, "D")
    keys = _key(table["municipality"].values, table["harvest_year"].values)
    if not len(keys):
        return np.full(len(rows), np.nan)
    at, found = find(keys, _key(rows.municipality, rows.harvest_year))
    return np.where(found, days[at], np.nan)


def harvest_clue(rows: FeatureRows, lengths: Floats) -> HarvestClue:
    """Cross-validated share of the season lengths that the features predict.

    Lengths are taken as departures from the mean of their harvest year. A cut-off that does not depend on
    the harvest shows what weather and place say of the length honestly; what a cut-off before harvest shows
    beyond that is told by the cut-off itself (Xavier et al. 2026, Section 3.3: the harvest day alone made
    47-64 % of the importance).

    Args:
        rows: features of fields.
        lengths: (row,) days, of `season_lengths`.

    Raises:
        MissingDataError: fewer than `LEAST_ROWS` rows whose length is known.
    """
    known = np.isfinite(lengths)
    if known.sum() < LEAST_ROWS:
        raise MissingDataError(
            f"expected {LEAST_ROWS} rows or more with dates of sowing and harvest, received {known.sum()}",
            "Import fields with both dates.",
        )
    values, years, days = rows.values[known], rows.harvest_year[known], lengths[known].copy()
    for year in np.unique(years):
        days[years == year] -= days[years == year].mean()
    random = np.random.default_rng(_SEED).permutation(len(days)) % FOLDS
    several = len(np.unique(years)) > 1
    groups = np.searchsorted(np.unique(years), years) % FOLDS
    return HarvestClue(
        _explained(values, days, random), _explained(values, days, groups) if several else float("nan")
    )


def _explained(values: Floats, target: Floats, fold: NDArray[np.integer]) -> float:
    """1 - squared errors of predictions of the rows left out, fold by fold, over the sum of squares."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    errors = 0.0
    for test in _masks(fold):
        model = HistGradientBoostingRegressor(max_iter=40, early_stopping=False, random_state=_SEED)
        model.fit(values[~test], target[~test])
        errors += float(((model.predict(values[test]) - target[test]) ** 2).sum())
    total = float((target**2).sum())
    return 1.0 - errors / total if total > 0 else 0.0


def _masks(fold: NDArray[np.integer]) -> Iterator[NDArray[np.bool_]]:
    for one in np.unique(fold):
        yield np.asarray(fold == one)


def _key(place: NDArray[np.integer], year: NDArray[np.integer]) -> NDArray[np.int64]:
    return place.astype(np.int64) * 10_000 + year.astype(np.int64)
