"""Uncalibrated forecasts: every member on every scenario, for the coming season and for training years.

A hindcast of a training year is made by the members that were not trained on it (`validation = "each_year"`),
with the weather known on the same day of its season as in the forecast. `calibration` turns the errors of the
hindcasts into intervals.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from yieldcast.data.crop_area import TABLE as CROP_AREA
from yieldcast.data.files import atomic_write, make_folder
from yieldcast.data.store import Tables
from yieldcast.errors import MissingDataError, RunError
from yieldcast.features import yield_history
from yieldcast.features.samples import SampleSet
from yieldcast.features.source import Source
from yieldcast.features.splits import held_year
from yieldcast.forecasting.scenarios import Scenarios, build_scenarios
from yieldcast.forecasting.table import QUANTILES
from yieldcast.forecasting.year_effects import yield_sd
from yieldcast.publication import same_day
from yieldcast.training.run_directory import Run

if TYPE_CHECKING:
    from yieldcast.forecasting.predictor import Ensemble


Floats = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]
CACHE_FILES = 24  # of a run: two years of monthly bulletins; about 2 MB each for 2,000 places
CACHE_FORMAT = 1


def ignore_progress(done: int, total: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class RawForecasts:
    """Forecasts before calibration, one row per municipality and harvest year.

    Args:
        municipality, harvest_year, state: (row,) labels.
        target_kg_ha: (row,) harvested yield; NaN if it is not known yet.
        quantiles_kg_ha: (quantile, row) at `QUANTILES`, over all scenarios and members.
        mean_kg_ha: (row,) mean over all scenarios and members.
        scale_kg_ha: (row,) standard deviation of the municipality's public yields, see `yield_sd`.
        observed_share: (row,) share of the season's months that were observed, 0 to 1.
        naive_kg_ha: (3, row) newest public yield, mean of five and trend of ten public years.
        own: (row,) True where `naive_kg_ha` is computed from the municipality's own yields.
        rain_so_far_pct, tmax_so_far_anomaly_degC: (row,) see `scenarios.Scenarios`.
    """

    municipality: npt.NDArray[np.int32]
    harvest_year: npt.NDArray[np.int16]
    state: npt.NDArray[np.str_]
    target_kg_ha: Floats
    quantiles_kg_ha: Floats
    mean_kg_ha: Floats
    scale_kg_ha: Floats
    observed_share: Floats
    naive_kg_ha: Floats
    own: npt.NDArray[np.bool_]
    rain_so_far_pct: Floats
    tmax_so_far_anomaly_degC: Floats

    def take(self, rows: npt.NDArray[Any]) -> RawForecasts:
        """The rows of a boolean mask or of positions."""
        return replace(self, **{name: values.T[rows].T for name, values in self._arrays()})

    @staticmethod
    def join(parts: list[RawForecasts]) -> RawForecasts:
        """The rows of all parts, one part after the other."""
        columns = zip(*(part._arrays() for part in parts), strict=True)
        return RawForecasts(**{same[0][0]: np.concatenate([v for _, v in same], axis=-1) for same in columns})

    def _arrays(self) -> list[tuple[str, npt.NDArray[Any]]]:
        return [(f.name, getattr(self, f.name)) for f in fields(self)]


@dataclass(frozen=True)
class Forecaster:
    """Makes the uncalibrated forecasts and hindcasts of one run as of one date.

    Args:
        run: trained with one harvest year left out by each member.
        tables: of the store.
        as_of: date of the forecast; data published later are not used.
        method: one of `scenarios.METHODS`.
        seasonal: table of seasonal forecasts, needed for "seasonal".
    """

    run: Run
    tables: Tables
    as_of: dt.date
    method: str = "climatology"
    seasonal: xr.Dataset | None = None

    @cached_property
    def source(self) -> Source:
        """The tables with the settings, calendar and climatology of the run."""
        identity = self.run.identity
        return Source(
            self.tables, self.run.calendar(), identity.crop, self.run.settings.data, max(identity.train_years)
        )

    def forecast(
        self, members: Ensemble, harvest_year: int, municipalities: npt.NDArray[np.int32],
        progress: Progress = ignore_progress,
    ) -> tuple[RawForecasts, Scenarios]:  # fmt: skip
        """Forecast the coming season for the municipalities that have weather.

        Args:
            members: of the run.
            harvest_year: the season.
            municipalities: codes, ascending.
            progress: called with the number of members done and of all members.

        Raises:
            MissingDataError: see `build_scenarios`.
        """
        names = self.run.identity.static_names
        rows = self.source.to_forecast(harvest_year, municipalities, self.as_of, names)
        scenarios, usable = build_scenarios(self.source, rows, self.as_of, self.method, self.seasonal)
        rows = rows.take(usable)
        return self.raw_forecasts(members, rows, scenarios, self.as_of, progress), scenarios

    def hindcast(self, members: Ensemble, year: int, season_as_of: dt.date) -> RawForecasts:
        """Forecast a training year with members that were not trained on it.

        Args:
            members: those that left the year out.
            year: the harvest year.
            season_as_of: date of the hindcast; weather of its season published later is not used.
        """
        data = self.run.settings.data
        rows, _ = self.source.build([year], static_names=self.run.identity.static_names)
        if data.yield_history:
            lags = yield_history.lag(rows, rows.window_end, data.publication(), season_as_of)
            rows = self.source.with_history(rows, lags)
        # The seasonal forecasts of the store start after the training years: past years are used instead.
        method = "climatology" if self.method == "seasonal" else self.method
        scenarios, usable = build_scenarios(self.source, rows, self.as_of, method, season_as_of=season_as_of)
        return self.raw_forecasts(members, rows.take(usable), scenarios, season_as_of)

    def left_out(
        self, members: Ensemble, harvest_year: int, municipalities: npt.NDArray[np.int32], date: dt.date
    ) -> RawForecasts:
        """Forecast a harvest year that no member was trained on, as the leave-year-out protocol does.

        Other years' weather is known to the date of this forecaster, also that of later ones.

        Args:
            members: of the run.
            harvest_year: the season.
            municipalities: codes, ascending.
            date: of the forecast; weather of its season and yields published later are not used.
        """
        rows = self.source.to_forecast(harvest_year, municipalities, date, self.run.identity.static_names)
        scenarios, usable = build_scenarios(self.source, rows, self.as_of, self.method, season_as_of=date)
        return self.raw_forecasts(members, rows.take(usable), scenarios, date)

    def raw_forecasts(
        self, members: Ensemble, rows: SampleSet, scenarios: Scenarios, date: dt.date,
        progress: Progress = ignore_progress,
    ) -> RawForecasts:  # fmt: skip
        """Forecast rows with their scenarios.

        Args:
            members: of the run.
            rows: usable samples of one harvest year.
            scenarios: of the same rows.
            date: of the forecast; gives the public yields.
            progress: called with the number of members done and of all members.
        """
        yields = members.predict(scenarios.weather, rows.static, progress).reshape(-1, len(rows))
        history = self.source.history
        lags = yield_history.lag(rows, rows.window_end, self.run.settings.data.publication(), date)
        naive, fallback = history.naive(history.rows(rows, lags), np.full(len(rows), np.nan))
        return RawForecasts(
            rows.municipality, rows.harvest_year, rows.state, rows.target_kg_ha.astype(np.float64),
            np.quantile(yields, QUANTILES, axis=0).astype(np.float64), yields.mean(axis=0, dtype=np.float64),
            yield_sd(history, rows, lags), scenarios.observed.mean(axis=1), naive, ~fallback[1],
            scenarios.rain_so_far_pct.astype(np.float64),
            scenarios.tmax_so_far_anomaly_degC.astype(np.float64),
        )  # fmt: skip


def hindcasts(
    forecaster: Forecaster,
    members: Ensemble,
    harvest_year: int,
    progress: Progress = ignore_progress,
    *,
    date: dt.date | None = None,
    least: int = 2,
) -> RawForecasts:
    """Hindcasts of all training years that some member left out, at the lead time of a forecast.

    Args:
        forecaster: as of the date of the forecast.
        members: all members of the run.
        harvest_year: of the forecast.
        progress: called with the number of years done and of all years.
        date: of the forecast; None takes that of `forecaster`. (In the leave-year-out protocol the weather of
            other years is known to a later date.)
        least: number of left-out years that is needed.

    Raises:
        RunError: no member of the run left out a year, or fewer than `least` were left out.
    """
    run = forecaster.run
    if run.settings.training.validation != "each_year":
        raise RunError(
            f"{run.path} has no hindcasts: its members did not leave out one harvest year each in training",
            'Train with [training] validation = "each_year", as yieldcast train --preset forecast does.',
        )
    years = run.identity.train_years
    held = np.array([_left_out_year(run, seed) for seed in members.seeds])
    years_left_out = [year for year in years if (held == year).any()]
    if len(years_left_out) < least:
        started = (
            "" if run.identity.origin is None else "; years that the run it started from knew do not count"
        )
        raise RunError(
            f"{run.path} has hindcasts of {len(years_left_out)} harvest year ({len(members.seeds)} members)"
            f"{started}",
            f"Train at least {len(years)} seeds: each leaves out one of {len(years)} years.",
        )
    parts, season = [], date or forecaster.as_of
    for done, year in enumerate(years_left_out, 1):
        chosen = members.take(np.flatnonzero(held == year).tolist())
        parts.append(forecaster.hindcast(chosen, year, same_day(season, year - harvest_year)))
        progress(done, len(years_left_out))
    return RawForecasts.join(parts)


def _left_out_year(run: Run, seed: int) -> int:
    """The harvest year that a member has never seen; -1 where it was started from one that has seen it."""
    year, origin = held_year(run.identity.train_years, seed), run.identity.origin
    return -1 if origin is not None and year in origin.years_seen(seed) else year


def cached_hindcasts(
    forecaster: Forecaster,
    members: Ensemble,
    harvest_year: int,
    inputs: Mapping[str, str],
    progress: Progress = ignore_progress,
    *,
    date: dt.date | None = None,
    least: int = 2,
) -> RawForecasts:
    """`hindcasts` with a cache in the run directory, of at most `CACHE_FILES` files.

    A cache file that is damaged or cannot be written costs only the time of computing the hindcasts again.

    Args:
        forecaster, members, harvest_year, progress, date, least: see `hindcasts`.
        inputs: fingerprints of the inputs of the forecast; the same inputs have the same hindcasts.

    Raises:
        RunError: see `hindcasts`.
    """
    day = date or forecaster.as_of
    used = {name: mark for name, mark in inputs.items() if name != CROP_AREA}  # it changes no hindcast
    marks: list[Any] = [CACHE_FORMAT, forecaster.as_of.isoformat(), members.seeds, used]
    if date is not None:
        marks.append(date.isoformat())
    key = json.dumps(marks, sort_keys=True)
    folder = forecaster.run.path / "hindcasts"
    file = folder / f"{day}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"
    cached = _read_cache(file)
    if cached is not None:
        return cached
    made = hindcasts(forecaster, members, harvest_year, progress, date=date, least=least)
    with suppress(MissingDataError):  # without write permission the forecast still works
        make_folder(folder)
        atomic_write(
            file,
            lambda path: np.savez_compressed(
                path, **{f.name: getattr(made, f.name) for f in fields(RawForecasts)}
            ),
        )
        for old in sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime)[:-CACHE_FILES]:
            old.unlink(missing_ok=True)
    return made


def _read_cache(file: Path) -> RawForecasts | None:
    """The hindcasts of a cache file; None if it does not exist or is damaged."""
    try:
        with file.open("rb") as opened, np.load(opened) as arrays:  # numpy leaves a damaged file open
            return RawForecasts(**{f.name: arrays[f.name] for f in fields(RawForecasts)})
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
