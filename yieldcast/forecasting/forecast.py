"""A run, a store and a date to a forecast: pre-season and in-season are one call with another `as_of`.

Scenarios x members give raw quantiles (`hindcasts.Forecaster`), hindcasts of the years that members left out say
how far such forecasts err at the same lead, and `calibration` and `aggregates` make intervals of both.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

import calendars
from yieldcast.config import Settings
from yieldcast.data.files import fingerprint
from yieldcast.data.store import Store, Tables
from yieldcast.errors import MissingDataError
from yieldcast.features import season_dates
from yieldcast.features.seasons import known_weather
from yieldcast.features.yield_history import TREND_YEARS, YieldHistory
from yieldcast.forecasting import leakage, risk, scenarios, year_effects
from yieldcast.forecasting import table as forecast_table
from yieldcast.forecasting.aggregation import Aggregates, aggregate
from yieldcast.forecasting.calibration import Calibration, calibrate
from yieldcast.forecasting.hindcasts import Forecaster, RawForecasts, kept_hindcasts
from yieldcast.training.run_directory import Run, versions

if TYPE_CHECKING:
    from yieldcast.forecasting.predictor import Ensemble


Floats = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]
GROWN_YEARS = TREND_YEARS  # a place is forecast that grew the crop in one of so many public years


def _quiet(done: int, total: int) -> None:
    """Tell nobody."""


def forecast(
    run: Run,
    store: Store,
    harvest_year: int,
    as_of: dt.date,
    scenarios: str = "climatology",
    progress: Progress = _quiet,
    *,
    everywhere: bool = False,
    members: Ensemble | None = None,
) -> xr.Dataset:
    """The forecast of a harvest year as known on a date.

    Args:
        run: trained with a year left out by each member, on yields that were public on `as_of`.
        store: tables; values published after `as_of` are not read.
        harvest_year: the season, later than every training year.
        as_of: the date of the forecast.
        scenarios: "climatology", "analogue" or "seasonal".
        progress: called with members done and in all.
        everywhere: forecast every municipality with weather, not only those that grew the crop in one of the
            last ten public years.
        members: of the run, where they were loaded already.

    Returns:
        a checked table, see `forecast_table`.

    Raises:
        LeakageError: the run knows yields or weather that were not public, or the season itself.
        MissingDataError: nothing to forecast from.
        RunError: a run without hindcasts.
        ConfigError: unknown scenarios.
    """
    from yieldcast.forecasting.predictor import Ensemble

    plan = _Plan(run, store, harvest_year, as_of, scenarios)
    members = members or Ensemble.load(run)
    codes = plan.municipalities(everywhere)
    past = kept_hindcasts(
        plan.caster, members, harvest_year, plan.input_fingerprints
    )  # first: a run may have none
    raw, made = plan.caster.forecast(members, harvest_year, codes, progress)
    history_record = plan.record(raw)
    calibration = calibrate(past, history_record)
    together = aggregate(raw, plan.area(raw.municipality), past, history_record)
    return plan.table(raw, made, calibration, together, members)


def input_fingerprints(
    run: Run, store: Store, harvest_year: int, as_of: dt.date, scenarios: str
) -> dict[str, str]:
    """What a forecast would be made from; the same inputs give the same forecast.

    Reads tables only, neither TensorFlow nor the members.

    Raises:
        LeakageError, MissingDataError, ConfigError: as `forecast`.
    """
    return _Plan(run, store, harvest_year, as_of, scenarios).input_fingerprints


def public_train_years(store: Store, crop: str, as_of: dt.date, settings: Settings) -> tuple[int, ...]:
    """Harvest years that a run may be trained on for a forecast as of a date.

    Those whose yields were public and whose window's weather the store holds for half of the places that
    have a yield, or more.

    Raises:
        MissingDataError: fewer than two such years.
    """
    return leakage.trainable_years(store.tables, crop, as_of, settings.data)


class _Plan:
    """One forecast's tables, dates and settings, checked against leaks before anything is computed."""

    def __init__(self, run: Run, store: Store, harvest_year: int, as_of: dt.date, method: str) -> None:
        scenarios.check_method(method)
        self.run, self.store, self.harvest_year, self.as_of, self.method = (
            run, store, harvest_year, as_of, method,
        )  # fmt: skip
        self.publication = run.settings.data.publication()
        leakage.check_leaks(run, harvest_year, as_of)
        forecasts = store.seasonal if method == "seasonal" and "seasonal" in store else None
        self.tables: Tables = store.tables
        self.caster = Forecaster(run, self.tables, as_of, method, forecasts)
        self.panel: YieldHistory = self.caster.source.panel
        self.newest = min(self.publication.last_public_harvest_year(as_of), harvest_year - 1)

    def municipalities(self, everywhere: bool) -> npt.NDArray[np.int32]:
        """Codes to forecast, ascending."""
        known: npt.NDArray[np.int32] = self.tables.weather["municipality"].values
        if everywhere:
            return known
        column = self.newest - self.panel.first_year
        window = self.panel.own[:, max(column + 1 - GROWN_YEARS, 0) : max(column + 1, 0)]
        grown = self.panel.codes[(np.nan_to_num(window) > 0).any(axis=1)]
        chosen = known[np.isin(known, grown)]
        if not chosen.size:
            raise MissingDataError(
                f"no municipality with weather has a yield of {self.run.identity.crop} in the ten harvest "
                f"years to {self.newest}, the newest public on {self.as_of}",
                "Add yields or weather of the same municipalities (yieldcast status shows both).",
            )
        return chosen

    def area(self, codes: npt.NDArray[np.int32]) -> Floats:
        """(row,) newest public planted area in ha (harvested where no planted one is known), NaN without."""
        table = self.tables.yields.sel(crop=self.run.identity.crop)
        table = table.sel(harvest_year=table["harvest_year"] <= self.newest).sortby("harvest_year")
        result = np.full(len(codes), np.nan)
        for name in ("area_harvested_ha", "area_planted_ha"):
            if name in table and table.sizes["harvest_year"]:
                values = table[name].reindex(municipality=codes).transpose("municipality", "harvest_year")
                newest = _newest_known(values.values)
                result = np.where(np.isfinite(newest), newest, result)
        return result

    def record(self, raw: RawForecasts) -> year_effects.YearEffectRecord:
        """Year effects of the history line up to the newest public year."""
        area = dict(zip(raw.municipality.tolist(), np.nan_to_num(self.area(raw.municipality)), strict=True))
        states = dict(zip(raw.municipality.tolist(), raw.state.tolist(), strict=True))
        lag = max(self.harvest_year - self.newest, 1)
        return year_effects.year_effects_to(
            self.panel, states, self.newest, lag, area, forecast_table.ALL_MUNICIPALITIES
        )

    @cached_property
    def input_fingerprints(self) -> dict[str, str]:
        """See `inputs`."""
        weather = known_weather(self.tables.weather, self.as_of, self.publication)
        known = weather["tmax_degC"].notnull().any("municipality").values
        yields = self.tables.yields.sel(crop=[self.run.identity.crop])
        yields = yields.sel(harvest_year=yields["harvest_year"] <= self.newest)
        seasonal = self.caster.forecasts
        return {
            "run": self.run.run_id(),
            "harvest_year": str(self.harvest_year),
            "weather": fingerprint(weather.isel(time=known))[:16],
            "weather_known_to": leakage.month_text(weather["time"].values[known]),
            "yields": fingerprint(yields)[:16],
            "yields_known_to": str(self.newest),
            "places": fingerprint(self.tables.static)[:16],
            "scenarios": self.method,
            "seasonal": "" if seasonal is None else leakage.seasonal_start(seasonal, self.as_of),
        }

    def table(
        self, raw: RawForecasts, made: scenarios.Scenarios, calibration: Calibration, together: Aggregates,
        members: Ensemble,
    ) -> xr.Dataset:  # fmt: skip
        """The checked table of the forecast."""
        quantiles = calibration.apply(raw)
        rows = year_effects.PlaceYears(raw.municipality, raw.state, raw.harvest_year)
        placed = self.panel.rows(rows, max(self.harvest_year - self.newest, 1))
        window = self.panel.window(self.panel.own, placed.municipality, placed.last_year, TREND_YEARS)
        threshold = risk.low_threshold(window)
        last, mean, trend = np.where(np.isfinite(raw.naive_kg_ha), raw.naive_kg_ha, np.nan)
        values = {
            "yield_kg_ha": quantiles,
            "yield_mean_kg_ha": np.maximum(raw.mean_kg_ha, 0.0),
            "observed_share": raw.observed_share,
            "probability_low": risk.probability_below(quantiles, threshold),
            "low_threshold_kg_ha": threshold,
            "area_planted_ha": self.area(raw.municipality),
            "last_public_kg_ha": last,
            "mean_5y_public_kg_ha": mean,
            "trend_10y_public_kg_ha": trend,
            "own_history": raw.own,
            "rain_so_far_pct": raw.rain_so_far_pct,
            "tmax_so_far_anomaly_degC": raw.tmax_so_far_anomaly_degC,
            "aggregate_yield_kg_ha": together.quantiles_kg_ha,
            "aggregate_yield_mean_kg_ha": together.mean_kg_ha,
            "aggregate_observed_share": together.average(raw.observed_share),
            "aggregate_area_planted_ha": together.area_ha,
            "aggregate_last_public_kg_ha": together.average(last),
            "aggregate_mean_5y_public_kg_ha": together.average(mean),
            "aggregate_municipalities": together.municipalities,
        }
        return forecast_table.assemble(
            values, self._coordinates(raw), together.names, self._attributes(made, calibration, members)
        )

    def _coordinates(self, raw: RawForecasts) -> dict[str, Any]:
        static = self.tables.static.sel(municipality=raw.municipality)
        calendar, crop = self.run.calendar(), self.run.identity.crop
        starts = calendar.starts(crop, raw.state, raw.harvest_year)
        ends = (starts + calendar.steps(crop)).astype("datetime64[D]") - 1
        texts = {name: static[name].values.astype(str) for name in forecast_table.TEXTS}
        return {
            "municipality": raw.municipality, **texts,
            "latitude_deg": static["latitude_deg"].values, "longitude_deg": static["longitude_deg"].values,
            "window_start": starts.astype("datetime64[ns]"), "window_end": ends.astype("datetime64[ns]"),
        }  # fmt: skip

    def _attributes(
        self, made: scenarios.Scenarios, calibration: Calibration, members: Ensemble
    ) -> dict[str, Any]:
        run, given = self.run, self.input_fingerprints
        states = set(self.tables.static["state"].values.tolist())
        synthetic = run.identity.synthetic
        about = {
            "years": list(calibration.years), "record_years": calibration.record,
            "shift": [round(float(x), 4) for x in calibration.shift],
            "conformal": [bool(x) for x in calibration.conformal],
        }  # fmt: skip
        title = f"{run.identity.crop} {self.harvest_year} as of {self.as_of}"
        return {
            "title": f"Synthetic forecast: {title}" if synthetic else f"Yield forecast: {title}",
            "crop": run.identity.crop,
            "harvest_year": self.harvest_year,
            "as_of": self.as_of.isoformat(),
            "lead_months": season_dates.lead_months(
                run.calendar(), run.identity.crop, self.tables, self.harvest_year, self.as_of, self.newest
            ),
            "scenarios": self.method,
            "scenario_years": f"{', '.join(map(str, made.years))} ({len(made.labels)} scenarios)",
            "members": len(members.seeds),
            "run": run.path.resolve().name,
            "run_id": given["run"],
            "train_years": f"{min(run.identity.train_years)}-{max(run.identity.train_years)}",
            "last_public_harvest_year": self.newest,
            "weather_known_to": given["weather_known_to"],
            "calibration": json.dumps(about),
            "inputs": json.dumps(given, sort_keys=True),
            "country": "Brazil" if states <= set(calendars.brazil().regions) and not synthetic else "",
            "synthetic": int(synthetic),
            "made_with": ", ".join(f"{name} {version}" for name, version in versions().items()),
            **_credits(self.tables, self.caster.forecasts),
        }


def _newest_known(values: Floats) -> Floats:
    """(row,) the last finite value of each row of (row, year); NaN where there is none."""
    known = np.isfinite(values)
    column = values.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    newest: Floats = np.take_along_axis(values, column[:, None], axis=1)[:, 0]
    return np.where(known.any(axis=1), newest, np.nan)


def _credits(tables: Tables, seasonal: xr.Dataset | None) -> dict[str, str]:
    """Licence and attribution of everything that went in, each once."""
    used = [*tables, *([seasonal] if seasonal is not None else [])]
    found = {}
    for key, otherwise in (
        ("licence", "as the tables' owners say: they were imported without one"),
        ("attribution", "tables brought by the user; name their owners when you publish this"),
    ):
        texts = dict.fromkeys(str(ds.attrs[key]) for ds in used if ds.attrs.get(key))
        found[key] = "; ".join(texts) or otherwise
    return found
