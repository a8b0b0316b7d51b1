"""Yields of earlier harvests that were public on the date of a forecast, for readers of the forecast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yieldcast.features.yield_history import YieldHistory
from yieldcast.forecasting.table import ALL_MUNICIPALITIES

SHOWN_YEARS = 25  # the newest ones


@dataclass(frozen=True)
class PublicYields:
    """Public yields of a crop over consecutive harvest years, in kg/ha, NaN = no value.

    Args:
        first_year: harvest year of column 0.
        codes: (municipality,) ascending.
        own: (municipality, year).
        names: (aggregate,) `ALL_MUNICIPALITIES`, then states.
        whole: (aggregate, year) means weighted by harvested area.
    """

    first_year: int
    codes: NDArray[np.int64]
    own: NDArray[np.float64]
    names: tuple[str, ...]
    whole: NDArray[np.float64]


def public_yields(history: YieldHistory, newest: int) -> PublicYields:
    """The yields that were public when `newest` was the newest public harvest year.

    Args:
        history: of the crop.
        newest: harvest year; later ones are left out.

    Returns:
        at most `SHOWN_YEARS` years; none where `newest` lies before the record.
    """
    end = max(newest - history.first_year + 1, 0)
    start = max(min(end, history.own.shape[1]) - SHOWN_YEARS, 0)
    shown = slice(start, end)
    return PublicYields(
        history.first_year + start, history.codes, history.own[:, shown],
        (ALL_MUNICIPALITIES, *history.states.astype(str).tolist()),
        np.concatenate([history.nation[:, shown], history.state[:, shown]]),
    )  # fmt: skip
