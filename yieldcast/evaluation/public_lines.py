"""The baselines `level_trend` and `official`: what everyone can know on a date without weather or network.

`level_trend` is the first ingredient of every forecast by the method "posterior" (`forecasting.expected`).
`official` is the five-year mean of the municipality, moved by the newest official estimate of its state.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yieldcast.evaluation.skill import LEVEL_TREND
from yieldcast.features.yield_history import HasPlaceAndYear
from yieldcast.forecasting.expected import CropEvidence
from yieldcast.forecasting.few_years import LEAST_YEARS
from yieldcast.models.baselines import Baseline

OFFICIAL = "official"


def line_baselines(
    evidence: CropEvidence,
    codes: NDArray[np.int32],
    rows: HasPlaceAndYear,
    days: NDArray[np.datetime64],
    mean_5y: Baseline,
) -> dict[str, Baseline]:
    """Both baselines; `official` only where the crop has estimates, none where yields are too few.

    Args:
        evidence: of the crop.
        codes: (municipality,) codes of the evidence, ascending.
        rows: municipalities and harvest years to forecast.
        days: (row,) dates of the forecasts.
        mean_5y: the baseline `mean_5y_public` of the rows.
    """
    line, factor = np.full(len(days), np.nan), np.ones(len(days))
    place = np.searchsorted(codes, rows.municipality)
    dates = days.astype("datetime64[D]")
    for year, day in sorted(set(zip(rows.harvest_year.tolist(), dates.tolist(), strict=True))):
        if evidence.newest_public_year(year, day) - evidence.first_year + 1 < LEAST_YEARS:
            return {}
        mine = (rows.harvest_year == year) & (dates == np.datetime64(day))
        line[mine] = evidence.expected_line(year, day)[0][place[mine]]
        factor[mine] = evidence.official_factor(year, day)[place[mine]]
    found = {LEVEL_TREND: Baseline(line, mean_5y.fallback, "public")}
    if has_estimates(evidence):
        found[OFFICIAL] = Baseline(mean_5y.prediction * factor, mean_5y.fallback, "public")
    return found


def has_estimates(evidence: CropEvidence) -> bool:
    """Whether the store has official estimates of the crop."""
    return evidence.estimates.table is not None and bool(evidence.estimates.table.sizes["estimate"])
