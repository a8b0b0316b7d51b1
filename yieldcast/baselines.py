"""Reference lines every network score stands beside: naive lines, ridge and boosted trees.

*Hindsight* lines use yields to the year before the harvest, as the literature does; *public* lines only
those published on the date of the forecast. `Panel.window` never reaches past the year it is asked for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from yieldcast.errors import ConfigError, LeakageError, MissingDataError, SchemaError
from yieldcast.samples import SampleSet
from yieldcast.variables import Publication

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
States = Mapping[int, str] | NDArray[np.str_]
History = Literal["hindsight", "public", "none"]

TREND_YEARS, TREND_MIN_YEARS, MEAN_YEARS = 10, 3, 5
ROUNDS = 300
NAIVE = ("last_year", "mean_5y", "trend_10y")
NAIVE_PUBLIC = ("last_public", "mean_5y_public", "trend_10y_public")


@dataclass(frozen=True)
class Line:
    """One reference line.

    Args:
        prediction: (sample,) kg/ha, finite.
        fallback: (sample,) True where the municipality's own history could not give the value.
        history: the yields it read: to the year before the harvest (hindsight), published ones, or none.
    """

    prediction: Floats
    fallback: Bools
    history: History

    @property
    def fallback_rows(self) -> int:
        """How many rows used anything but the municipality's own value."""
        return int(self.fallback.sum())


@dataclass(frozen=True)
class Rows:
    """Where samples stand in a `Panel` (-1: nowhere) and the last year they may see, `lag` before harvest."""

    municipality: Ints
    state: Ints
    last_year: Ints
    lag: Ints


@dataclass(frozen=True)
class Panel:
    """Yields of one crop over consecutive harvest years (kg/ha, NaN = no value).

    Args:
        first_year: harvest year of column 0.
        codes, states: sorted labels of the rows of `own` and `state`.
        own, state, nation: (municipality, year), (state, year) and (1, year).
    """

    first_year: int
    codes: Ints
    states: NDArray[np.str_]
    own: Floats
    state: Floats
    nation: Floats

    @classmethod
    def of(cls, yields: xr.Dataset, states: States, crop: str) -> Panel:
        """Read one crop, with the arguments and errors of `reference_lines`."""
        if crop not in (known := [str(name) for name in yields["crop"].values]):
            raise ConfigError(f"expected a crop of the yields table ({', '.join(known)}), received {crop!r}")
        if not isinstance(states, Mapping):
            places = yields["municipality"].values.tolist()
            if len(states) != len(places):
                message = f"expected a state for each of {len(places)} municipalities, received {len(states)}"
                raise SchemaError(message, "Pass a mapping from municipality code to state.")
            states = dict(zip(places, states.tolist(), strict=True))
        names = [name for name in ("yield_kg_ha", "area_harvested_ha") if name in yields]
        table = yields[names].sel(crop=crop).sortby("municipality").transpose("municipality", "harvest_year")
        if 0 in table.sizes.values():
            raise MissingDataError(f"the yields table holds no municipality or no year of {crop}")
        first, final = (int(f(table["harvest_year"])) for f in (np.min, np.max))
        table = table.reindex(harvest_year=np.arange(first, final + 1)).astype(np.float64)
        codes, own = table["municipality"].values.astype(np.int64), table["yield_kg_ha"].values
        area = table["area_harvested_ha"].values if "area_harvested_ha" in table else own * np.nan
        of_municipality = np.array([states.get(int(code), "") for code in codes])
        known_states = np.unique(of_municipality[of_municipality != ""])
        rows = [of_municipality == name for name in known_states]
        state = np.array([_mean_yield(own[r], area[r]) for r in rows]).reshape(len(rows), own.shape[1])
        return cls(first, codes, known_states, own, state, _mean_yield(own, area)[None, :])

    def rows(self, samples: SampleSet, lag: ArrayLike) -> Rows:
        """Place samples in this panel, each seeing yields to harvest year minus `lag` (1 or more)."""
        year = samples.harvest_year.astype(np.int64)
        lags = np.broadcast_to(np.asarray(lag, dtype=np.int64), year.shape)
        if (lags < 1).any():
            raise LeakageError(f"expected a lag of 1 year or more, received {int(lags.min())}")
        place = _position(self.codes, samples.municipality)
        return Rows(place, _position(self.states, samples.state), year - lags, lags)

    def window(self, series: Floats, place: Ints, last_year: Ints, width: int) -> Floats:
        """(sample, width) kg/ha: column j is the value of `last_year` - j, NaN outside the table."""
        column = (last_year - self.first_year)[:, None] - np.arange(width)
        inside = (place >= 0)[:, None] & (column >= 0) & (column < series.shape[1])
        values = np.full(column.shape, np.nan)
        values[inside] = series[np.broadcast_to(place[:, None], column.shape)[inside], column[inside]]
        return values

    def features(self, rows: Rows) -> Floats:
        """(sample, 6): last, 5-year mean, trend, years with a value of ten, the state's last and mean."""
        own = self.window(self.own, rows.municipality, rows.last_year, TREND_YEARS)
        state = self.window(self.state, rows.state, rows.last_year, TREND_YEARS)
        present = np.isfinite(own).sum(axis=1).astype(np.float64)
        return np.vstack((history_values(own, rows.lag), present, history_values(state, rows.lag)[:2])).T

    def naive(self, rows: Rows, otherwise: Floats) -> tuple[Floats, Bools]:
        """The three `history_values` of every row (3, sample) in kg/ha, and where they are not its own.

        These are, in this order, the same formula on the state's mean yields, the state's newest value,
        the same two of the nation, `otherwise`.
        """
        own = history_values(self.window(self.own, rows.municipality, rows.last_year, TREND_YEARS), rows.lag)
        value, width = own, max(int(rows.last_year.max()) - self.first_year + 1, TREND_YEARS)
        for series, place in ((self.state, rows.state), (self.nation, np.zeros_like(rows.state))):
            window = self.window(series, place, rows.last_year, width)
            newest = np.take_along_axis(window, np.isfinite(window).argmax(axis=1)[:, None], axis=1)[:, 0]
            for candidate in (history_values(window[:, :TREND_YEARS], rows.lag), newest):
                value = np.where(np.isfinite(value), value, candidate)
        return np.where(np.isfinite(value), value, otherwise), ~np.isfinite(own)


def history_values(window: Floats, lag: Ints) -> Floats:
    """Last year, mean of five years and trend of ten (3, sample), in kg/ha, NaN where there is none.

    The mean takes the values there are in the newest five years. The trend is the ordinary least squares
    line through the values of the window, drawn on to the harvest year and not below 0; it needs three.

    Args:
        window: (sample, year) kg/ha, newest year first, NaN = no value.
        lag: (sample,) years from the newest year of the window to the harvest.
    """
    there = np.isfinite(window)
    year = np.broadcast_to(-np.arange(window.shape[1], dtype=np.float64), window.shape)
    middle, level = _masked_mean(year, there), _masked_mean(window, there)
    apart = np.where(there, year - middle[:, None], 0.0)
    above = np.where(there, window - level[:, None], 0.0)
    enough = there.sum(axis=1) >= TREND_MIN_YEARS
    slope = (apart * above).sum(axis=1) / np.where(enough, (apart**2).sum(axis=1), 1.0)
    trend = np.where(enough, np.maximum(level + slope * (lag - middle), 0.0), np.nan)
    return np.stack((window[:, 0], _masked_mean(window[:, :MEAN_YEARS], there[:, :MEAN_YEARS]), trend))


def check_order(train_years: Iterable[int], test_years: Iterable[int]) -> None:
    """Refuse test years that are not all later than every training year.

    Raises:
        MissingDataError: no training or no test years.
        LeakageError: a training year is as late as a test year; names the years.
    """
    train, test = sorted({int(y) for y in train_years}), sorted({int(y) for y in test_years})
    if not train or not test:
        raise MissingDataError(f"expected training and test years, received training {train}, test {test}")
    late = [year for year in train if year >= test[0]]
    if late:
        received = f"received test {test}, training {train}: {late} would tell of the future"
        hint = f"Train on years before {test[0]}, or test on years after {train[-1]}."
        raise LeakageError(f"expected test years later than every training year, {received}", hint)


def reference_lines(
    train: SampleSet,
    test: SampleSet,
    yields: xr.Dataset,
    states: States,
    crop: str,
    publication: Publication,
    as_of: dt.date | None,
) -> dict[str, Line]:
    """All reference lines by name, for the rows of `test`, whose targets are never read.

    Args:
        train, test: samples in physical units; every test year later than every training year.
        yields: dims (crop, municipality, harvest_year), `yield_kg_ha`, optionally `area_harvested_ha`.
        states: municipality code -> state (one left out counts for the nation only), or the states of the
            municipalities of `yields` in its order.
        crop: crop to read from `yields`.
        publication: when yields become public.
        as_of: date of the forecast; None takes the end of each row's own window.

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
    panel = Panel.of(yields, states, crop)
    before, public = panel.rows(test, 1), panel.rows(test, _lag(test, publication, as_of))
    lines = _naive_lines(panel, before, train, "hindsight", NAIVE)
    no, ridge = np.zeros(len(test), dtype=bool), make_pipeline(SimpleImputer(), StandardScaler(), Ridge())
    for name, model in (("ridge", ridge), ("boosted_weather", _trees())):
        lines[name] = Line(_predict(model, train.flat(), train.target_kg_ha, test.flat()), no, "none")
    lines["boosted_history"] = Line(_with_history(panel, train, test, 1), no, "hindsight")
    lines |= _naive_lines(panel, public, train, "public", NAIVE_PUBLIC)
    lines["boosted_history_public"] = _boosted_public(panel, public, train, test, lines["mean_5y_public"])
    return lines


def _lag(test: SampleSet, publication: Publication, as_of: dt.date | None) -> Ints:
    """(sample,) harvest year minus the newest public year; at least 1: a forecast never reads its answer."""
    days, row = np.unique(test.window_end.astype("datetime64[D]"), return_inverse=True)
    newest = [publication.last_public_harvest_year(as_of or day) for day in days.astype(object)]
    lag: Ints = test.harvest_year - np.array(newest, dtype=np.int64)[row]
    return np.maximum(lag, 1)


def _naive_lines(
    panel: Panel, rows: Rows, train: SampleSet, history: History, names: tuple[str, ...]
) -> dict[str, Line]:
    otherwise = np.full(len(rows.lag), np.nan)
    for year in np.unique(rows.last_year):
        known = train.target_kg_ha[train.harvest_year <= year]
        otherwise[rows.last_year == year] = known.mean(dtype=np.float64) if known.size else np.nan
    values, fallback = panel.naive(rows, otherwise)
    if not np.isfinite(values).all():
        wanted = f"expected yields of {int(rows.last_year.min())} or before, the newest that it may use"
        message = f"{names[0]}: {wanted}; received yields from {panel.first_year} on"
        raise MissingDataError(message, "Add earlier years of yields, or forecast a later year.")
    return {name: Line(values[i], fallback[i], history) for i, name in enumerate(names)}


def _boosted_public(panel: Panel, rows: Rows, train: SampleSet, test: SampleSet, otherwise: Line) -> Line:
    value, fallback = otherwise.prediction.copy(), np.ones(len(test), dtype=bool)
    for year, lag in sorted(set(zip(rows.last_year.tolist(), rows.lag.tolist(), strict=True))):
        mine, known = (rows.last_year == year) & (rows.lag == lag), train.take(train.harvest_year <= year)
        if len(known):
            value[mine], fallback[mine] = _with_history(panel, known, test.take(mine), lag), False
    return Line(value, fallback, "public")


def _with_history(panel: Panel, train: SampleSet, test: SampleSet, lag: int) -> Floats:
    x, asked = (np.hstack((s.flat(), panel.features(panel.rows(s, lag)))) for s in (train, test))
    return _predict(_trees(), x, train.target_kg_ha, asked)


def _predict(model: Any, x: NDArray[Any], y: NDArray[Any], asked: NDArray[Any]) -> Floats:
    known = np.isfinite(x).any(axis=0)  # scikit-learn 1.9 cannot bin a column without any value
    # One thread: sums do not depend on the machine's cores, and on busy cores OpenMP is ten times slower.
    with threadpool_limits(1, user_api="openmp"):
        prediction = model.fit(x[:, known], y).predict(asked[:, known])
    return np.maximum(np.asarray(prediction, dtype=np.float64), 0.0)


def _trees() -> Any:
    return HistGradientBoostingRegressor(max_iter=ROUNDS, early_stopping=False, random_state=0)


def _position(labels: NDArray[Any], wanted: NDArray[Any]) -> Ints:
    if labels.size == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(labels, wanted), labels.size - 1)
    return np.where(labels[place] == wanted, place, -1)


def _mean_yield(own: Floats, area: Floats) -> Floats:
    """(year,) mean over municipalities: weighted over those with a harvested area, else a plain mean."""
    weight = np.where(np.isfinite(own) & (area > 0), area, 0.0)
    weight = np.where(weight.sum(axis=0) > 0, weight, np.isfinite(own))
    total = weight.sum(axis=0)
    product = (weight * np.where(weight > 0, own, 0.0)).sum(axis=0)
    return np.where(total > 0, product / np.where(total > 0, total, 1.0), np.nan)


def _masked_mean(values: Floats, there: Bools) -> Floats:
    count = there.sum(axis=1)
    total = np.where(there, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
