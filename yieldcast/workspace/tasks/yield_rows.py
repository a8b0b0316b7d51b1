"""Rows of the tasks yield and risk: seasons of places from a store or from arrays, cut by harvest year."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from calendars import names as crop_names
from yieldcast.config import DataSettings, read_settings
from yieldcast.data.store import Store, Tables, is_synthetic
from yieldcast.errors import ConfigError, LeakageError, MissingDataError
from yieldcast.evaluation.cases import DAY
from yieldcast.evaluation.metrics import crps
from yieldcast.evaluation.skill import climatology
from yieldcast.features import yield_history
from yieldcast.features.daily_months import network_tables
from yieldcast.features.samples import SampleSet
from yieldcast.features.season_dates import calendar_for, main_window
from yieldcast.features.source import Source, build_samples, known_at_window_end
from yieldcast.features.splits import check_order
from yieldcast.features.yield_history import TREND_YEARS, PlaceYears, YieldHistory, states_of
from yieldcast.forecasting.leakage import trainable_years
from yieldcast.language import sentence
from yieldcast.publication import add_months
from yieldcast.workspace.scoring.scores import Reference
from yieldcast.workspace.tasks.made import Notice
from yieldcast.workspace.tasks.options import DataOptions
from yieldcast.workspace.tasks.task import Part

Floats = NDArray[np.float64]
WEATHER, STATIC = "weather", "static"


@dataclass(frozen=True)
class YieldRows:
    """Seasons of both parts.

    Args:
        samples: part -> rows, every one with weather and yield.
        group: part -> (row,) place, field or farm; None where nothing says so.
        references: baseline -> what it said of the holdout.
        crop: of the rows; None where arrays do not say.
        synthetic: whether the data are.
    """

    samples: Mapping[Part, SampleSet]
    group: Mapping[Part, NDArray[np.str_] | None]
    references: Mapping[str, Reference]
    crop: str | None = None
    synthetic: bool = False


def rows_of_store(
    path: Path, holdout_years: Sequence[int], options: DataOptions, notice: Notice
) -> YieldRows:
    """Seasons of a store's places, municipalities or fields.

    The training set holds harvest years whose yields and weather were public on the first day of the holdout;
    each row knows what was public on its own day, the last one of its season window or the day at the lead.
    The same holds for the baselines.

    Args:
        path: of the store.
        holdout_years: harvest years.
        options: crop, config, train_years and lead_months.
        notice: called with what the owner must know.

    Raises:
        ConfigError: no crop, or an unknown one.
        MissingDataError: no store, no yields or no weather of a year.
        LeakageError: training years that are not before the holdout, or were not public on its first day.
    """
    store = Store.open(path)
    settings = read_settings(options.config).for_country(store.country)
    builder = _Builder(store, _crop(store, options), settings.data, options.lead_months, holdout_years)
    first_day = builder.first_day(min(holdout_years))
    years = _train_years(builder, store, holdout_years, first_day, options)
    training = builder.rows(years, max(years), None, notice)
    holdout = builder.rows(holdout_years, max(years), training.static_names, notice)
    return YieldRows(
        {"training": training, "holdout": holdout},
        {"training": training.municipality.astype(str), "holdout": holdout.municipality.astype(str)},
        builder.references(holdout), builder.crop, is_synthetic(store.tables),
    )  # fmt: skip


def _crop(store: Store, options: DataOptions) -> str:
    known = [str(name) for name in store.yields["crop"].values]
    if options.crop is None:
        raise ConfigError("expected a crop, received none", f"Give --crop: {', '.join(known)}.")
    typed = options.crop.strip().lower()
    crop = typed if typed in known else crop_names.crop(typed) or typed
    if crop not in known:
        raise ConfigError(f"expected a crop of the store ({', '.join(known)}), received {options.crop}")
    return crop


def _train_years(
    builder: _Builder, store: Store, holdout: Sequence[int], first_day: dt.date, options: DataOptions
) -> tuple[int, ...]:
    """The years asked for, or all that were public."""
    publication = builder.settings.publication()
    if options.train_years is None:
        found = trainable_years(builder.tables, builder.crop, first_day, builder.settings, store.country)
        return tuple(year for year in found if year < min(holdout))
    check_order(options.train_years, holdout)
    if early := [year for year in options.train_years if publication.yields_public(year) > first_day]:
        raise LeakageError(
            f"expected training years whose yields were public on {first_day}, the first day of the holdout, "
            f"received {', '.join(map(str, early))}",
            f"Train on harvest years up to {publication.last_public_harvest_year(first_day)}, or begin the "
            "holdout later.",
        )
    return tuple(sorted(options.train_years))


class _Builder:
    """Rows of one crop as they were known.

    Args:
        store: tables.
        crop: of the yields.
        settings: calendar, inputs and delays.
        lead_months: None for the end of each window.
        holdout: harvest years; the last of them bounds the yields that any row may use.
    """

    def __init__(
        self, store: Store, crop: str, settings: DataSettings, lead_months: int | None, holdout: Sequence[int]
    ) -> None:
        self.crop, self.settings, self._lead = crop, settings, lead_months
        self.tables: Tables = network_tables(store, settings)
        self.calendar = calendar_for(settings, self.tables.static, store.country)
        steps = self.calendar.steps(crop)
        if lead_months is not None and not 0 <= lead_months <= steps:
            raise ConfigError(
                f"expected a lead of 0 to {steps} months before the end of the harvest of {crop}, received "
                f"{lead_months}"
            )

    def first_day(self, year: int) -> dt.date:
        """The day that the first row of a harvest year is known on."""
        if self._lead is not None:
            return self._day(year)
        states = np.unique(self.tables.static["state"].values.astype(str))
        states = states[[(self.crop, one) in self.calendar.rows for one in states]]
        starts = self.calendar.starts(self.crop, states, np.full(len(states), year))
        last = (starts.min() + self.calendar.steps(self.crop)).astype("datetime64[D]") - 1
        day: dt.date = last.item()
        return day

    def rows(
        self, years: Sequence[int], climate_to: int, static_names: Sequence[str] | None, notice: Notice
    ) -> SampleSet:
        """Every place and year with a yield and with weather."""
        rows, dropped = build_samples(
            self.tables, self.calendar, self.crop, years, self.settings,
            static_names=static_names, climate_to=climate_to,
        )  # fmt: skip
        for one in dropped:
            text = sentence("{n} rows left out: weather of the season window incomplete", n=one.rows)
            notice(text)
        if self._lead is None:
            known = known_at_window_end(
                rows, self.tables, self.calendar, self.crop, self.settings, climate_to
            )
        else:
            known = self._at_lead(rows, climate_to, static_names)
        whole = np.asarray(np.isfinite(known.dynamic).all(axis=(1, 2)))
        if lost := int((~whole).sum()):
            text = sentence(
                "{n} rows left out: no climatology of their weather was known on their day", n=lost
            )
            notice(text)
        if not whole.any():
            raise MissingDataError(
                f"harvest years {', '.join(map(str, years))}: no row has weather that was known on its day",
                "Choose later years, or import earlier weather.",
            )
        return known.take(whole)

    def references(self, rows: SampleSet) -> dict[str, Reference]:
        """Baselines of rows, each from the yields that were public on the row's day."""
        history = YieldHistory.of(self.tables.yields, states_of(self.tables.static), self.crop)
        days = rows.window_end
        if self._lead is not None:
            years, at = np.unique(rows.harvest_year, return_inverse=True)
            days = np.array([np.datetime64(self._day(int(year)), "D") for year in years])[at]
        lags = yield_history.lag(rows, days, self.settings.publication(), None)
        return references(history, rows, lags, rows.target_kg_ha.astype(np.float64))

    def _at_lead(self, rows: SampleSet, climate_to: int, static_names: Sequence[str] | None) -> SampleSet:
        source = Source(self.tables, self.calendar, self.crop, self.settings, climate_to)
        parts = []
        for year in np.unique(rows.harvest_year).tolist():
            mine, day = rows.take(rows.harvest_year == year), self._day(year)
            place = np.searchsorted(self.tables.static["municipality"].values, mine.municipality)
            season, names = source.season(place, mine.harvest_year, day)
            parts.append(source.samples(season, names, place, mine.target_kg_ha, day, static_names))
        return SampleSet.join(parts)

    def _day(self, year: int) -> dt.date:
        """The day at the lead, as backtests have it."""
        newest = self.settings.publication().last_public_harvest_year(dt.date(year - 1, 1, 1))
        end = main_window(self.calendar, self.crop, self.tables, year, newest)[1]
        month: dt.date = end.astype("datetime64[D]").item()
        return add_months(month, -(self._lead or 0)).replace(day=DAY)


def references(
    history: YieldHistory, rows: yield_history.HasPlaceAndYear, lags: NDArray[np.int64], target: Floats
) -> dict[str, Reference]:
    """What climatology and trend say of rows: quantiles, and the line, of each place's ten newest yields.

    Args:
        history: yields of the crop.
        rows: places and harvest years.
        lags: (row,) harvest year minus the newest year that may be used.
        target: (row,) kg/ha.
    """
    placed = history.rows(rows, lags)
    naive, _ = history.naive(placed, np.full(len(target), np.nan))
    window = history.window(history.own, placed.municipality, placed.last_year, TREND_YEARS)
    if not np.isfinite(naive).all() or not np.isfinite(window).any():
        raise MissingDataError(
            f"baselines: expected yields of {int(placed.last_year.min())} or before, received yields from "
            f"{history.first_year} on",
            "Add earlier years of yields, or begin the holdout later.",
        )
    spread = climatology(window, np.asarray(rows.state))
    return {
        "climatology": Reference(spread.mean(axis=1), crps(spread, target)),
        "trend": Reference(naive[2], np.abs(naive[2] - target)),
    }


def references_of_rows(
    training: SampleSet, holdout: SampleSet, history_crop: str = "crop"
) -> dict[str, Reference]:
    """The same from training rows alone: the mean of each place and year is its yield."""
    codes, place = np.unique(training.municipality, return_inverse=True)
    years = np.arange(training.harvest_year.min(), training.harvest_year.max() + 1)
    key = place * len(years) + training.harvest_year - years[0]
    counts = np.bincount(key, minlength=len(codes) * len(years))
    sums = np.bincount(key, training.target_kg_ha.astype(np.float64), len(codes) * len(years))
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).reshape(len(codes), len(years))
    yields = xr.Dataset(
        {"yield_kg_ha": (("crop", "municipality", "harvest_year"), means[None])},
        {"crop": [history_crop], "municipality": codes, "harvest_year": years},
    )
    history = YieldHistory.of(yields, {int(code): "" for code in codes}, history_crop)
    lags = holdout.harvest_year.astype(np.int64) - int(years[-1])
    rows = PlaceYears(holdout.municipality, np.full(len(holdout), ""), holdout.harvest_year)
    return references(history, rows, lags, holdout.target_kg_ha.astype(np.float64))
