"""Tables to `SampleSet`: float32 arrays in physical units, one row per municipality and harvest year."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from calendars import Calendar
from yieldcast.config import DataSettings
from yieldcast.data.store import Tables
from yieldcast.data.summary import number_spans, or_fault, some_names, summary_html, summary_text
from yieldcast.errors import MissingDataError
from yieldcast.features import seasons, yield_history
from yieldcast.features import weather as features
from yieldcast.features.yield_history import YieldHistory
from yieldcast.variables import SOIL, WEATHER


def rows_with_yield(
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
    crops = [str(c) for c in yields["crop"].values]
    if crop not in crops:
        raise MissingDataError(
            f"the store has no yields of {crop!r}; it has: {', '.join(crops)}",
            "Import a yields table with that crop.",
        )
    table = yields["yield_kg_ha"].sel(crop=crop).transpose("municipality", "harvest_year")
    have = table["harvest_year"].values[np.isfinite(table.values).any(axis=0)]
    absent = sorted(set(map(int, harvest_years)) - set(map(int, have)))
    if absent or not len(harvest_years):
        span = f"{have.min()} to {have.max()}" if len(have) else "none"
        raise MissingDataError(
            f"no {crop} yields of harvest year {', '.join(map(str, absent)) or '(none asked)'}; "
            f"the store has {span}",
            "Ask for years that are there (yieldcast status lists them), or import more.",
        )
    table = table.reindex(municipality=static["municipality"].values)
    wanted = np.isin(table["harvest_year"].values, harvest_years)
    place, column = np.nonzero(np.nan_to_num(table.values) * wanted[None, :] > 0)
    return place, table["harvest_year"].values[column].astype(np.int16), table.values[place, column]


def check_every_year(
    whole: npt.NDArray[np.bool_],
    years: npt.NDArray[np.int16],
    season: xr.Dataset,
    weather: xr.Dataset,
    as_of: dt.date | None,
) -> None:
    """A year that was asked for must leave rows: else a run would claim years that it never saw.

    Args:
        whole: (sample,) rows with weather in every month of their window.
        years: (sample,) harvest years.
        season: of the rows.
        weather: the table.
        as_of: date up to which it was seen.

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
        "Ask for other years or a later date, or import weather for these months.",
    )


def static_matrix(
    static: xr.Dataset, place: npt.NDArray[np.intp], wanted: Sequence[str] | None
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Soil properties x layers, then latitude and longitude; (sample, feature) and names.

    Args:
        static: table of places.
        place: (sample,) position in it.
        wanted: names, in order; all that are there when None.

    Raises:
        MissingDataError: a wanted one is not there.
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
            "Use the store that it was trained from, or import the same soil table.",
        )
    matrix = np.stack([columns[name] for name in names], axis=1).astype(np.float32)
    return matrix[place], names


@dataclass(frozen=True, repr=False)
class SampleSet:
    """Rows for a network or a tree: bare arrays, names beside them.

    Args:
        dynamic: (sample, step, variable), no NaN.
        static: (sample, feature), NaN where soil is missing.
        target_kg_ha: (sample,), NaN where unknown.
        municipality, harvest_year, state, window_end: (sample,), whose row it is.
        dynamic_names, static_names: names with units of variables and features.
    """

    dynamic: npt.NDArray[np.float32]
    static: npt.NDArray[np.float32]
    target_kg_ha: npt.NDArray[np.float32]
    municipality: npt.NDArray[np.int32]
    harvest_year: npt.NDArray[np.int16]
    state: npt.NDArray[np.str_]
    window_end: npt.NDArray[np.datetime64]
    dynamic_names: tuple[str, ...]
    static_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.target_kg_ha)

    def __repr__(self) -> str:
        return summary_text(*self._summary())

    def _repr_html_(self) -> str:
        return summary_html(*self._summary())

    def _summary(self) -> tuple[str, list[tuple[str, str]]]:
        """Title and rows: sizes, years, names with units, target, missing soil."""
        places, states = (len(set(array.tolist())) for array in (self.municipality, self.state))
        size = " steps (months) x ".join(map(str, self.dynamic.shape[1:]))
        return f"SampleSet of {len(self):,} rows (one municipality and harvest year each)", [
            ("places", f"{places:,} municipalities in {states} states"),
            ("harvest years", number_spans(self.harvest_year)),
            ("weather", f"{size} variables: {some_names(self.dynamic_names)}"),
            ("static", f"{len(self.static_names)} features: {some_names(self.static_names)}"),
            ("target", or_fault(self._target)),
            ("missing soil", or_fault(self._missing_soil)),
        ]

    def _target(self) -> str:
        known = self.target_kg_ha[np.isfinite(self.target_kg_ha)].astype(np.float64)
        lost = len(self) - known.size
        if not known.size:
            return "unknown in all rows"
        text = f"mean {known.mean():,.0f} kg/ha, {known.min():,.0f} to {known.max():,.0f}"
        return f"{text}; unknown in {lost:,} rows" if lost else text

    def _missing_soil(self) -> str:
        soil = [k for k, name in enumerate(self.static_names) if name.startswith(tuple(SOIL))]
        if not soil:
            return "no soil among the features"
        return f"{int(np.isnan(self.static[:, soil]).any(axis=1).sum()):,} of {len(self):,} rows"

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> SampleSet:
        """The rows of a boolean mask or of indices."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        arrays: dict[str, Any] = {name: v[rows] for name, v in values if isinstance(v, np.ndarray)}
        return replace(self, **arrays)

    def flat(self) -> npt.NDArray[np.float32]:
        """All inputs side by side, (sample, step x variable + feature), for trees and ridge."""
        return np.concatenate([self.dynamic.reshape(len(self), -1), self.static], axis=1)

    def fingerprint(self) -> str:
        """Sha256 of everything in it: the same rows give the same text on every machine."""
        digest = hashlib.sha256()
        for f in fields(self):
            value = getattr(self, f.name)
            array = np.asarray(value)
            text = array.dtype.kind in "UM"
            digest.update(f.name.encode())
            digest.update("\n".join(array.astype(str).tolist()).encode() if text else array.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Dropped:
    """Rows with a yield that could not become samples, and why."""

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
    """Every municipality and year with a positive yield, ready for training or scoring.

    Args:
        tables: static, weather and yields.
        calendar: season windows.
        crop: crop of both calendar and yields.
        harvest_years: the years wanted; each must have at least one yield.
        settings: publication delays, degree-day limits, what goes in.
        as_of: weather published after this date is replaced by climatology; None for hindsight.
        static_names: the static features wanted, in order (those of a run); all present when None.
        climate_to: last calendar year of the climate that anomalies are departures from (a run's last
            training year); the last of `harvest_years` when None.

    Raises:
        MissingDataError: no yields of the crop or of a year, or a year without any row that has weather.
        CalendarError: a crop or state that the calendar does not have.
    """
    calendar.steps(crop)  # an unknown crop is refused by the calendar, which can say what was meant
    source = Source(tables, calendar, crop, settings, climate_to or max(map(int, harvest_years), default=0))
    return source.build(harvest_years, as_of, static_names)


def known_at_window_end(
    rows: SampleSet, tables: Tables, calendar: Calendar, crop: str, settings: DataSettings
) -> SampleSet:
    """The same rows with the weather that was public on the last day of each row's own window.

    Args:
        rows: from `build`, of the same tables, calendar, crop and settings.
        tables, calendar, crop, settings: as for `build`.

    Returns:
        `rows` with later months from the climatology of the years known by then; NaN where even that
        is not known, which trees can read and a network cannot.
    """
    dynamic = rows.dynamic.copy()
    place = np.searchsorted(tables.static["municipality"].values, rows.municipality)
    source = Source(tables, calendar, crop, settings, int(rows.harvest_year.max()))
    for day in np.unique(rows.window_end):
        mine = rows.window_end == day
        season, _ = source.season(place[mine], rows.harvest_year[mine], day.item())
        dynamic[mine] = season["weather"].values
    return replace(rows, dynamic=dynamic)


@dataclass(frozen=True)
class Source:
    """Tables and settings that rows of one crop are cut from.

    Args:
        tables, calendar, crop, settings: as for `build`.
        climate_to: last calendar year of the climate of anomalies.
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
        """Every municipality and year with a positive yield; arguments and errors as the function `build`."""
        place, years, target = rows_with_yield(
            self.tables.yields, self.tables.static, self.crop, harvest_years
        )
        season, names = self.season(place, years, as_of)
        whole = np.isfinite(season["weather"].values).all(axis=(1, 2))
        check_every_year(whole, years, season, self.tables.weather, as_of)
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
        """A row per municipality, its target unknown (NaN); weather not yet public is NaN.

        Args:
            harvest_year: the season.
            municipalities: codes, all of the table of places.
            as_of, static_names: as for `build`.
        """
        place = np.searchsorted(self.tables.static["municipality"].values, municipalities)
        years = np.full(len(place), harvest_year, dtype=np.int16)
        season, names = self.season(place, years, as_of, fill=False)
        unknown = np.full(len(place), np.nan, dtype=np.float32)
        return self.samples(season, names, place, unknown, as_of, static_names)

    @cached_property
    def weather(self) -> tuple[xr.Dataset, str]:
        """Monthly weather with the crop's degree days, and the name of these."""
        limits = features.limits(self.crop, self.settings.degree_days)
        weather, name = features.with_degree_days(self.tables.weather, *limits)
        return weather[[*WEATHER, name]], name

    def cut(
        self, place: npt.NDArray[np.intp], years: npt.NDArray[np.int16], as_of: dt.date | None
    ) -> xr.Dataset:
        """Seasons of monthly weather as known on a date, nothing accumulated or filled; see `seasons.cut`."""
        return seasons.cut_seasons(
            self.weather[0], self.tables.static, self.calendar, self.crop, (),
            as_of=as_of, publication=self.settings.publication(), pairs=(place, years),
        )  # fmt: skip

    def climate(self, as_of: dt.date | None) -> xr.Dataset:
        """The climate that anomalies are departures from: known years up to `climate_to`."""
        if as_of not in self._climates:
            known = seasons.known_weather(self.weather[0], as_of, self.settings.publication())
            known = known.sel(time=slice(None, f"{self.climate_to}-12-31"))
            self._climates[as_of] = seasons.climatology(known)
        return self._climates[as_of]

    @cached_property
    def _climates(self) -> dict[dt.date | None, xr.Dataset]:
        return {}

    @cached_property
    def panel(self) -> YieldHistory:
        """Yields of the crop; rows are only ever read up to the year public on their date."""
        return YieldHistory.of(self.tables.yields, yield_history.states_of(self.tables.static), self.crop)

    def season(
        self,
        place: npt.NDArray[np.intp],
        years: npt.NDArray[np.int16],
        as_of: dt.date | None,
        fill: bool = True,
    ) -> tuple[xr.Dataset, tuple[str, ...]]:
        """Seasons as the network takes them, and the names of their variables.

        Degree days are accumulated; months not public are replaced by climatology if `fill`, else NaN (and
        accumulated degree days after them).
        """
        weather, name = self.weather
        season = self.cut(place, years, as_of)
        if as_of is not None and fill:
            known = seasons.known_weather(weather, as_of, self.settings.publication())
            season = features.fill_with_climatology(season, seasons.climatology(known))
        season = features.accumulate(season, name)
        names = (*WEATHER, f"accumulated_{name}")
        if self.settings.weather_inputs == "values":
            return season, names
        return features.without_normal(season, self.climate(as_of), name), tuple(
            f"anomaly_{one}" for one in names
        )

    def samples(
        self,
        season: xr.Dataset,
        names: tuple[str, ...],
        place: npt.NDArray[np.intp],
        target: npt.NDArray[np.float32],
        as_of: dt.date | None,
        static_names: Sequence[str] | None,
    ) -> SampleSet:
        """Seasons with their static inputs, the yield history among them where the settings say so."""
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
        """Rows with their history at these lags, in place of any that they have."""
        own = [i for i, name in enumerate(rows.static_names) if name not in yield_history.NAMES]
        past = yield_history.matrix(self.panel, rows, lags).astype(np.float32)
        names = (*(rows.static_names[i] for i in own), *yield_history.NAMES)
        return replace(rows, static=np.hstack([rows.static[:, own], past]), static_names=names)

    def normals(self, season: xr.Dataset, as_of: dt.date | None) -> npt.NDArray[np.float32]:
        """What anomalies of these windows are departures from, (sample, step, variable); 0 for values."""
        if self.settings.weather_inputs == "values":
            return np.zeros(season["weather"].shape, dtype=np.float32)
        places, months = season["municipality"].values, season["month"].values
        return features.normals(self.climate(as_of), places, months, season, self.weather[1])
