"""Pieces of yieldcast/model.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yieldcast.config import NetworkSettings
from yieldcast.features.samples import SampleSet
from yieldcast.features.yield_history import HISTORY_BASELINE


@dataclass(frozen=True)
class Scaling:
    """Ranges of the training rows; nothing of validation or test rows enters.

    Args:
        dynamic_low, dynamic_range: (variable,) over all rows and steps: minimum and range, or mean and
            standard deviation.
        static_low, static_range, static_mean: (feature,), likewise, missing soil left out.
        target_mean, target_sd: kg/ha, of the yield or its departure; 0 and 1 when the target is not scaled.
    """

    dynamic_low: npt.NDArray[np.float64]
    dynamic_range: npt.NDArray[np.float64]
    static_low: npt.NDArray[np.float64]
    static_range: npt.NDArray[np.float64]
    static_mean: npt.NDArray[np.float64]
    target_mean: float
    target_sd: float

    @classmethod
    def fit(
        cls, rows: SampleSet, scale_target: bool = True, settings: NetworkSettings | None = None
    ) -> Scaling:
        """Minimum, range and mean of every input over `rows`; a constant input gets range 1.

        With `scaling = "deviation"` mean and standard deviation take the places of minimum and range; with
        `target = "departure"` the target is the yield less the history line.
        """
        settings = settings or NetworkSettings()
        dynamic = rows.dynamic.reshape(-1, rows.dynamic.shape[-1]).astype(np.float64)
        static = rows.static.astype(np.float64)
        # A soil column without any value in these rows teaches nothing: a range without end makes it 0
        # for every place that is asked for later.
        empty = ~np.isfinite(static).any(axis=0)
        static = np.where(empty, 0.0, static)
        centre = np.nanmean(static, axis=0)
        if settings.scaling == "range":
            low, high = np.nanmin(static, axis=0), np.nanmax(static, axis=0)
            ranges = dynamic.min(axis=0), np.ptp(dynamic, axis=0), low, high - low
        else:
            ranges = dynamic.mean(axis=0), dynamic.std(axis=0), centre, np.nanstd(static, axis=0)
        target = rows.target_kg_ha.astype(np.float64)
        if settings.target == "departure":
            target = target - rows.static[:, base_column(rows.static_names)]
        return cls(
            ranges[0], _not_zero(ranges[1]), ranges[2], np.where(empty, 1e12, _not_zero(ranges[3])), centre,
            float(target.mean()) if scale_target else 0.0, float(target.std()) if scale_target else 1.0,
        )  # fmt: skip


def base_column(static_names: Sequence[str]) -> int:
    """Position of the history line among the static inputs, what a departure is added to."""
    return tuple(static_names).index(HISTORY_BASELINE)


def _not_zero(spread: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(spread > 0, spread, 1.0)
