"""Tables of a store to `FeatureRows`: every place and harvest year as known on the same day of its season."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from calendars import Calendar
from calendars.stages import has_stages, stages
from yieldcast.config import Settings
from yieldcast.data.store import Store
from yieldcast.errors import LeakageError, MissingDataError
from yieldcast.features import day_windows, feature_catalogue, month_windows, vegetation, yield_history
from yieldcast.features.feature_rows import Feature, FeatureRows
from yieldcast.features.field_dates import FieldSeasons, cutoffs, days_of_years
from yieldcast.features.seasons import find, last_known_day
from yieldcast.features.source import static_matrix
from yieldcast.features.sowing import first_centres, second_centres
from yieldcast.features.unit_days import unit_mean
from yieldcast.features.yield_history import PlaceYears, YieldHistory
from yieldcast.language import message

Floats = NDArray[np.float64]
Days = NDArray[np.datetime64]
_CYCLE_days = 120  # of a crop whose stages are not known: that of soybean
_Columns = tuple[Floats, tuple[Feature, ...]]


def rows_for(
    store: Store,
    calendar: Calendar,
    crop: str,
    harvest_years: Sequence[int],
    settings: Settings,
    *,
    as_of: dt.date,
    season: int,
    municipalities: Sequence[int] | NDArray[np.integer] | None = None,
) -> FeatureRows:
    """Features of places and harvest years, each row as known on its cut-off and never after `as_of`.

    Municipalities: the cut-off of harvest year Y is `as_of`, Y - `season` years later. Fields with known
    dates: see `yieldcast.features.field_dates.cutoffs`. A value counts if it was public on the cut-off of its
    row, by the same rules as for forecasts (`DataSettings.publication`). Yields are attached to all rows that
    have one, public or not: who trains must take those that were public.

    Args:
        store: with daily weather, or with monthly weather only, whose months are then the features.
        calendar: gives sowing dates of municipalities, and season windows.
        crop: crop of the yields.
        harvest_years: the years wanted, none after `season`.
        settings: `data` and `risk`.
        as_of: day of the forecast.
        season: harvest year of the forecast, which `as_of` belongs to.
        municipalities: codes of places; None for all places with a yield of the crop that was public on
            `as_of`, or for all fields with a season of the crop.

    Returns:
        rows by place, then year. Features that are unknown in all rows, or the same in all, are left out and
        counted in `left_out`, as is what the cleaning of vegetation removed.

    Raises:
        LeakageError: a harvest year after `season`.
        MissingDataError: no place, or no row.
    """
    late = [year for year in harvest_years if year > season]
    if late:
        raise LeakageError(
            f"expected harvest years up to {season}, the season of the date {as_of}, received {late}"
        )
    rows = _rows(store, calendar, crop, harvest_years, settings, as_of, season, municipalities)
    if not len(rows.place):
        raise MissingDataError(
            f"no place has a season of {crop} in harvest years {', '.join(map(str, harvest_years))}",
            "Choose other years or places; yieldcast status shows what the store has.",
        )
    maker = _Maker(store, calendar, crop, settings, as_of, rows)
    seen, removed = maker.vegetation()
    parts = [maker.weather(), seen, maker.summaries(), maker.static(), maker.history()]
    values = np.hstack([columns for columns, _ in parts])
    names = tuple(feature for _, features in parts for feature in features)
    unknown, constant = _unused(values)
    latitude, longitude = (store.static[f"{name}_deg"].values for name in ("latitude", "longitude"))
    made = FeatureRows(
        values, names, maker.codes, rows.harvest_year, maker.states, rows.cutoff, maker.yields(),
        latitude[rows.place], longitude[rows.place],
        left_out={
            **removed,
            message("features unknown in all rows"): int(unknown.sum()),
            message("features with one value in all rows"): int(constant.sum()),
        },
    )  # fmt: skip
    return made.choose(~(unknown | constant))


@dataclass(frozen=True)
class _Rows:
    """Place (position in the static table), harvest year, sowing date and cut-off, (row,) each."""

    place: NDArray[np.intp]
    harvest_year: NDArray[np.int16]
    sowing: Days
    cutoff: Days


def _rows(
    store: Store,
    calendar: Calendar,
    crop: str,
    harvest_years: Sequence[int],
    settings: Settings,
    as_of: dt.date,
    season: int,
    municipalities: Sequence[int] | NDArray[np.integer] | None,
) -> _Rows:
    years = np.unique(np.asarray(harvest_years, dtype=np.int16))
    codes = store.static["municipality"].values
    if "field_seasons" in store:
        fields = FieldSeasons.of(store.field_seasons, crop).known(as_of)
        if len(fields.place):
            cycle = stages(crop).cycle_days if has_stages(crop) else _CYCLE_days
            cutoff = cutoffs(fields, settings.risk, as_of, season, cycle)
            # sown later than the cut-off, as a season that has not begun: unknown there
            sowing = np.where(fields.sowing <= cutoff, fields.sowing, np.datetime64("NaT", "D"))
            mine = np.isin(fields.harvest_year, years)
            if municipalities is not None:
                mine &= np.isin(fields.place, municipalities)
            place = np.searchsorted(codes, fields.place)
            return _Rows(place[mine], fields.harvest_year[mine], sowing[mine], cutoff[mine])
    if municipalities is None:
        places = _grown(store, crop, settings.data.publication().last_public_harvest_year(as_of))
    else:
        places = np.flatnonzero(np.isin(codes, municipalities))
    place, year = np.repeat(places, len(years)), np.tile(years, len(places))
    cutoff = days_of_years(year, as_of, season)
    sowing = _centres(store, calendar, crop, place, year) if len(place) else cutoff
    return _Rows(place, year, sowing, cutoff)


def _grown(store: Store, crop: str, newest: int) -> NDArray[np.intp]:
    """Positions of the places with a yield of the crop in a year that is public."""
    table = store.yields["yield_kg_ha"].sel(crop=crop).transpose("municipality", "harvest_year")
    table = table.sel(harvest_year=table["harvest_year"] <= newest)
    grown = (np.nan_to_num(table.values) > 0).any(axis=1)
    return np.flatnonzero(np.isin(store.static["municipality"].values, table["municipality"].values[grown]))


def _centres(
    store: Store, calendar: Calendar, crop: str, place: NDArray[np.intp], years: NDArray[np.int16]
) -> Days:
    """(row,) middle of the planting window of the state; of its second crop where that is the larger one."""
    states, row = np.unique(store.static["state"].values.astype(str)[place], return_inverse=True)
    wanted = sorted(set(years.tolist()))
    first = first_centres(calendar, crop, states, wanted)
    larger = {name: one for name, one in store.country.second_crops(crop).items() if one.share > 0.5}
    centres = second_centres(larger, states, wanted, first) if larger else first
    table = np.stack([centres[year] for year in wanted])
    return table[np.searchsorted(wanted, years), row]


class _Maker:
    """Makes the columns of some rows, group by group."""

    def __init__(
        self, store: Store, calendar: Calendar, crop: str, settings: Settings, as_of: dt.date, rows: _Rows
    ) -> None:
        self.store, self.calendar, self.crop, self.settings = store, calendar, crop, settings
        self.as_of, self.rows = as_of, rows
        self.codes = store.static["municipality"].values[rows.place]
        self.states = store.static["state"].values.astype(str)[rows.place]
        self._publication = settings.data.publication()

    def weather(self) -> _Columns:
        """Windows of days, or months where the store has no daily weather."""
        if "daily" not in self.store:
            return self._months()
        daily = self.store.daily
        at, found = find(daily["municipality"].values, self.codes)
        unit = np.where(found, daily["municipality_unit"].values[at], -1)
        with_unit = unit >= 0
        season = day_windows.Season(unit, self.rows.sowing, self._last_weather_day())
        features = day_windows.features()
        values = np.full((len(unit), len(features)), np.nan)
        values[with_unit] = day_windows.window_values(
            daily, self._latitude_of_units(daily), self.crop,
            stages(self.crop) if has_stages(self.crop) else None, season.take(with_unit),
        )  # fmt: skip
        return values, features

    def _last_weather_day(self) -> Days:
        """(row,) last day whose weather was public on the cut-off."""
        last_day = last_known_day(self._publication, daily=True)
        days, row = np.unique(self.rows.cutoff, return_inverse=True)
        return np.array([last_day(day) for day in days.astype(object)])[row]

    def _latitude_of_units(self, daily: xr.Dataset) -> Floats:
        latitude = self.store.static["latitude_deg"].reindex(municipality=daily["municipality"].values)
        return unit_mean(latitude.values, daily["municipality_unit"].values, daily.sizes["unit"])

    def _months(self) -> _Columns:
        rows = (self.rows.place, self.rows.harvest_year, self.rows.cutoff)
        values = month_windows.month_values(
            self.store.tables, self.calendar, self.crop, self.settings.data, rows,
            self.as_of,
        )  # fmt: skip
        features = month_windows.features(self.calendar.steps(self.crop))
        return values, features

    def vegetation(self) -> tuple[_Columns, dict[str, int]]:
        """Observations from sowing to the cut-off, and what their cleaning removed."""
        if "vegetation" not in self.store:
            return (np.empty((len(self.codes), 0)), ()), {}
        seasons = vegetation.Seasons(self.codes, self.rows.sowing, self.rows.cutoff)
        least = self.settings.risk.vegetation_observations
        values, removed = vegetation.season_values(self.store.vegetation, seasons, least)
        return (values, vegetation.features()), removed

    def summaries(self) -> _Columns:
        """Summaries of whole seasons or stages that were public on the cut-off."""
        if "season_vegetation" not in self.store:
            return np.empty((len(self.codes), 0)), ()
        table = self.store.season_vegetation
        names = table["summary"].values.astype(str).tolist()
        values = [
            self._summary(table, name, self.rows.harvest_year - back) for back in (0, 1) for name in names
        ]
        return np.stack(values, axis=1), feature_catalogue.summary_features(names)

    def _summary(self, table: xr.Dataset, name: str, years: NDArray[np.int16]) -> Floats:
        at, found = find(table["municipality"].values, self.codes)
        column, known = find(table["harvest_year"].values, years)
        public = table["public_from"].sel(summary=name).values.astype("datetime64[D]")[column]
        values = table[name].transpose("municipality", "harvest_year").values[at, column]
        return np.where(found & known & (public <= self.rows.cutoff), values, np.nan)

    def static(self) -> _Columns:
        """Soil and position."""
        values, names = static_matrix(self.store.static, self.rows.place, None)
        return values.astype(np.float64), feature_catalogue.static_features(names)

    def history(self) -> _Columns:
        """Yields of earlier years that were public on the cut-off."""
        states = yield_history.states_of(self.store.static)
        history = YieldHistory.of(self.store.yields, states, self.crop)
        rows = PlaceYears(self.codes, self.states, self.rows.harvest_year)
        lags = yield_history.lag(rows, self.rows.cutoff, self._publication, None)
        return yield_history.columns(history, rows, lags), feature_catalogue.history_features()

    def yields(self) -> Floats:
        """(row,) yields of the store, NaN where it has none above 0."""
        table = self.store.yields["yield_kg_ha"].sel(crop=self.crop)
        values = table.transpose("municipality", "harvest_year").values.astype(np.float64)
        at, found = find(table["municipality"].values, self.codes)
        column, known = find(table["harvest_year"].values, self.rows.harvest_year)
        own = values[at, column]
        return np.where(found & known & (own > 0), own, np.nan)


def _unused(values: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(feature,) those unknown in all rows, and those with one value wherever they are known."""
    known = np.isfinite(values)
    unknown = np.asarray(~known.any(axis=0))
    low = np.where(known, values, np.inf).min(axis=0)
    high = np.where(known, values, -np.inf).max(axis=0)
    return unknown, np.asarray(low == high)
