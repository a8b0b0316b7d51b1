"""The rows that protocols split: samples of all seasons, each as known on the same day, and their places.

Inputs are weather, soil and position. Past yields of a place are left out: they are local labels, and a
question of transfer is how well a model does without them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from calendars import Calendar
from yieldcast.config import Settings
from yieldcast.data.inventory import yields_of
from yieldcast.data.store import Store, Tables, is_synthetic
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.evaluation.cases import days_of_season
from yieldcast.features import yield_history
from yieldcast.features.daily_months import network_tables
from yieldcast.features.samples import SampleSet
from yieldcast.features.season_dates import calendar_for, main_window
from yieldcast.features.source import Source
from yieldcast.features.yield_history import YieldHistory
from yieldcast.transfer import places
from yieldcast.transfer.places import HoldOut

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TransferRows:
    """Rows of one crop, with what their places have in common.

    Args:
        samples: by harvest year, then municipality.
        calendar: of the crop.
        crop: name.
        as_of: (row,) datetime64[D], day on which the inputs were known; the end of the window without a date.
        newest_public: (row,) newest harvest year whose yields were public on that day.
        mean_5y_public_kg_ha: (row,) mean of the place's own public yields of five years; NaN if unknown.
        keys: (row, key) numbers of square, block and weather series.
        domain: (row,) name of the domain that a row is held out with.
        day: month and day on which the inputs of every season were known, MM-DD; None for the whole window.
        synthetic: whether the data are.
        left_out: rows with a yield whose weather is incomplete.
    """

    samples: SampleSet
    calendar: Calendar
    crop: str
    as_of: NDArray[np.datetime64]
    newest_public: NDArray[np.int64]
    mean_5y_public_kg_ha: Floats
    keys: NDArray[np.int64]
    domain: NDArray[np.str_]
    day: str | None
    synthetic: bool
    left_out: int

    @property
    def block(self) -> NDArray[np.int64]:
        """(row,) block of each row."""
        return np.asarray(self.keys[:, 1])

    @property
    def years(self) -> list[int]:
        """Harvest years, ascending."""
        return [int(year) for year in np.unique(self.samples.harvest_year)]


def transfer_rows(
    store: Store,
    crop: str,
    settings: Settings,
    *,
    as_of: tuple[int, int] | None = None,
    hold_out: HoldOut = "state",
    block_deg: float = 1.0,
    zones: int = places.ZONES,
) -> TransferRows:
    """All rows of a crop that have a yield and weather.

    Args:
        store: tables.
        crop: of the calendar and the yields.
        settings: of the network; see `check_settings`.
        as_of: month and day of each season on which the inputs are known; None for the whole window.
        hold_out: what is held out together.
        block_deg: side of a block in degrees.
        zones: number of climate zones.

    Raises:
        YieldcastError: no yields or weather of the crop, settings that use past yields, or no domains.
    """
    check_settings(settings)
    tables = network_tables(store, settings.data)
    calendar = calendar_for(settings.data, tables.static, store.country)
    calendar.steps(crop)
    history = YieldHistory.of(tables.yields, yield_history.states_of(tables.static), crop)
    table = yields_of(tables.yields, crop)["yield_kg_ha"]
    grown = table["harvest_year"].values[(table.fillna(0) > 0).any("municipality").values]
    parts, dates, newest, means, left_out = list[SampleSet](), [], [], [], 0
    for year in map(int, grown):
        date = _date(as_of, tables, calendar, crop, year, settings)
        # values, not anomalies, so that the last year of a climatology does not matter
        source = Source(tables, calendar, crop, settings.data, year)
        try:
            rows, dropped = source.build([year], date)
        except MissingDataError:  # no weather in this year: it begins later than the yields
            continue
        lags = yield_history.lag(rows, rows.window_end, settings.data.publication(), date)
        parts.append(rows)
        dates.append(rows.window_end if date is None else np.full(len(rows), np.datetime64(date)))
        newest.append(rows.harvest_year - lags)
        means.append(history.naive(history.rows(rows, lags), np.full(len(rows), np.nan))[0][1])
        left_out += sum(one.rows for one in dropped)
    if not parts:
        raise MissingDataError(
            f"{crop}: expected harvest years with yields and weather, received none of "
            f"{', '.join(map(str, grown)) or 'none'}",
            "Import weather of the years that have yields (yieldcast status lists both).",
        )
    samples = SampleSet.join(parts)
    keys, domain = _place_labels(store, tables, samples, hold_out, block_deg, zones)
    day = f"{as_of[0]:02d}-{as_of[1]:02d}" if as_of else None
    return TransferRows(
        samples, calendar, crop, np.concatenate(dates).astype("datetime64[D]"), np.concatenate(newest),
        np.concatenate(means), keys, domain, day, is_synthetic(tables), left_out,
    )  # fmt: skip


def check_settings(settings: Settings) -> None:
    """Refuse settings whose inputs or target come from past yields of a place, or from its climate.

    Raises:
        ConfigError: names the keys.
    """
    expected = {
        "data.yield_history": (settings.data.yield_history, False),
        "data.weather_inputs": (settings.data.weather_inputs, "values"),
        "network.target": (settings.network.target, "yield"),
        "training.season_cuts": (settings.training.season_cuts, 0.0),
        "model.build": (settings.model.build, None),
    }
    wrong = [f"{key} = {value!r}" for key, (value, wanted) in expected.items() if value != wanted]
    if wrong:
        raise ConfigError(
            f"expected inputs that need no record of the place, received {', '.join(wrong)}",
            "Past yields of a place are local labels: leave these keys out of the settings file.",
        )


def _date(
    as_of: tuple[int, int] | None,
    tables: Tables,
    calendar: Calendar,
    crop: str,
    year: int,
    settings: Settings,
) -> dt.date | None:
    """The date of a harvest year, as the dates of a backtest."""
    if as_of is None:
        return None
    newest = settings.data.publication().last_public_harvest_year(dt.date(year - 1, 1, 1))
    known = yields_of(tables.yields, crop)["yield_kg_ha"]
    first = int(known["harvest_year"].values[(known.fillna(0) > 0).any("municipality").values].min())
    end = main_window(calendar, crop, tables, year, max(newest, first))[1]
    return next(days_of_season((as_of,), end))


def _place_labels(
    store: Store, tables: Tables, samples: SampleSet, hold_out: HoldOut, block_deg: float, zones: int
) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Keys and domain of every row."""
    codes, row = np.unique(samples.municipality, return_inverse=True)
    static: xr.Dataset = tables.static.sel(municipality=codes)
    where = static["latitude_deg"].values, static["longitude_deg"].values
    series = places.weather_series(store, codes)
    block = places.blocks(*where, series, block_deg)
    keys = np.column_stack([places.square(*where, block_deg), block, series])
    return keys[row], places.domains(hold_out, static, tables.weather, block, zones)[row]


def years_to_test(rows: TransferRows, wanted: Sequence[int] | None) -> list[int]:
    """Years to test: those wanted, or all.

    Raises:
        SchemaError: a wanted year without rows.
    """
    if wanted is None:
        return rows.years
    lost = sorted(set(wanted) - set(rows.years))
    if lost:
        raise SchemaError(
            f"expected test years with yields and weather of {rows.crop} "
            f"({', '.join(map(str, rows.years))}), received {', '.join(map(str, lost))}",
            "Choose other --test-years, or import these years.",
        )
    return sorted(set(wanted))
