"""Tables to samples: the rows of one crop, their weather as known on a date, soil and yield history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import xarray as xr

from calendars import Calendar
from yieldcast.config import DataSettings
from yieldcast.data.inventory import yields_of
from yieldcast.data.store import Tables
from yieldcast.errors import MissingDataError
from yieldcast.features import seasons, yield_history
from yieldcast.features.samples import SampleSet
from yieldcast.features.weather import (
    accumulate,
    fill_with_climatology,
    limits,
    normals,
    with_degree_days,
    without_normal,
)
from yieldcast.features.yield_history import YieldHistory
from yieldcast.variables import SOIL, WEATHER


@dataclass(frozen=True)
class Dropped:
    """How many rows with a yield could not become samples, and why."""

    reason: str
    rows: int


def build_samples(
    tables: Tables,
    calendar: Calendar,
    crop: str,
    harvest_years: Sequence[int],
    settings: DataSettings,
    *,
    as_of: dt.date | None = None,
    static_names: Sequence[str] | None = None,
    climate_to: int | None = None,
) -> tuple[SampleSet, list[Dropped]]:
    """Samples of every municipality and year with a positive yield, for training or scoring.

    Args:
        tables: static, weather and yields.
        calendar: season windows.
        crop: crop of the calendar and of the yields.
        harvest_years: the years wanted; each must have at least one yield.
        settings: publication delays, degree-day limits, choice of inputs.
        as_of: weather published after this date is replaced by climatology; None for hindsight.
        static_names: the static features wanted, in order (those of a run); all of the store when None.
        climate_to: last calendar year of the climatology of anomalies (the last training year of a run); the
            last of `harvest_years` when None.

    Returns:
        the samples, by municipality, then year; and how many rows were dropped for missing weather.

    Raises:
        MissingDataError: no yields of the crop or of a year, or a year without any row that has weather.
        CalendarError: a crop or state that the calendar lacks.
    """
    calendar.steps(crop)  # raises the error for an unknown crop, with a suggestion
    source = Source(tables, calendar, crop, settings, climate_to or max(map(int, harvest_years), default=0))
    return source.build(harvest_years, as_of, static_names)


def known_at_window_end(
    rows: SampleSet,
    tables: Tables,
    calendar: Calendar,
    crop: str,
    settings: DataSettings,
    climate_to: int | None = None,
) -> SampleSet:
    """The same rows with the weather that was public on the last day of the window of each row.

    Args:
        rows: from `build_samples`, of the same tables, calendar, crop and settings.
        tables, calendar, crop, settings: as for `build_samples`.
        climate_to: last calendar year of the climatology of anomalies; the last of `rows` when None.

    Returns:
        `rows` with the climatology of the years known on that day in later months; NaN where the climatology
        is unknown, which trees accept and a network does not.
    """
    dynamic = rows.dynamic.copy()
    place = np.searchsorted(tables.static["municipality"].values, rows.municipality)
    source = Source(tables, calendar, crop, settings, climate_to or int(rows.harvest_year.max()))
    for day in np.unique(rows.window_end):
        mine = rows.window_end == day
        season, _ = source.season(place[mine], rows.harvest_year[mine], day.item())
        dynamic[mine] = season["weather"].values
    return replace(rows, dynamic=dynamic)


@dataclass(frozen=True)
class Source:
    """Tables and settings from which samples of one crop are built.

    Args:
        tables, calendar, crop, settings: as for `build_samples`.
        climate_to: last calendar year of the climatology of anomalies.
    """

    tables: Tables
    calendar: Calendar
    crop: str
    settings: DataSettings
    climate_to: int

    def build(
        self,
        harvest_years: Sequence[int],
        as_of: dt.date | None = None,
        static_names: Sequence[str] | None = None,
    ) -> tuple[SampleSet, list[Dropped]]:
        """Samples of every municipality and year with a positive yield; see `build_samples`."""
        place, years, target = _rows_with_yield(
            self.tables.yields, self.tables.static, self.crop, harvest_years
        )
        season, names = self.season(place, years, as_of)
        whole = np.isfinite(season["weather"].values).all(axis=(1, 2))
        _check_every_year(whole, years, season, self.tables.weather, as_of)
        samples = self.samples(season, names, place, target, as_of, static_names)
        gone = int((~whole).sum())
        dropped = [Dropped("weather of the season window incomplete", gone)] if gone else []
        return samples.take(whole), dropped

    def to_forecast(
        self,
        harvest_year: int,
        municipalities: Sequence[int] | npt.NDArray[np.int32],
        as_of: dt.date,
        static_names: Sequence[str],
    ) -> SampleSet:
        """Samples to forecast: a row per municipality, with NaN as target and as weather not public yet.

        Args:
            harvest_year: the season.
            municipalities: codes of the table of places.
            as_of, static_names: as for `build_samples`.
        """
        place = np.searchsorted(self.tables.static["municipality"].values, municipalities)
        years = np.full(len(place), harvest_year, dtype=np.int16)
        season, names = self.season(place, years, as_of, fill=False)
        unknown = np.full(len(place), np.nan, dtype=np.float32)
        return self.samples(season, names, place, unknown, as_of, static_names)

    @cached_property
    def weather(self) -> tuple[xr.Dataset, str]:
        """Monthly weather with the degree days of the crop and the chosen further inputs, which the tables
        have from `daily_months.network_tables`; and the name of the degree days."""
        base_degC, upper_degC = limits(self.crop, self.settings.degree_days)
        weather, name = with_degree_days(self.tables.weather, base_degC, upper_degC)
        return weather[[*WEATHER, name, *self.settings.monthly_inputs]], name

    def cut(
        self, place: npt.NDArray[np.intp], years: npt.NDArray[np.int16], as_of: dt.date | None
    ) -> xr.Dataset:
        """Seasons as known on a date, neither accumulated nor filled; see `seasons.cut_seasons`.

        Args:
            place: (sample,) positions in the table of places.
            years: (sample,) harvest years.
            as_of: date of the forecast, or None for hindsight.
        """
        return seasons.cut_seasons(
            self.weather[0], self.tables.static, self.calendar, self.crop, (),
            as_of=as_of, publication=self.settings.publication(), pairs=(place, years),
        )  # fmt: skip

    def climate(self, as_of: dt.date | None) -> xr.Dataset:
        """Climatology of the anomalies: the years up to `climate_to`, as far as known on a date."""
        if as_of not in self._climates:
            known = seasons.known_weather(self.weather[0], as_of, self.settings.publication())
            known = known.sel(time=slice(None, f"{self.climate_to}-12-31"))
            self._climates[as_of] = seasons.climatology(known)
        return self._climates[as_of]

    @cached_property
    def _climates(self) -> dict[dt.date | None, xr.Dataset]:
        return {}

    @cached_property
    def history(self) -> YieldHistory:
        """Yields of the crop; each sample uses them up to the newest year public on its date."""
        return YieldHistory.of(self.tables.yields, yield_history.states_of(self.tables.static), self.crop)

    def season(
        self,
        place: npt.NDArray[np.intp],
        years: npt.NDArray[np.int16],
        as_of: dt.date | None,
        fill: bool = True,
    ) -> tuple[xr.Dataset, tuple[str, ...]]:
        """Seasons as inputs of the network, and the names of their variables.

        Args:
            place, years, as_of: as for `cut`.
            fill: whether months not public yet have the climatology; otherwise they are NaN, and so are the
                accumulated degree days from there on.
        """
        weather, name = self.weather
        season = self.cut(place, years, as_of)
        if as_of is not None and fill:
            known = seasons.known_weather(weather, as_of, self.settings.publication())
            season = fill_with_climatology(season, seasons.climatology(known))
        season = accumulate(season, name)
        names = (*WEATHER, f"accumulated_{name}", *self.settings.monthly_inputs)
        if self.settings.weather_inputs == "values":
            return season, names
        return without_normal(season, self.climate(as_of), name), tuple(f"anomaly_{one}" for one in names)

    def samples(
        self,
        season: xr.Dataset,
        names: tuple[str, ...],
        place: npt.NDArray[np.intp],
        target: npt.NDArray[np.float32],
        as_of: dt.date | None,
        static_names: Sequence[str] | None,
    ) -> SampleSet:
        """Seasons with their static inputs, including the yield history if the settings ask for it.

        Args:
            season, names: from `season`.
            place: (sample,) positions in the table of places.
            target: (sample,) yield in kg/ha.
            as_of, static_names: as for `build_samples`.
        """
        soil = [name for name in static_names if name not in yield_history.NAMES] if static_names else None
        static, chosen = static_matrix(self.tables.static, place, soil)
        rows = SampleSet(
            season["weather"].values, static, target, season["municipality"].values,
            season["harvest_year"].values, season["state"].values,
            season["window_end"].values.astype("datetime64[D]"), names, chosen,
        )  # fmt: skip
        if not self.settings.yield_history:
            return rows
        lags = yield_history.lag(rows, rows.window_end, self.settings.publication(), as_of)
        return self.with_history(rows, lags)

    def with_history(self, rows: SampleSet, lags: npt.NDArray[np.int64] | int) -> SampleSet:
        """Rows with the yield history at these lags, replacing any other.

        Args:
            rows: samples.
            lags: see `YieldHistory.rows`.
        """
        own = [i for i, name in enumerate(rows.static_names) if name not in yield_history.NAMES]
        past = yield_history.matrix(self.history, rows, lags).astype(np.float32)
        names = (*(rows.static_names[i] for i in own), *yield_history.NAMES)
        return replace(rows, static=np.hstack([rows.static[:, own], past]), static_names=names)

    def normals(self, season: xr.Dataset, as_of: dt.date | None) -> npt.NDArray[np.float32]:
        """Climatology that anomalies of a season are departures from, 0 if the inputs are values.

        Args:
            season: from `cut`.
            as_of: date of the forecast, or None for hindsight.

        Returns:
            (sample, step, variable), degree days accumulated.
        """
        if self.settings.weather_inputs == "values":
            return np.zeros(season["weather"].shape, dtype=np.float32)
        places, months = season["municipality"].values, season["month"].values
        return normals(self.climate(as_of), places, months, season, self.weather[1])


def _rows_with_yield(
    yields: xr.Dataset, static: xr.Dataset, crop: str, harvest_years: Sequence[int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Place index, harvest year and yield (kg/ha) of every positive yield, by municipality, then year.

    Args:
        yields, static: tables.
        crop: crop.
        harvest_years: the years wanted.

    Raises:
        MissingDataError: no yields of the crop or of a year.
    """
    table = yields_of(yields, crop)["yield_kg_ha"].transpose("municipality", "harvest_year")
    have = table["harvest_year"].values[np.isfinite(table.values).any(axis=0)]
    absent = sorted(set(map(int, harvest_years)) - set(map(int, have)))
    if absent or not len(harvest_years):
        span = f"{have.min()} to {have.max()}" if len(have) else "none"
        raise MissingDataError(
            f"no {crop} yields of harvest year {', '.join(map(str, absent)) or '(none given)'}; "
            f"the store has {span}",
            "Choose other years (yieldcast status lists those of the store), or import more.",
        )
    table = table.reindex(municipality=static["municipality"].values)
    wanted = np.isin(table["harvest_year"].values, harvest_years)
    place, column = np.nonzero(np.nan_to_num(table.values) * wanted[None, :] > 0)
    return place, table["harvest_year"].values[column].astype(np.int16), table.values[place, column]


def _check_every_year(
    whole: npt.NDArray[np.bool_],
    years: npt.NDArray[np.int16],
    season: xr.Dataset,
    weather: xr.Dataset,
    as_of: dt.date | None,
) -> None:
    """Every year must have rows with weather: a run records all years that it was asked to train on.

    Args:
        whole: (sample,) rows with weather in every month of their window.
        years: (sample,) harvest years.
        season: of the rows.
        weather: the table.
        as_of: weather published after this date was not used.

    Raises:
        MissingDataError: a year without such a row.
    """
    lost = sorted(set(years.tolist()) - set(years[whole].tolist()))
    if not lost:
        return
    first, last = (str(weather["time"].values[i])[:7] for i in (0, -1))
    months = season["month"].values.astype("datetime64[M]")[np.isin(years, lost)]
    known = "" if as_of is None else f", of which only what was public on {as_of} is used"
    raise MissingDataError(
        f"harvest year {', '.join(map(str, lost))}: no row has weather in every month of its window "
        f"({months.min()} to {months.max()}); the store's weather covers {first} to {last}{known}",
        "Choose other years or a later date, or import weather for these months.",
    )


def static_matrix(
    static: xr.Dataset, place: npt.NDArray[np.intp], wanted: Sequence[str] | None
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Soil properties by layer, then latitude and longitude: (sample, feature) and their names.

    Args:
        static: table of places.
        place: (sample,) positions in it.
        wanted: names, in order; all of the table when None.

    Raises:
        MissingDataError: the table lacks a wanted one.
    """
    columns: dict[str, npt.NDArray[np.float32]] = {}
    for name in SOIL:
        if name in static:
            table = static[name].transpose("municipality", "soil_layer")
            for position, layer in enumerate(table["soil_layer"].values):
                values = table.values[:, position]
                if np.isfinite(values).any():
                    columns[f"{name}_{layer}"] = values
    for name in ("latitude_deg", "longitude_deg"):
        columns[name] = static[name].values
    names = tuple(wanted or columns)
    lost = [name for name in names if name not in columns]
    if lost:
        raise MissingDataError(
            f"the store has no {', '.join(lost[:3])}, which this run was trained with",
            "Use the store of its training, or import the same soil table.",
        )
    matrix = np.stack([columns[name] for name in names], axis=1).astype(np.float32)
    return matrix[place], names
