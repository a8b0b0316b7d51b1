"""Tables to `SampleSet`: float32 arrays in physical units, one row per municipality and harvest year."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from calendars import Calendar
from yieldcast import features, seasons
from yieldcast.config import DataSettings
from yieldcast.errors import MissingDataError
from yieldcast.store import Tables
from yieldcast.variables import SOIL, WEATHER


@dataclass(frozen=True)
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


def build(
    tables: Tables,
    calendar: Calendar,
    crop: str,
    harvest_years: Sequence[int],
    settings: DataSettings,
    *,
    as_of: dt.date | None = None,
    static_names: Sequence[str] | None = None,
) -> tuple[SampleSet, list[Dropped]]:
    """Every municipality and year with a positive yield, ready for training or scoring.

    Args:
        tables: static, weather and yields.
        calendar: season windows.
        crop: crop of both calendar and yields.
        harvest_years: the years wanted; each must have at least one yield.
        settings: publication delays and degree-day limits.
        as_of: weather published after this date is replaced by climatology; None for hindsight.
        static_names: the static features wanted, in order (those of a run); all present when None.

    Raises:
        MissingDataError: no yields of the crop or of a year, or a year without any row that has weather.
        CalendarError: a crop or state that the calendar does not have.
    """
    calendar.steps(crop)  # an unknown crop is refused by the calendar, which can say what was meant
    place, years, target = _rows_with_yield(tables.yields, tables.static, crop, harvest_years)
    season, names = _season(tables, calendar, crop, settings, place, years, as_of)
    dynamic = season["weather"].values
    whole = np.isfinite(dynamic).all(axis=(1, 2))
    _check_every_year(whole, years, season, tables.weather, as_of)
    static, chosen = _static_matrix(tables.static, place, static_names)
    samples = SampleSet(
        dynamic, static, target, season["municipality"].values, season["harvest_year"].values,
        season["state"].values, season["window_end"].values.astype("datetime64[D]"), names, chosen,
    )  # fmt: skip
    gone = int((~whole).sum())
    dropped = [Dropped("weather of the season window incomplete", gone)] if gone else []
    return samples.take(whole), dropped


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
    for day in np.unique(rows.window_end):
        mine = rows.window_end == day
        season, _ = _season(
            tables, calendar, crop, settings, place[mine], rows.harvest_year[mine], day.item()
        )
        dynamic[mine] = season["weather"].values
    return replace(rows, dynamic=dynamic)


def _season(
    tables: Tables,
    calendar: Calendar,
    crop: str,
    settings: DataSettings,
    place: npt.NDArray[np.intp],
    years: npt.NDArray[np.int16],
    as_of: dt.date | None,
) -> tuple[xr.Dataset, tuple[str, ...]]:
    """Weather of each window, unknown months from climatology, degree days accumulated; variable names."""
    weather, degree_name = features.with_degree_days(
        tables.weather, *features.limits(crop, settings.degree_days)
    )
    weather, publication = weather[[*WEATHER, degree_name]], settings.publication()
    season = seasons.cut(
        weather, tables.static, calendar, crop, (),
        as_of=as_of, publication=publication, pairs=(place, years),
    )  # fmt: skip
    if as_of is not None:
        climate = seasons.climatology(seasons.known_weather(weather, as_of, publication))
        season = features.fill_with_climatology(season, climate)
    return features.accumulate(season, degree_name), (*WEATHER, f"accumulated_{degree_name}")


def _rows_with_yield(
    yields: xr.Dataset, static: xr.Dataset, crop: str, harvest_years: Sequence[int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Place index, harvest year and yield (kg/ha) of every positive yield, by municipality, then year."""
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


def _check_every_year(
    whole: npt.NDArray[np.bool_],
    years: npt.NDArray[np.int16],
    season: xr.Dataset,
    weather: xr.Dataset,
    as_of: dt.date | None,
) -> None:
    """A year that was asked for must leave rows: else a run would claim years that it never saw."""
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


def _static_matrix(
    static: xr.Dataset, place: npt.NDArray[np.intp], wanted: Sequence[str] | None
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Soil properties x layers, then latitude and longitude; (sample, feature) and names."""
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
