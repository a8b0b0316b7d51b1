"""Weather scenarios: how the months of a season that are not public yet may turn out.

A scenario is the season as observed so far, completed by the weather of one past year (climatology
ensemble), of a past year whose season began similarly (analogue), or of one member of a seasonal forecast.
Every value was public on the date of the forecast.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.features.samples import SampleSet
from yieldcast.features.seasons import find
from yieldcast.features.source import Source
from yieldcast.features.weather import accumulate_in_place
from yieldcast.forecasting.seasonal_scenarios import seasonal_weather
from yieldcast.variables import WEATHER

METHODS = ("climatology", "analogue", "seasonal")
HINDCAST_YEARS = 10  # scenarios of a hindcast (our choice): one hindcast per training year must stay fast
ANALOGUES = 5  # past years per state (our choice): with fewer, a single year decides too much
# Share of the municipalities that must have a year's weather; other years are left out for all (our choice).
_MIN_SHARE_OF_PLACES = 0.95
# Share of the years whose weather a municipality must have to be forecast (our choice).
_MIN_SHARE_OF_YEARS = 0.5
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scenarios:
    """Seasons of one harvest year, once per scenario.

    Args:
        method: one of `METHODS`.
        labels: (scenario,) year, analogue or member whose weather completes the season.
        years: past years whose weather was used, ascending.
        weather: (scenario, sample, step, variable), inputs of the network, finite.
        observed: (sample, step) True for months whose weather was public and not missing.
        rain_so_far_pct: (sample,) rain of the observed months, % of the mean of the past years; NaN if no
            month was observed or that mean is 0.
        tmax_so_far_anomaly_degC: (sample,) mean maximum temperature of the observed months minus the mean of
            the past years, degC; NaN if no month was observed.
    """

    method: str
    labels: tuple[str, ...]
    years: tuple[int, ...]
    weather: Floats
    observed: Bools
    rain_so_far_pct: Floats
    tmax_so_far_anomaly_degC: Floats

    def take(self, rows: Bools) -> Scenarios:
        """The scenarios of the samples of a boolean mask."""
        return replace(
            self, weather=self.weather[:, rows], observed=self.observed[rows],
            rain_so_far_pct=self.rain_so_far_pct[rows],
            tmax_so_far_anomaly_degC=self.tmax_so_far_anomaly_degC[rows],
        )  # fmt: skip


def check_method(method: str) -> None:
    """Check that a method is one of `METHODS`.

    Raises:
        ConfigError: it is not.
    """
    if method not in METHODS:
        raise ConfigError(f"unknown scenarios {method!r}", f"Use one of: {', '.join(METHODS)}.")


def build_scenarios(
    source: Source,
    rows: SampleSet,
    as_of: dt.date,
    method: str = "climatology",
    seasonal: xr.Dataset | None = None,
    season_as_of: dt.date | None = None,
) -> tuple[Scenarios, Bools]:
    """Scenarios for samples of one harvest year.

    Args:
        source: tables and settings.
        rows: samples of one harvest year.
        as_of: date of the forecast; weather published later is not used.
        method: one of `METHODS`.
        seasonal: table of seasonal forecasts, needed for "seasonal".
        season_as_of: for a hindcast, the earlier date on which this season is forecast: its own weather
            published later is not used. Years after it may be scenarios too, but not the year itself.

    Returns:
        The scenarios of the usable samples, and (sample,) which samples of `rows` are usable: those with
        weather in enough past years.

    Raises:
        ConfigError: an unknown method.
        MissingDataError: no past year has weather for the months to complete, or no seasonal forecast.
    """
    check_method(method)
    place = np.searchsorted(source.tables.static["municipality"].values, rows.municipality)
    season = source.cut(place, rows.harvest_year, season_as_of or as_of)
    own = season["weather"].values
    observed = np.isfinite(own).all(axis=2) & season["public"].values
    years, fills, usable = _past_seasons(source, place, rows, observed, as_of, season_as_of is not None)
    place, own, observed, fills = place[usable], own[usable], observed[usable], fills[:, usable]
    season = season.isel(sample=np.flatnonzero(usable))
    rain, warmth = _so_far(own, fills, observed)
    if method == "analogue" and observed.any():
        fills = _analogues(own, fills, observed, rows.state[usable])
        labels = tuple(f"analogue {i + 1}" for i in range(len(fills)))
    elif method == "seasonal":
        fills, labels = _seasonal_members(source, season, fills, as_of, seasonal)
    else:
        # A hindcast measures the error of the middle of the scenarios: a few years are enough for that.
        if season_as_of is not None:
            chosen = _evenly_spaced(list(range(len(years))), HINDCAST_YEARS)
            years, fills = [years[k] for k in chosen], fills[chosen]
        labels = tuple(map(str, years))
    whole = np.where(observed[None, :, :, None], own[None], fills).astype(np.float32)
    accumulate_in_place(whole, season["variable"].values.tolist().index(source.weather[1]))
    whole -= source.normals(season, as_of)[None]
    scenarios = Scenarios(method, labels, tuple(years), whole, observed, rain, warmth)
    # Without a climatology a municipality has no anomalies.
    known: Bools = np.asarray(np.isfinite(whole).all(axis=(0, 2, 3)))
    usable[np.flatnonzero(usable)[~known]] = False
    return scenarios.take(known), usable


def _evenly_spaced(numbers: list[int], most: int) -> list[int]:
    """At most `most` of the numbers, evenly spaced over the list, including the first and the last."""
    if len(numbers) <= most:
        return numbers
    return [numbers[k] for k in np.linspace(0, len(numbers) - 1, most).round().astype(int)]


def _past_seasons(
    source: Source,
    place: npt.NDArray[np.intp],
    rows: SampleSet,
    observed: Bools,
    as_of: dt.date,
    hindcast: bool,
) -> tuple[list[int], Floats, Bools]:
    """Past years, their seasons (year, sample, step, variable), and (sample,) True with enough years.

    A year without weather is replaced by the sample's other years, the newest first.
    """
    first, own = int(source.tables.weather["time"].dt.year.values[0]), int(rows.harvest_year.max())
    candidates = [*range(first, own), *(range(own + 1, as_of.year + 2) if hindcast else ())]
    if hindcast:  # two more than needed, in case some years have no weather
        candidates = _evenly_spaced(candidates, HINDCAST_YEARS + 2)
    count, drawn = len(candidates), np.array(candidates, dtype=np.int16)
    cut = source.cut(np.tile(place, count), np.repeat(drawn, len(place)), as_of)["weather"].values
    seasons: Floats = cut.reshape(count, *observed.shape, -1)
    whole: Bools = np.asarray((np.isfinite(seasons).all(axis=3) | observed).all(axis=2))
    rows_with, most = whole.sum(axis=1), int(whole.sum(axis=1).max(initial=0))
    chosen = np.flatnonzero((rows_with >= _MIN_SHARE_OF_PLACES * most) & (rows_with > 0))
    if not chosen.size:
        raise MissingDataError(
            f"no past year has weather for the months of {source.crop} {int(rows.harvest_year[0])} that were "
            f"not public on {as_of}",
            "Fetch or import weather of earlier years.",
        )
    years, seasons, whole = [candidates[k] for k in chosen], seasons[chosen], whole[chosen]
    usable: Bools = np.asarray(whole.sum(axis=0) >= _MIN_SHARE_OF_YEARS * len(years))
    # Seasons end in different months by state: in July the newest one has ended in most states, not in all.
    for row in np.flatnonzero(usable & ~whole.all(axis=0)):
        has, lacks = np.flatnonzero(whole[:, row])[::-1], np.flatnonzero(~whole[:, row])
        seasons[lacks, row] = seasons[np.resize(has, len(lacks)), row]
    return years, seasons, usable


def _so_far(own: Floats, fills: Floats, observed: Bools) -> tuple[Floats, Floats]:
    """Rain (%) and maximum temperature (degC) of the observed months, relative to the past years."""
    count = observed.sum(axis=1)
    some, seen = count > 0, observed[:, :, None]
    mine = np.where(seen, own, 0.0).sum(axis=1)
    past = np.where(seen[None], fills, 0.0).sum(axis=2)  # NaN where a year lacks an observed month
    known = np.isfinite(past)
    normal = np.where(known, past, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    some = some & known.any(axis=0).all(axis=1)
    rain_column, warm_column = WEATHER.index("precipitation_mm"), WEATHER.index("tmax_degC")
    usual = normal[:, rain_column]
    rain = np.where(some & (usual > 0), 100.0 * mine[:, rain_column] / np.maximum(usual, 1e-6), np.nan)
    warmth = (mine - normal)[:, warm_column] / np.maximum(count, 1)
    return rain.astype(np.float32), np.where(some, warmth, np.nan).astype(np.float32)


def _analogues(own: Floats, fills: Floats, observed: Bools, states: npt.NDArray[np.str_]) -> Floats:
    """For every sample the seasons of the past years that began most similarly in its state.

    Years are ranked by the squared difference of the observed months, averaged over the state, each variable
    in standard deviations over the past years of that municipality and month. All municipalities of a state
    get the same years, so that a scenario stays a map of weather that occurred.
    """
    known = np.isfinite(fills)  # the first year of a table may not have all months of this season
    count = np.maximum(known.sum(axis=0), 1)
    middle = np.where(known, fills, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, fills - middle, 0.0) ** 2).sum(axis=0) / count)
    difference = (fills - own[None]) / np.where(spread > 0, spread, 1.0)
    squared = np.where(observed[None, :, :, None], difference, 0.0) ** 2
    squared = np.where(np.isfinite(squared), squared, 4.0)  # two standard deviations for a missing month
    distance = squared.sum(axis=(2, 3))
    chosen = np.empty((min(ANALOGUES, len(fills)), len(own)), dtype=np.intp)
    for state in np.unique(states):
        mine = states == state
        order = np.argsort(distance[:, mine].mean(axis=1), kind="stable")
        chosen[:, mine] = order[: len(chosen), None]
    return fills[chosen, np.arange(len(own))[None, :]]


def _seasonal_members(
    source: Source, season: xr.Dataset, fills: Floats, as_of: dt.date, seasonal: xr.Dataset | None
) -> tuple[Floats, tuple[str, ...]]:
    """Members of the newest seasonal forecast for its months; later months from the past years in turn."""
    if seasonal is None:
        raise MissingDataError(
            "the store has no seasonal forecasts", "Fetch them: `yieldcast fetch seasonal`."
        )
    weather, _ = source.weather
    members = seasonal_weather(seasonal, weather, as_of, source.settings.publication())
    row, found = find(members["municipality"].values, season["municipality"].values)
    months, first = season["month"].values.astype("datetime64[M]"), members["time"].values[0]
    column = (months - first.astype("datetime64[M]")).astype(np.int64)
    inside = found[:, None] & (column >= 0) & (column < members.sizes["time"])
    names = [str(name) for name in season["variable"].values]
    absent = [name for name in names if name not in members]
    if absent:
        raise ConfigError(
            f"seasonal forecasts have no {', '.join(absent)}, which the run takes (data.daily_inputs, "
            "data.vegetation_inputs)",
            "Use the scenarios climatology or analogue.",
        )
    count = members.sizes["scenario"]
    result = fills[np.arange(count) % len(fills)]
    for position, name in enumerate(names):
        values = members[name].transpose("scenario", "municipality", "time").values
        reached = values[:, row[:, None], np.where(inside, column, 0)]
        result[..., position] = np.where(inside & np.isfinite(reached), reached, result[..., position])
    return result, tuple(f"member {number}" for number in members["scenario"].values)
