"""Reference lines every network score stands beside: naive lines, ridge and boosted trees.

*Hindsight* lines use yields to the year before the harvest, as the literature does; *public* lines only
those published on the date of the forecast. Both are read through `panel.YieldHistory`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.features import yield_history
from yieldcast.features.samples import SampleSet
from yieldcast.features.splits import check_order
from yieldcast.features.yield_history import Bools, Floats, HistoryRows, YieldHistory
from yieldcast.publication import Publication

History = Literal["hindsight", "public", "none"]

ROUNDS = 300  # not tuned, all of them taken; everything else of the trees is scikit-learn's default
NAIVE = ("last_year", "mean_5y", "trend_10y")
NAIVE_PUBLIC = ("last_public", "mean_5y_public", "trend_10y_public")
BOOSTED_PUBLIC = "boosted_history_public"


@dataclass(frozen=True)
class Baseline:
    """One reference line.

    Args:
        prediction: (sample,) kg/ha, finite.
        fallback: (sample,) True where the municipality's own history could not give the value, or where
            trees with history had none of it.
        history: the yields it read: to the year before the harvest (hindsight), published ones, or none.
    """

    prediction: Floats
    fallback: Bools
    history: History

    @property
    def fallback_rows(self) -> int:
        """How many rows used anything but the municipality's own value."""
        return int(self.fallback.sum())


def all_baselines(
    train: SampleSet,
    test: SampleSet,
    yields: xr.Dataset,
    states: Mapping[int, str],
    crop: str,
    publication: Publication,
    as_of: dt.date | None,
    dated: SampleSet | None = None,
) -> dict[str, Baseline]:
    """All reference lines by name, for the rows of `test`, whose targets are never read.

    Args:
        train, test: samples in physical units; every test year later than every training year.
        yields: dims (crop, municipality, harvest_year), `yield_kg_ha`, optionally `area_harvested_ha`.
        states: municipality code -> state (one left out counts for the nation only).
        crop: crop to read from `yields`.
        publication: when yields become public.
        as_of: date of the forecast; None takes the end of each row's own window.
        dated: the rows of `test` with the weather known on that date, for the public trees; `test` if None.

    Raises:
        LeakageError: a training year is as late as a test year.
        SchemaError: training rows without a target.
        MissingDataError: no rows, or no yield at all was public on the date of the forecast.
        ConfigError: `yields` does not hold the crop.
    """
    check_order(train.harvest_year, test.harvest_year)
    if unknown := int((~np.isfinite(train.target_kg_ha)).sum()):
        message = f"expected a yield on every training row, received {unknown} of {len(train)} without one"
        raise SchemaError(message, "Leave out the training rows whose yield is not known.")
    panel = YieldHistory.of(yields, states, crop)
    before = panel.rows(test, 1)
    public = panel.rows(test, yield_history.lag(test, test.window_end, publication, as_of))
    lines = _naive_baselines(panel, before, train, "hindsight", NAIVE)
    no, ridge = np.zeros(len(test), dtype=bool), make_pipeline(SimpleImputer(), StandardScaler(), Ridge())
    for name, model in (("ridge", ridge), ("boosted_weather", _trees())):
        lines[name] = Baseline(_predict(model, train.flat(), train.target_kg_ha, test.flat()), no, "none")
    lines["boosted_history"] = Baseline(_with_history(panel, train, test, 1), panel.bare(before), "hindsight")
    return lines | public_baselines(panel, public, train, test if dated is None else dated, {})


def public_baselines(
    panel: YieldHistory,
    rows: HistoryRows,
    train: SampleSet,
    dated: SampleSet,
    fitted: dict[tuple[int, int], Any],
) -> dict[str, Baseline]:
    """The lines that use only what was out on the date of the forecast: `NAIVE_PUBLIC` and `BOOSTED_PUBLIC`.

    Args:
        panel: yields of the crop.
        rows: of `dated`, each seeing yields to the newest public year.
        train: training rows.
        dated: rows to forecast, with the weather known on that date; their targets are never read.
        fitted: trees by newest public year and lag; those that are not there are fitted and added, so that
            dates with the same public yields share them.
    """
    lines = _naive_baselines(panel, rows, train, "public", NAIVE_PUBLIC)
    otherwise = lines["mean_5y_public"]
    value, fallback, bare = otherwise.prediction.copy(), np.ones(len(dated), dtype=bool), panel.bare(rows)
    for year, lag in sorted(set(zip(rows.last_year.tolist(), rows.lag.tolist(), strict=True))):
        mine, known = (rows.last_year == year) & (rows.lag == lag), train.take(train.harvest_year <= year)
        if len(known):
            if (year, lag) not in fitted:
                fitted[year, lag] = _Fitted(_trees(), _history_input(panel, known, lag), known.target_kg_ha)
            asked = _history_input(panel, dated.take(mine), lag)
            value[mine], fallback[mine] = fitted[year, lag].predict(asked), bare[mine]
    return lines | {BOOSTED_PUBLIC: Baseline(value, fallback, "public")}


def _naive_baselines(
    panel: YieldHistory, rows: HistoryRows, train: SampleSet, history: History, names: tuple[str, ...]
) -> dict[str, Baseline]:
    otherwise = np.full(len(rows.lag), np.nan)
    for year in np.unique(rows.last_year):
        known = train.target_kg_ha[train.harvest_year <= year]
        otherwise[rows.last_year == year] = known.mean(dtype=np.float64) if known.size else np.nan
    values, fallback = panel.naive(rows, otherwise)
    if not np.isfinite(values).all():
        wanted = f"expected yields of {int(rows.last_year.min())} or before, the newest that it may use"
        message = f"{names[0]}: {wanted}; received yields from {panel.first_year} on"
        raise MissingDataError(message, "Add earlier years of yields, or forecast a later year.")
    return {name: Baseline(values[i], fallback[i], history) for i, name in enumerate(names)}


def _with_history(panel: YieldHistory, train: SampleSet, test: SampleSet, lag: int) -> Floats:
    x, asked = (_history_input(panel, rows, lag) for rows in (train, test))
    return _predict(_trees(), x, train.target_kg_ha, asked)


def _history_input(panel: YieldHistory, rows: SampleSet, lag: int) -> Floats:
    return np.hstack((rows.flat(), panel.features(panel.rows(rows, lag))))


def _predict(model: Any, x: NDArray[Any], y: NDArray[Any], asked: NDArray[Any]) -> Floats:
    return _Fitted(model, x, y).predict(asked)


class _Fitted:
    """A scikit-learn model fitted to rows; predictions are not below 0."""

    def __init__(self, model: Any, x: NDArray[Any], y: NDArray[Any]) -> None:
        self.known = np.isfinite(x).any(axis=0)  # scikit-learn 1.9 cannot bin a column without any value
        # One thread: sums do not depend on the machine's cores, and on busy cores OpenMP is ten times slower.
        with threadpool_limits(1, user_api="openmp"):
            self.model = model.fit(x[:, self.known], y)

    def predict(self, asked: NDArray[Any]) -> Floats:
        with threadpool_limits(1, user_api="openmp"):
            prediction = self.model.predict(asked[:, self.known])
        return np.maximum(np.asarray(prediction, dtype=np.float64), 0.0)


def _trees() -> Any:
    return HistGradientBoostingRegressor(max_iter=ROUNDS, early_stopping=False, random_state=0)
