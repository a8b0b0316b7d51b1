"""Raw forecasts of a run: scenarios x members for a season to come, and for past ones that a member left out.

A hindcast of a training year is made by the members that left this year out (`validation = "each_year"`),
with the season seen up to the same day of its year as the forecast's. What its errors say of the forecast's
is worked out in `calibration`.
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

from yieldcast.data.files import atomic_write, make_folder
from yieldcast.data.store import Tables
from yieldcast.errors import MissingDataError, RunError
from yieldcast.features import yield_history
from yieldcast.features.samples import SampleSet, Source
from yieldcast.forecasting import scenarios
from yieldcast.forecasting.table import QUANTILES
from yieldcast.forecasting.year_effects import yield_sd
from yieldcast.training.run_directory import Run

if TYPE_CHECKING:
    from yieldcast.forecasting.predictor import Ensemble


Floats = npt.NDArray[np.float64]
Notice = Callable[[str], None]


@dataclass(frozen=True)
class RawForecasts:
    """Forecasts before calibration, a row per municipality and harvest year.

    Args:
        municipality, harvest_year, state: (row,) whose it is.
        target_kg_ha: (row,) what was harvested; NaN where that is to come.
        quantiles_kg_ha: (quantile, row) of scenarios x members at `QUANTILES`.
        mean_kg_ha: (row,) their mean.
        scale_kg_ha: (row,) how far yields of the place usually lie from their level, from public years.
        observed_share: (row,) share of the season's months that were observed.
        naive_kg_ha: (3, row) newest public yield, mean of five, trend of ten; `own`: whether its own.
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
        """Some rows, by mask or position."""
        return replace(self, **{name: values.T[rows].T for name, values in self._arrays()})

    @staticmethod
    def join(parts: list[RawForecasts]) -> RawForecasts:
        """Rows of several, one after the other."""
        columns = zip(*(part._arrays() for part in parts), strict=True)
        return RawForecasts(**{same[0][0]: np.concatenate([v for _, v in same], axis=-1) for same in columns})

    def _arrays(self) -> list[tuple[str, npt.NDArray[Any]]]:
        return [(f.name, getattr(self, f.name)) for f in fields(self)]


@dataclass(frozen=True)
class Forecaster:
    """What forecasts and hindcasts of one run are made with, as of one date.

    Args:
        run: trained; its members' held years give the hindcasts.
        tables: of the store.
        as_of: nothing published later is seen.
        method: of `scenarios.METHODS`.
        forecasts: the table of seasonal forecasts, for "seasonal".
    """

    run: Run
    tables: Tables
    as_of: dt.date
    method: str = "climatology"
    forecasts: xr.Dataset | None = None

    @cached_property
    def source(self) -> Source:
        """Tables and settings as the run was trained with."""
        identity = self.run.identity
        return Source(
            self.tables, self.run.calendar(), identity.crop, self.run.settings.data, max(identity.train_years)
        )

    def forecast(
        self, members: Ensemble, harvest_year: int, municipalities: npt.NDArray[np.int32],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> tuple[RawForecasts, scenarios.Scenarios]:  # fmt: skip
        """The season to come, for those of the municipalities that have weather.

        Args:
            members: of the run.
            harvest_year: the season.
            municipalities: codes, ascending.
            progress: called with members done and in all.
        """
        names = self.run.identity.static_names
        rows = self.source.to_forecast(harvest_year, municipalities, self.as_of, names)
        made, usable = scenarios.make(self.source, rows, self.as_of, self.method, self.forecasts)
        rows = rows.take(usable)
        return self._raw(members, rows, made, self.as_of, progress), made

    def hindcast(self, members: Ensemble, year: int, seen: dt.date) -> RawForecasts:
        """A training year by the members that left it out.

        Args:
            members: those that left it out.
            year: the harvest year.
            seen: date up to which its season is seen.
        """
        data = self.run.settings.data
        rows, _ = self.source.build([year], static_names=self.run.identity.static_names)
        if data.yield_history:
            lags = yield_history.lag(rows, rows.window_end, data.publication(), seen)
            rows = self.source.with_history(rows, lags)
        # Seasonal forecasts do not reach back to the training years: past years stand in.
        method = "climatology" if self.method == "seasonal" else self.method
        made, usable = scenarios.make(self.source, rows, self.as_of, method, seen=seen)
        return self._raw(members, rows.take(usable), made, seen)

    def _raw(
        self, members: Ensemble, rows: SampleSet, made: scenarios.Scenarios, date: dt.date,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> RawForecasts:  # fmt: skip
        cast = members.predict(made.weather, rows.static, progress).reshape(-1, len(rows))
        panel = self.source.panel
        lags = yield_history.lag(rows, rows.window_end, self.run.settings.data.publication(), date)
        placed = panel.rows(rows, lags)
        naive, fallback = panel.naive(placed, np.full(len(rows), np.nan))
        return RawForecasts(
            rows.municipality, rows.harvest_year, rows.state, rows.target_kg_ha.astype(np.float64),
            np.quantile(cast, QUANTILES, axis=0).astype(np.float64), cast.mean(axis=0, dtype=np.float64),
            yield_sd(panel, rows, lags), made.observed.mean(axis=1), naive, ~fallback[1],
            made.rain_so_far_pct.astype(np.float64), made.tmax_so_far_anomaly_degC.astype(np.float64),
        )  # fmt: skip


def same_day(as_of: dt.date, years: int) -> dt.date:
    """The same day some years earlier; 28 February for the 29th."""
    try:
        return as_of.replace(year=as_of.year - years)
    except ValueError:
        return as_of.replace(year=as_of.year - years, day=28)


def hindcasts(
    caster: Forecaster, members: Ensemble, harvest_year: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RawForecasts:  # fmt: skip
    """Hindcasts of all training years that some member left out, at the lead of a forecast.

    Args:
        caster: as of the date of the forecast.
        members: all of the run.
        harvest_year: of the forecast.
        progress: called with years done and in all.

    Raises:
        RunError: the run has no members that left out a year, or only of one year.
    """
    from yieldcast.features.splits import held_year

    run = caster.run
    if run.settings.training.validation != "each_year":
        raise RunError(
            f"{run.path} has no hindcasts: its members were not trained with a harvest year left out each",
            'Train with [training] validation = "each_year", as yieldcast train --preset forecast does.',
        )
    years = run.identity.train_years
    held = np.array([held_year(years, seed) for seed in members.seeds])
    there = [year for year in years if (held == year).any()]
    if len(there) < 2:
        raise RunError(
            f"{run.path} has hindcasts of {len(there)} harvest year ({len(members.seeds)} members)",
            f"Train at least {len(years)} seeds: each leaves out one of {len(years)} years.",
        )
    parts = []
    for done, year in enumerate(there, 1):
        chosen = members.take(np.flatnonzero(held == year).tolist())
        parts.append(caster.hindcast(chosen, year, same_day(caster.as_of, harvest_year - year)))
        progress(done, len(there))
    return RawForecasts.join(parts)


KEPT = 24  # files of a run: two years of monthly issues; about 2 MB each for soybean in Brazil
FORMAT = 1


def kept_hindcasts(
    caster: Forecaster,
    members: Ensemble,
    harvest_year: int,
    inputs: Mapping[str, str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RawForecasts:
    """`hindcasts.hindcasts`, read from the run where the same were made before.

    Args:
        caster, members, harvest_year, progress: as there.
        inputs: what the forecast is made from; the same inputs have the same hindcasts.
    """
    what = json.dumps([FORMAT, caster.as_of.isoformat(), members.seeds, dict(inputs)], sort_keys=True)
    folder = caster.run.path / "hindcasts"
    file = folder / f"{caster.as_of}-{hashlib.sha256(what.encode()).hexdigest()[:12]}.npz"
    found = _read(file)
    if found is not None:
        return found
    made = hindcasts(caster, members, harvest_year, progress)
    with suppress(MissingDataError):  # a run that may not be written to serves all the same
        make_folder(folder)
        atomic_write(
            file,
            lambda path: np.savez_compressed(
                path, **{f.name: getattr(made, f.name) for f in fields(RawForecasts)}
            ),
        )
        for old in sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
    return made


def _read(file: Path) -> RawForecasts | None:
    try:
        with file.open("rb") as opened, np.load(opened) as kept:  # numpy leaves a damaged file open
            return RawForecasts(**{f.name: kept[f.name] for f in fields(RawForecasts)})
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None  # not there, or damaged: made again
