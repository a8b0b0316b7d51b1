"""Rows of a store and settings as they were known on a date, and the same from a store whose future was
changed."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from calendars import Calendar
from yieldcast.config import Settings
from yieldcast.data.inventory import yields_of
from yieldcast.data.store import Store
from yieldcast.errors import MissingDataError
from yieldcast.features import yield_history
from yieldcast.features.daily_months import network_tables
from yieldcast.features.day_rows import rows_for
from yieldcast.features.feature_rows import Feature, FeatureRows, Group
from yieldcast.features.samples import SampleSet
from yieldcast.features.seasons import climatology, find, known_weather, last_known_day
from yieldcast.features.source import Source
from yieldcast.features.vegetation import INDICES
from yieldcast.features.weather import accumulate, fill_with_climatology, without_normal
from yieldcast.probing.suspects import Later
from yieldcast.publication import same_day
from yieldcast.variables import SOIL, WEATHER

Floats = NDArray[np.float64]

LATER_MONTHS, LATER_MEANS = 14, (3, 6, 12)  # after the cut-off: into the next season
DAYS_LATER = 17  # by which dates of the future are moved
FACTOR, SHIFT = 1.37, 4.0  # how values of the future are changed: every finite value becomes another one


@dataclass(frozen=True)
class Case:
    """What rows are made of.

    Args:
        store: the tables.
        crop, calendar, settings: of the run or the settings file.
        train_years, test_years: harvest years, each test year later than all training years.
        as_of: date of the forecast of the last test year; that of an earlier one is the same day of its year.
        static_names: static inputs of a run; None for all of the store.
        by_days: rows of `features.day_rows`, with windows of days and vegetation, in place of the months that
            a network takes.
    """

    store: Store
    crop: str
    calendar: Calendar
    settings: Settings
    train_years: tuple[int, ...]
    test_years: tuple[int, ...]
    as_of: dt.date
    static_names: tuple[str, ...] | None = None
    by_days: bool = False

    def date(self, year: int) -> dt.date:
        """The day of a harvest year on which its season is forecast."""
        return same_day(self.as_of, year - max(self.test_years))

    def known_on(self, year: int) -> dt.date:
        """The day whose knowledge a row of a harvest year may use: its own if it is tested, and for one that
        teaches the day of the first forecast."""
        return self.date(year if year in self.test_years else min(self.test_years))

    def samples(self) -> SampleSet:
        """Inputs of the network for all years: months not public on the day have their climatology.

        Raises:
            MissingDataError: no row with yield and weather in a test year, or in the training years.
        """
        data = self.settings.data
        tables = network_tables(self.store, data)
        source = Source(tables, self.calendar, self.crop, data, max(self.train_years))
        table = yields_of(tables.yields, self.crop)["yield_kg_ha"].transpose("municipality", "harvest_year")
        table = table.reindex(municipality=tables.static["municipality"].values)
        parts = [
            self._samples_of(source, table, year)
            for year in (*self.train_years, *self.test_years)
            if year in table["harvest_year"]
        ]
        parts = [part for part in parts if len(part)]
        self._check_years({int(year) for part in parts for year in part.harvest_year})
        return _joined(parts)

    def _samples_of(self, source: Source, table: xr.DataArray, year: int) -> SampleSet:
        """Rows of one harvest year."""
        target = np.nan_to_num(table.sel(harvest_year=year).values)
        place = np.flatnonzero(target > 0)
        years = np.full(len(place), year, dtype=np.int16)
        known_on, publication = self.known_on(year), self.settings.data.publication()
        weather, name = source.weather
        season = source.cut(place, years, self.date(year))
        season = fill_with_climatology(season, climatology(known_weather(weather, known_on, publication)))
        season = accumulate(season, name)
        names = (*WEATHER, f"accumulated_{name}", *self.settings.data.monthly_inputs)
        if self.settings.data.weather_inputs == "anomalies":
            season = without_normal(season, source.climate(known_on), name)
            names = tuple(f"anomaly_{one}" for one in names)
        rows = source.samples(
            season, names, place, target[place].astype(np.float32), self.date(year), self.static_names
        )
        return rows.take(np.asarray(np.isfinite(rows.dynamic).all(axis=(1, 2))))

    def rows(self) -> FeatureRows:
        """Named features of the rows with a yield: those of `samples`, or of days."""
        if self.by_days:
            return self._rows_of_days()
        samples = self.samples()
        places = self.store.static
        at = np.searchsorted(places["municipality"].values, samples.municipality)
        latitude, longitude = (
            places[name].values[at].astype(np.float64) for name in ("latitude_deg", "longitude_deg")
        )
        cutoff = np.array([self.date(int(year)) for year in samples.harvest_year], dtype="datetime64[D]")
        return FeatureRows(
            samples.flat().astype(np.float64), features_of(samples), samples.municipality,
            samples.harvest_year, samples.state, cutoff, samples.target_kg_ha.astype(np.float64),
            latitude, longitude,
        )  # fmt: skip

    def _rows_of_days(self) -> FeatureRows:
        """Rows of windows of days; each is known on its own cut-off.

        Raises:
            MissingDataError: no row with a yield in a test year, or in the training years.
        """
        years = (*self.train_years, *self.test_years)
        rows = rows_for(
            self.store, self.calendar, self.crop, years, self.settings, as_of=self.as_of,
            season=max(self.test_years),
        )  # fmt: skip
        rows = rows.take(np.nan_to_num(rows.yield_kg_ha) > 0)
        self._check_years(set(rows.harvest_year.tolist()))
        return rows

    def _check_years(self, have: set[int]) -> None:
        """Refuse rows without a test year, or without any year that teaches."""
        lacking = [year for year in self.test_years if year not in have]
        if lacking or not have & set(self.train_years):
            raise MissingDataError(
                f"no row with a yield and weather of {self.crop} in "
                f"{', '.join(map(str, lacking)) or 'the training years'}",
                "Choose other --test-years (yieldcast status lists the years of the store).",
            )

    def with_training(self, years: tuple[int, ...]) -> Case:
        """The same with other training years."""
        return replace(self, train_years=years)

    def on(self, as_of: dt.date) -> Case:
        """The same on another date."""
        return replace(self, as_of=as_of)

    def after_changes(self, year: int) -> Case:
        """The same from a store in which every value published after the forecast of a year is another."""
        return replace(self, store=changed_future(self.store, self.settings, self.date(year)))


def features_of(samples: SampleSet) -> tuple[Feature, ...]:
    """Features of the columns of `SampleSet.flat`: variable and month of the window, then static inputs."""
    steps = samples.dynamic.shape[1]
    weather = [
        Feature(f"{name}_month_{step}", _group(name), _unit(name), f"month {step} of the season window", name)
        for step in range(1, steps + 1)
        for name in samples.dynamic_names
    ]
    static = [Feature(name, _static_group(name), _unit(name), "", name) for name in samples.static_names]
    return (*weather, *static)


def _group(name: str) -> Group:
    return "vegetation" if name.removeprefix("anomaly_") in INDICES else "weather"


def _static_group(name: str) -> Group:
    if name in yield_history.NAMES:
        return "history"
    return "soil" if name.startswith(tuple(SOIL)) else "place"


def _unit(name: str) -> str:
    endings = {"_kg_ha": "kg/ha", "_degC": "degC", "_mm": "mm", "_deg": "degrees", "_day": "degC day"}
    return next((unit for ending, unit in endings.items() if name.endswith(ending)), "1")


def _joined(parts: Sequence[SampleSet]) -> SampleSet:
    columns = ("dynamic", "static", "target_kg_ha", "municipality", "harvest_year", "state", "window_end")
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in columns
    }
    return replace(parts[0], **arrays)


def optional_table(store: Store, name: str) -> xr.Dataset | None:
    """A table that only some stores have; None without."""
    table: xr.Dataset | None = getattr(store, name) if name in store else None
    return table


def harvest_days(case: Case, rows: FeatureRows) -> Floats | None:
    """(row, 2) day of harvest from the first of January of the harvest year, and from sowing; None without
    dates."""
    table = optional_table(case.store, "field_seasons")
    if table is None:
        return None
    table = table.isel(season=table["crop"].values.astype(str) == case.crop)
    first = (table["harvest_year"].values.astype(np.int64) - 1970).astype("datetime64[Y]")
    day = table["harvest_date"].values.astype("datetime64[D]") - first.astype("datetime64[D]")
    sowing = table["harvest_date"].values - table["sowing_date"].values
    number = np.stack([
        np.where(np.isnat(one), np.nan, one.astype(np.float64))
        for one in (day, sowing.astype("timedelta64[D]"))
    ], axis=1)  # fmt: skip
    keys = zip(table["municipality"].values.tolist(), table["harvest_year"].values.tolist(), strict=True)
    known = dict(zip(keys, number.tolist(), strict=True))
    wanted = zip(rows.municipality.tolist(), rows.harvest_year.tolist(), strict=True)
    return np.array([known.get(key, [np.nan, np.nan]) for key in wanted])


def later_weather(case: Case, rows: FeatureRows) -> Later | None:
    """Weather of the months after the cut-off of each row, as departures from the place's usual month.

    Single months up to a year after, and means of the first three, six and twelve; None without monthly
    weather.
    """
    if "weather" not in case.store:
        return None
    weather = case.store.weather
    months = weather["time"].values.astype("datetime64[M]")
    first = rows.cutoff.astype("datetime64[M]") + 1 - months[0]
    column = first.astype(np.int64)[:, None] + np.arange(LATER_MONTHS)
    inside = (column >= 0) & (column < len(months))
    place, found = find(weather["municipality"].values, rows.municipality)
    names, columns = [], []
    for name in WEATHER:
        table = weather[name].transpose("municipality", "time").values.astype(np.float64)
        for month in range(12):
            mine = months.astype(np.int64) % 12 == month
            if mine.any():
                known = np.isfinite(table[:, mine])
                count = np.maximum(known.sum(axis=1), 1)
                mean = np.where(known, table[:, mine], 0.0).sum(axis=1) / count
                table[:, mine] -= mean[:, None]
        values = np.where(inside & found[:, None], table[place[:, None], np.where(inside, column, 0)], np.nan)
        columns += [*values.T, *(values[:, :length].mean(axis=1) for length in LATER_MEANS)]
        names += [f"{name}, {k} months later" for k in range(1, LATER_MONTHS + 1)]
        names += [f"{name}, mean of {length} months" for length in LATER_MEANS]
    return Later(np.stack(columns, axis=1), tuple(names))


def changed_future(store: Store, settings: Settings, date: dt.date) -> Store:
    """The store, in memory, with another value in place of each one that became public after a date.

    Args:
        store: left as it is.
        settings: give the delays of publication.
        date: values public on this day stay.
    """
    publication, day = settings.data.publication(), np.datetime64(date)
    changed: dict[str, xr.Dataset] = {}
    known = known_weather(store.weather, date, publication)
    first = known.to_array().notnull().any(["variable", "municipality"]).values
    last = np.flatnonzero(first).max(initial=-1)
    changed["weather"] = _changed(store.weather, "time", np.arange(store.weather.sizes["time"]) > last)
    newest = publication.last_public_harvest_year(date)
    changed["yields"] = _changed(store.yields, "harvest_year", store.yields["harvest_year"].values > newest)
    if "daily" in store:
        known_day = last_known_day(publication, daily=True)(date)
        later = store.daily["time"].values.astype("datetime64[D]") > known_day
        changed["daily"] = _changed(store.daily, "time", later)
    if "estimates" in store:
        later = store.estimates["public_from"].values.astype("datetime64[D]") > day
        changed["estimates"] = _changed(store.estimates, "estimate", later)
    table = optional_table(store, "vegetation")
    if table is not None:
        from_day = table["public_from" if "public_from" in table else "date"].values
        later = from_day.astype("datetime64[D]") > day
        changed["vegetation"] = _changed(table, str(table["date"].dims[0]), later)
    table = optional_table(store, "season_vegetation")
    if table is not None:
        changed["season_vegetation"] = table.copy()
        for name in table["summary"].values.astype(str).tolist():
            later = table["public_from"].sel(summary=name).values.astype("datetime64[D]") > day
            changed["season_vegetation"][name] = _changed(table[[name]], "harvest_year", later)[name]
    table = optional_table(store, "field_seasons")
    if table is not None:
        changed["field_seasons"] = _other_days(table, day)
    other = copy.copy(store)
    other.__dict__.update(changed)
    return other


def _other_days(table: xr.Dataset, day: np.datetime64) -> xr.Dataset:
    """Field seasons whose dates after a day are others, which are after it too."""
    changed = table.copy()
    for name in ("sowing_date", "harvest_date"):
        dates = table[name].values
        changed[name] = table[name].copy(
            data=np.where(dates.astype("datetime64[D]") > day, dates + np.timedelta64(DAYS_LATER, "D"), dates)
        )
    return changed


def _changed(table: xr.Dataset, dim: str, later: np.ndarray) -> xr.Dataset:
    """A table with other numbers in the rows `later` of a dimension; integers and texts stay."""
    changed = table.copy()
    for name, values in table.data_vars.items():
        if dim not in values.dims or values.dtype.kind != "f":
            continue
        mask = xr.DataArray(later, dims=dim)
        changed[name] = (
            values.where(~mask, values * FACTOR + SHIFT).transpose(*values.dims).astype(values.dtype)
        )
    return changed
