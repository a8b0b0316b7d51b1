"""Baselines that every network score is shown beside: naive values, ridge regression and boosted trees.

*Hindsight* baselines use yields up to the year before the harvest, as the literature does; *public* baselines
only those published on the date of the forecast. Both read them through `features.yield_history`.
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

ROUNDS = 300  # not tuned, no early stopping; all other settings of the trees are scikit-learn's defaults
NAIVE = ("last_year", "mean_5y", "trend_10y")
NAIVE_PUBLIC = ("last_public", "mean_5y_public", "trend_10y_public")
BOOSTED_PUBLIC = "boosted_history_public"


@dataclass(frozen=True)
class Baseline:
    """Predictions of one baseline.

    Args:
        prediction: (sample,) kg/ha, finite.
        fallback: (sample,) True where the municipality has too few past yields, so that the value comes from
            its state, the nation or the training mean, or boosted trees had no past yield of it.
        history: the yields used: up to the year before the harvest (hindsight), published ones, or none.
    """

    prediction: Floats
    fallback: Bools
    history: History

    @property
    def fallback_rows(self) -> int:
        """Number of rows whose value is not from the municipality's own yields."""
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
    """All baselines by name, for the rows of `test`, whose targets are not used.

    Args:
        train, test: samples in physical units; every test year later than every training year.
        yields: dims (crop, municipality, harvest_year), `yield_kg_ha`, optionally `area_harvested_ha`.
        states: municipality code -> state; a municipality without one counts for the nation only.
        crop: crop to read from `yields`.
        publication: when yields become public.
        as_of: date of the forecast; None for the end of each row's own window.
        dated: the rows of `test` with the weather known on that date, for the public trees; `test` if None.

    Returns:
        Name -> baseline: `NAIVE`, "ridge", "boosted_weather", "boosted_history", `NAIVE_PUBLIC` and
        `BOOSTED_PUBLIC`.

    Raises:
        LeakageError: a training year is not before the first test year.
        SchemaError: training rows without a target.
        MissingDataError: no rows, or no yield at all was public on the date of the forecast.
        ConfigError: `yields` does not hold the crop.
    """
    check_order(train.harvest_year, test.harvest_year)
    if unknown := int((~np.isfinite(train.target_kg_ha)).sum()):
        message = f"expected a yield on every training row, received {unknown} of {len(train)} without one"
        raise SchemaError(message, "Leave out the training rows without a yield.")
    history = YieldHistory.of(yields, states, crop)
    before = history.rows(test, 1)
    public = history.rows(test, yield_history.lag(test, test.window_end, publication, as_of))
    found = _naive_baselines(history, before, train, "hindsight", NAIVE)
    no, ridge = np.zeros(len(test), dtype=bool), make_pipeline(SimpleImputer(), StandardScaler(), Ridge())
    for name, model in (("ridge", ridge), ("boosted_weather", _trees())):
        found[name] = Baseline(_predict(model, train.flat(), train.target_kg_ha, test.flat()), no, "none")
    boosted = _with_history(history, train, test, 1)
    found["boosted_history"] = Baseline(boosted, history.bare(before), "hindsight")
    return found | public_baselines(history, public, train, test if dated is None else dated, {})


def public_baselines(
    history: YieldHistory,
    rows: HistoryRows,
    train: SampleSet,
    dated: SampleSet,
    fitted: dict[tuple[int, int], Any],
    public_only: bool = True,
) -> dict[str, Baseline]:
    """Baselines that use only what was public on the date of the forecast: `NAIVE_PUBLIC`, `BOOSTED_PUBLIC`.

    Args:
        history: yields of the crop.
        rows: rows of `history` for `dated`, up to the newest public year.
        train: training rows.
        dated: rows to forecast, with the weather known on that date; their targets are not used.
        fitted: trees by newest public year and lag; missing ones are fitted and added, so that dates with
            the same public yields share them.
        public_only: whether trees learn only from public harvest years; False for the leave-year-out
            protocol, where they learn from all of `train`.
    """
    found = _naive_baselines(history, rows, train, "public", NAIVE_PUBLIC)
    otherwise = found["mean_5y_public"]
    value, fallback, bare = otherwise.prediction.copy(), np.ones(len(dated), dtype=bool), history.bare(rows)
    for year, lag in sorted(set(zip(rows.last_year.tolist(), rows.lag.tolist(), strict=True))):
        chosen = (rows.last_year == year) & (rows.lag == lag)
        known = train.take(train.harvest_year <= year) if public_only else train
        if len(known):
            if (year, lag) not in fitted:
                fitted[year, lag] = Fitted(_trees(), _history_input(history, known, lag), known.target_kg_ha)
            x = _history_input(history, dated.take(chosen), lag)
            value[chosen], fallback[chosen] = fitted[year, lag].predict(x), bare[chosen]
    return found | {BOOSTED_PUBLIC: Baseline(value, fallback, "public")}


def _naive_baselines(
    history: YieldHistory, rows: HistoryRows, train: SampleSet, kind: History, names: tuple[str, ...]
) -> dict[str, Baseline]:
    otherwise = np.full(len(rows.lag), np.nan)
    for year in np.unique(rows.last_year):
        known = train.target_kg_ha[train.harvest_year <= year]
        otherwise[rows.last_year == year] = known.mean(dtype=np.float64) if known.size else np.nan
    values, fallback = history.naive(rows, otherwise)
    if not np.isfinite(values).all():
        wanted = f"expected yields of {int(rows.last_year.min())} or before, the newest that it may use"
        message = f"{names[0]}: {wanted}; received yields from {history.first_year} on"
        raise MissingDataError(message, "Add earlier years of yields, or forecast a later year.")
    return {name: Baseline(values[i], fallback[i], kind) for i, name in enumerate(names)}


def _with_history(history: YieldHistory, train: SampleSet, test: SampleSet, lag: int) -> Floats:
    x_train, x_test = (_history_input(history, rows, lag) for rows in (train, test))
    return _predict(_trees(), x_train, train.target_kg_ha, x_test)


def _history_input(history: YieldHistory, rows: SampleSet, lag: int) -> Floats:
    return np.hstack((rows.flat(), history.features(history.rows(rows, lag))))


def _predict(model: Any, x_train: NDArray[Any], y: NDArray[Any], x_test: NDArray[Any]) -> Floats:
    return Fitted(model, x_train, y).predict(x_test)


class Fitted:
    """A scikit-learn model fitted to rows; predictions are not below 0.

    Args:
        model: a regressor of scikit-learn.
        x: (row, input), NaN = unknown; inputs without any value are left out.
        y: (row,) kg/ha.
    """

    def __init__(self, model: Any, x: NDArray[Any], y: NDArray[Any]) -> None:
        self.known = np.isfinite(x).any(axis=0)  # scikit-learn 1.9 cannot bin a column without any value
        # One thread: then sums do not depend on the number of cores, and on busy cores OpenMP is ten times
        # slower.
        with threadpool_limits(1, user_api="openmp"):
            self.model = model.fit(x[:, self.known], y)

    def predict(self, x: NDArray[Any]) -> Floats:
        """(row,) kg/ha, 0 or more."""
        with threadpool_limits(1, user_api="openmp"):
            prediction = self.model.predict(x[:, self.known])
        return np.maximum(np.asarray(prediction, dtype=np.float64), 0.0)


def _trees() -> Any:
    return HistGradientBoostingRegressor(max_iter=ROUNDS, early_stopping=False, random_state=0)
