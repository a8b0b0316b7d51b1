"""Weather scenarios: how the months of a season that nobody has seen yet may turn out.

A scenario is the season as observed so far and, for the rest, the weather of one past year (climatology
ensemble), of a past year whose season began alike (analogue), or of one member of a seasonal forecast. Every
value was public on the date of the forecast.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data import degree_days, schema
from yieldcast.errors import ConfigError, LeakageError, MissingDataError
from yieldcast.features.samples import SampleSet, Source
from yieldcast.features.seasons import climatology, find, known_weather
from yieldcast.publication import Publication
from yieldcast.variables import WEATHER

# Fewer years of our weather than these within the hindcast's years make no steady mean (our choice).
_LEAST_YEARS = 10


def scenarios(
    seasonal: xr.Dataset,
    weather: xr.Dataset,
    as_of: dt.date,
    publication: Publication,
    start: np.datetime64 | None = None,
) -> xr.Dataset:
    """Weather of the coming months, once per member of the newest seasonal forecast out on `as_of`.

    For each month that the forecast reaches: the mean of that calendar month in our own weather, as public
    on `as_of`, plus the member's anomaly (temperatures) or times its ratio (rain). The mean is taken over
    the hindcast's years, because that is what the departures are measured from: a later mean would count
    the warming since then twice. If fewer than 10 of those years are known, it is taken over all known years.

    Where tmin would end above tmax, tmin is lowered to tmax. Degree days are those of the monthly means
    (`degree_days.from_monthly`), an approximation also where the weather table holds exact ones.

    Args:
        seasonal: from `seasonal_table.check_seasonal`.
        weather: dims (municipality, time), as `schema.check_weather` wants it.
        as_of: the date of the forecast; neither a start nor weather published later is seen.
        publication: when our weather becomes public.
        start: first day of the month of the wanted start; the newest usable one if None. Usable is a start
            that was out on `as_of` and reaches at least into the month of `as_of`.

    Returns:
        the variables of `weather`, float32, dims (scenario, municipality, time): scenario = number of the
        member (int16), municipality as in `weather`, time = valid months; NaN for a municipality without a
        cell of the forecast or without a climatology. Scalar coordinate forecast_reference_time.
        attrs: licence, attribution, system, climatology_years.

    Raises:
        LeakageError: `start` was not out on `as_of`.
        MissingDataError: no usable start, `start` is not in the table, or no municipality in common.
    """
    one = seasonal.sel(forecast_reference_time=_choose(seasonal, as_of, start))
    months = one["forecast_reference_time"].values.astype("datetime64[M]") + (one["lead_month"].values - 1)
    known, years = _base_years(
        known_weather(weather, as_of, publication), str(seasonal.attrs["hindcast_years"])
    )
    climate = climatology(known)
    column = months.astype(np.int64) % 12  # months since January 1970
    cell, found = _cells(one, weather["municipality"].values)

    def field(name: str) -> NDArray[np.float32]:
        values = one[name].transpose("member", "cell", "lead_month").values[:, cell]
        return np.where(found[None, :, None], values, np.float32(np.nan))

    normal = {name: climate[name].values[:, column] for name in WEATHER}
    tmax = normal["tmax_degC"] + field("tmax_anomaly_degC")
    tables = {
        "tmax_degC": tmax,
        "tmin_degC": np.minimum(normal["tmin_degC"] + field("tmin_anomaly_degC"), tmax),
        "precipitation_mm": normal["precipitation_mm"] * field("precipitation_ratio"),
    }
    days = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    for name in map(str, weather.data_vars):
        if name not in tables:
            base, upper = _limits(name)
            tables[name] = degree_days.from_monthly(tmax, tables["tmin_degC"], days, base, upper)
    dims = ("scenario", "municipality", "time")
    return schema.set_units(
        xr.Dataset(
            {name: (dims, values.astype(np.float32)) for name, values in tables.items()},
            coords={
                "scenario": one["member"].values,
                "municipality": weather["municipality"].values,
                "time": months.astype("datetime64[ns]"),
                "forecast_reference_time": one["forecast_reference_time"].values,
            },
            attrs={
                "licence": seasonal.attrs["licence"],
                "attribution": seasonal.attrs["attribution"],
                "system": int(one["start_system"]),
                "climatology_years": years,
            },
        )
    )


def _choose(seasonal: xr.Dataset, as_of: dt.date, start: np.datetime64 | None) -> np.datetime64:
    """The start to use."""
    starts, today = seasonal["forecast_reference_time"].values, np.datetime64(as_of)
    out = seasonal["published"].values <= today
    if start is not None:
        at = np.flatnonzero(starts == start.astype(starts.dtype))
        if not at.size:
            raise MissingDataError(
                f"no seasonal forecast that starts in {start.astype('datetime64[M]')} in the store",
                f"Get it: `yieldcast fetch seasonal --starts {start.astype('datetime64[M]')}`.",
            )
        if not out[at[0]]:
            day = seasonal["published"].values[at[0]].astype("datetime64[D]")
            raise LeakageError(
                f"expected a seasonal forecast that was out on {as_of}, received the start "
                f"{start.astype('datetime64[M]')}, which came out on {day}",
                "Choose an earlier start, or a later date.",
            )
        return np.datetime64(starts[at[0]])
    last = starts.astype("datetime64[M]") + (seasonal.sizes["lead_month"] - 1)
    usable = out & (last >= today.astype("datetime64[M]"))
    if not usable.any():
        held = ", ".join(starts.astype("datetime64[M]").astype(str)) or "none"
        raise MissingDataError(
            f"no seasonal forecast in the store was out on {as_of} and reaches that month "
            f"(starts in the store: {held})",
            "Get one: `yieldcast fetch seasonal`, with --starts for an earlier month.",
        )
    return np.datetime64(starts[usable].max())


def _base_years(known: xr.Dataset, hindcast_years: str) -> tuple[xr.Dataset, str]:
    """The known weather of the hindcast's years, or all of it where those are too few; and which years."""
    first, last = map(int, hindcast_years.split("-"))
    year = known["time"].dt.year.values
    with_values = np.isfinite(known["tmax_degC"].transpose("municipality", "time").values).any(axis=0)
    inside = (year >= first) & (year <= last)
    if len(np.unique(year[inside & with_values])) < _LEAST_YEARS:
        inside = np.ones_like(inside)
    used = year[inside & with_values]
    return known.isel(time=inside), f"{used.min()}-{used.max()}" if used.size else "none"


def _cells(one: xr.Dataset, codes: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Cell of each municipality in the start's own grid, and whether there is one."""
    row, found = find(one["municipality"].values, codes)
    cell = one["municipality_cell"].sel(system=int(one["start_system"])).values[row]
    found = found & (cell >= 0)
    if not found.any():
        raise MissingDataError(
            f"none of the {len(codes)} municipalities with weather has a cell in the seasonal forecast",
            "Check that both tables are of the same places (`yieldcast status`).",
        )
    return np.where(found, cell, 0), found


def _limits(name: str) -> tuple[float, float | None]:
    """Base and upper limit in the name of a degree-day variable, ``gdd_8_30_degC_day``."""
    numbers = [float(x) for x in name.removeprefix("gdd_").removesuffix("_degC_day").split("_")]
    return numbers[0], numbers[1] if len(numbers) > 1 else None


METHODS = ("climatology", "analogue", "seasonal")
HINDCAST_YEARS = 10  # scenarios of a hindcast (our choice): there are as many hindcasts as training years
ANALOGUES = 5  # past years taken for each state (our choice): fewer are too much one year's chance
_MOST = 0.95  # of the places: a year that fewer have is left out for all (our choice)
_LEAST = 0.5  # of the years: a place that has fewer of its own is not forecast (our choice)
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scenarios:
    """Seasons of one harvest year, once per scenario.

    Args:
        method: one of `METHODS`.
        labels: (scenario,) the year or the member that each stands for.
        years: past years that the weather was taken from, ascending.
        weather: (scenario, sample, step, variable), as the network takes it.
        observed: (sample, step) months whose weather was public and there.
        rain_so_far_pct, tmax_so_far_anomaly_degC: (sample,) observed months beside the same months of the
            known years; NaN where none was observed.
    """

    method: str
    labels: tuple[str, ...]
    years: tuple[int, ...]
    weather: Floats
    observed: Bools
    rain_so_far_pct: Floats
    tmax_so_far_anomaly_degC: Floats

    def take(self, rows: Bools) -> Scenarios:
        """The scenarios of some rows."""
        return replace(
            self, weather=self.weather[:, rows], observed=self.observed[rows],
            rain_so_far_pct=self.rain_so_far_pct[rows],
            tmax_so_far_anomaly_degC=self.tmax_so_far_anomaly_degC[rows],
        )  # fmt: skip


def check_method(method: str) -> None:
    """Refuse a method that is not one of `METHODS` (ConfigError)."""
    if method not in METHODS:
        raise ConfigError(f"unknown scenarios {method!r}", f"Use one of: {', '.join(METHODS)}.")


def make(
    source: Source,
    rows: SampleSet,
    as_of: dt.date,
    method: str = "climatology",
    forecasts: xr.Dataset | None = None,
    seen: dt.date | None = None,
) -> tuple[Scenarios, Bools]:
    """Scenarios for the rows of one harvest year.

    Args:
        source: tables and settings.
        rows: all of one harvest year.
        as_of: nothing published later is seen.
        method: one of `METHODS`.
        forecasts: the table of seasonal forecasts, for "seasonal".
        seen: for a hindcast, the earlier date up to which this season was seen; later years may then serve
            as scenarios too, but not the year itself.

    Returns:
        The scenarios, and a mask of the rows that have any; the scenarios are those of these rows.

    Raises:
        ConfigError: an unknown method.
        MissingDataError: no past year has weather for the months that are missing, or no seasonal forecast.
    """
    check_method(method)
    place = np.searchsorted(source.tables.static["municipality"].values, rows.municipality)
    season = source.cut(place, rows.harvest_year, seen or as_of)
    own = season["weather"].values
    observed = np.isfinite(own).all(axis=2) & season["public"].values
    years, fills, usable = _past(source, place, rows, observed, as_of, seen is not None)
    place, own, observed, fills = place[usable], own[usable], observed[usable], fills[:, usable]
    season = season.isel(sample=np.flatnonzero(usable))
    rain, warmth = _so_far(own, fills, observed)
    if method == "analogue" and observed.any():
        fills = _alike(own, fills, observed, rows.state[usable])
        labels = tuple(f"analogue {i + 1}" for i in range(len(fills)))
    elif method == "seasonal":
        fills, labels = _with_forecast(source, season, fills, as_of, forecasts)
    else:
        # A hindcast says where its middle errs: a few years, spread over the record, say that as well.
        if seen is not None:
            chosen = _spread_out(list(range(len(years))), HINDCAST_YEARS)
            years, fills = [years[k] for k in chosen], fills[chosen]
        labels = tuple(map(str, years))
    whole = np.where(observed[None, :, :, None], own[None], fills).astype(np.float32)
    position = season["variable"].values.tolist().index(source.weather[1])
    whole[..., position] = np.cumsum(whole[..., position], axis=2)
    whole -= source.normals(season, as_of)[None]
    found = Scenarios(method, labels, tuple(years), whole, observed, rain, warmth)
    # a place without a climate has no anomalies
    known: Bools = np.asarray(np.isfinite(whole).all(axis=(0, 2, 3)))
    usable[np.flatnonzero(usable)[~known]] = False
    return found.take(known), usable


def _spread_out(numbers: list[int], most: int) -> list[int]:
    """At most so many of the numbers, evenly over the list, first and last among them."""
    if len(numbers) <= most:
        return numbers
    return [numbers[k] for k in np.linspace(0, len(numbers) - 1, most).round().astype(int)]


def _past(
    source: Source,
    place: npt.NDArray[np.intp],
    rows: SampleSet,
    observed: Bools,
    as_of: dt.date,
    hindcast: bool,
) -> tuple[list[int], Floats, Bools]:
    """Past years, their seasons (year, sample, step, variable), and the rows that have enough of them.

    A row that lacks a year has another of its own years in its place, the newest first.
    """
    first, own = int(source.tables.weather["time"].dt.year.values[0]), int(rows.harvest_year.max())
    candidates = [*range(first, own), *(range(own + 1, as_of.year + 2) if hindcast else ())]
    if hindcast:  # two to spare for years that turn out to lack weather
        candidates = _spread_out(candidates, HINDCAST_YEARS + 2)
    count, drawn = len(candidates), np.array(candidates, dtype=np.int16)
    cut = source.cut(np.tile(place, count), np.repeat(drawn, len(place)), as_of)["weather"].values
    seasons: Floats = cut.reshape(count, *observed.shape, -1)
    whole: Bools = np.asarray((np.isfinite(seasons).all(axis=3) | observed).all(axis=2))
    rows_with, most = whole.sum(axis=1), int(whole.sum(axis=1).max(initial=0))
    chosen = np.flatnonzero((rows_with >= _MOST * most) & (rows_with > 0))
    if not chosen.size:
        raise MissingDataError(
            f"no past year has weather for the months of {source.crop} {int(rows.harvest_year[0])} that were "
            f"not public on {as_of}",
            "Fetch or import earlier years of weather.",
        )
    years, seasons, whole = [candidates[k] for k in chosen], seasons[chosen], whole[chosen]
    usable: Bools = np.asarray(whole.sum(axis=0) >= _LEAST * len(years))
    # States end their seasons in different months: in July the last one is over in most, in some it is not.
    for row in np.flatnonzero(usable & ~whole.all(axis=0)):
        has, lacks = np.flatnonzero(whole[:, row])[::-1], np.flatnonzero(~whole[:, row])
        seasons[lacks, row] = seasons[np.resize(has, len(lacks)), row]
    return years, seasons, usable


def _so_far(own: Floats, fills: Floats, observed: Bools) -> tuple[Floats, Floats]:
    """Rain in percent of, and maximum temperature above, the past years over the observed months."""
    count = observed.sum(axis=1)
    some, seen = count > 0, observed[:, :, None]
    mine = np.where(seen, own, 0.0).sum(axis=1)
    past = np.where(seen[None], fills, 0.0).sum(axis=2)  # NaN where a year lacks an observed month
    there = np.isfinite(past)
    normal = np.where(there, past, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    some = some & there.any(axis=0).all(axis=1)
    rain_column, warm_column = WEATHER.index("precipitation_mm"), WEATHER.index("tmax_degC")
    usual = normal[:, rain_column]
    rain = np.where(some & (usual > 0), 100.0 * mine[:, rain_column] / np.maximum(usual, 1e-6), np.nan)
    warmth = (mine - normal)[:, warm_column] / np.maximum(count, 1)
    return rain.astype(np.float32), np.where(some, warmth, np.nan).astype(np.float32)


def _alike(own: Floats, fills: Floats, observed: Bools, states: npt.NDArray[np.str_]) -> Floats:
    """For every row the seasons of the past years most like this one so far in its state.

    Years are ranked by the mean squared difference of the observed months, each variable in standard
    deviations over the past years of that place and month; a state ranks as one, so that neighbours get the
    same year and a scenario stays a map of weather that was.
    """
    there = np.isfinite(fills)  # the first year of a table may lack months that this season has
    count = np.maximum(there.sum(axis=0), 1)
    middle = np.where(there, fills, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(there, fills - middle, 0.0) ** 2).sum(axis=0) / count)
    apart = (fills - own[None]) / np.where(spread > 0, spread, 1.0)
    squared = np.where(observed[None, :, :, None], apart, 0.0) ** 2
    squared = np.where(np.isfinite(squared), squared, 4.0)  # a month that a year lacks counts as unlike
    distance = squared.sum(axis=(2, 3))
    chosen = np.empty((min(ANALOGUES, len(fills)), len(own)), dtype=np.intp)
    for state in np.unique(states):
        mine = states == state
        order = np.argsort(distance[:, mine].mean(axis=1), kind="stable")
        chosen[:, mine] = order[: len(chosen), None]
    return fills[chosen, np.arange(len(own))[None, :]]


def _with_forecast(
    source: Source, season: xr.Dataset, fills: Floats, as_of: dt.date, forecasts: xr.Dataset | None
) -> tuple[Floats, tuple[str, ...]]:
    """Members of the newest seasonal forecast where it reaches, past years in turn after that."""
    if forecasts is None:
        raise MissingDataError("the store has no seasonal forecasts", "Get them: `yieldcast fetch seasonal`.")
    weather, _ = source.weather
    members = scenarios(forecasts, weather, as_of, source.settings.publication())
    row, found = find(members["municipality"].values, season["municipality"].values)
    months, first = season["month"].values.astype("datetime64[M]"), members["time"].values[0]
    column = (months - first.astype("datetime64[M]")).astype(np.int64)
    inside = found[:, None] & (column >= 0) & (column < members.sizes["time"])
    names = [str(name) for name in season["variable"].values]
    count = members.sizes["scenario"]
    result = fills[np.arange(count) % len(fills)]
    for position, name in enumerate(names):
        values = members[name].transpose("scenario", "municipality", "time").values
        reached = values[:, row[:, None], np.where(inside, column, 0)]
        result[..., position] = np.where(inside & np.isfinite(reached), reached, result[..., position])
    return result, tuple(f"member {number}" for number in members["scenario"].values)
