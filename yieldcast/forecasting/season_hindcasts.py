"""Past seasons as a run would have forecast them on the same day: what a forecast says of its own skill.

The intervals of each season rest on the hindcasts of the other seasons, as those of the forecast rest on all.
The weights of the ingredients are taught by all seasons, so the errors are somewhat smaller than those of
forecasts; `evaluation.backtest` measures these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import RunError
from yieldcast.forecasting.calibration import calibrate
from yieldcast.forecasting.hindcasts import RawForecasts
from yieldcast.forecasting.intervals import Hindcast, error_quantiles
from yieldcast.forecasting.year_effects import YearEffectRecord

Floats = NDArray[np.float64]
LEAST_OTHERS = 3  # seasons that the intervals of a season rest on


@dataclass(frozen=True)
class SeasonHindcast:
    """One past season; rows are municipalities with a yield in it.

    Args:
        harvest_year: of the season.
        municipality: (row,) codes.
        target: (row,) harvested yield, kg/ha.
        mean: (row,) forecast, kg/ha.
        quantiles: (row, quantile) kg/ha at `table.QUANTILES`.
    """

    harvest_year: int
    municipality: NDArray[np.int32]
    target: Floats
    mean: Floats
    quantiles: Floats


def of_network(past: RawForecasts, record: YearEffectRecord | None) -> list[SeasonHindcast]:
    """Seasons as the members that left them out forecast them; none where the other seasons are too few.

    Args:
        past: hindcasts of the run at the lead of the forecast.
        record: year effects of the history baseline, see `calibration.calibrate`.
    """
    found = []
    for year in np.unique(past.harvest_year).tolist():
        mine = past.take((past.harvest_year == year) & np.isfinite(past.target_kg_ha))
        try:
            calibration = calibrate(past.take(past.harvest_year != year), record)
        except RunError:
            continue
        found.append(
            SeasonHindcast(
                year, mine.municipality, mine.target_kg_ha, mine.mean_kg_ha, calibration.apply(mine)
            )
        )
    return found


def of_combination(
    hindcasts: Sequence[Hindcast], codes: NDArray[np.int32], wanted: NDArray[np.int32]
) -> list[SeasonHindcast]:
    """Seasons by the method "posterior"; none where the other seasons are too few.

    Args:
        hindcasts: of the method, one for each season.
        codes: (municipality,) of the hindcasts, ascending.
        wanted: codes to keep.
    """
    found = []
    for one in hindcasts:
        others = [other for other in hindcasts if other.year != one.year]
        if len(others) < LEAST_OTHERS:
            continue
        quantiles = one.forecast[:, None] + one.scale[:, None] * error_quantiles(others)
        quantiles = np.maximum(np.maximum.accumulate(quantiles, axis=1), 0.0)
        kept = np.isfinite(one.truth) & np.isfinite(quantiles).all(axis=1) & np.isin(codes, wanted)
        found.append(
            SeasonHindcast(one.year, codes[kept], one.truth[kept], one.forecast[kept], quantiles[kept])
        )
    return found
