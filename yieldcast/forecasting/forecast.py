"""A run, a store and a date to a forecast: pre-season and in-season forecasts differ only in `as_of`.

`Forecaster` makes the uncalibrated quantiles (members x scenarios), and hindcasts of the harvest years that
the members left out. `calibration` and `aggregation` turn the errors of the hindcasts into intervals.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from calendars import country
from yieldcast.data.files import fingerprint
from yieldcast.data.store import Store, Tables
from yieldcast.errors import MissingDataError
from yieldcast.features import season_dates
from yieldcast.features.daily_months import network_tables
from yieldcast.features.official_estimates import Described
from yieldcast.features.seasons import known_weather, last_known_day
from yieldcast.features.yield_history import TREND_YEARS, YieldHistory
from yieldcast.forecasting import distribution, season_hindcasts
from yieldcast.forecasting.aggregation import Aggregates, aggregate
from yieldcast.forecasting.calibration import calibrate
from yieldcast.forecasting.combination import Combiner
from yieldcast.forecasting.evidence import evidence_of
from yieldcast.forecasting.expected import CropEvidence
from yieldcast.forecasting.freshness import freshness
from yieldcast.forecasting.hindcasts import (
    Forecaster,
    Progress,
    RawForecasts,
    cached_hindcasts,
    ignore_progress,
)
from yieldcast.forecasting.leakage import check_leaks
from yieldcast.forecasting.mapped_area import crop_area_fingerprint, mapped_columns, weather_cells
from yieldcast.forecasting.network_response import with_response
from yieldcast.forecasting.parts import part_variable
from yieldcast.forecasting.public_past import PublicYields, public_yields
from yieldcast.forecasting.scenarios import Scenarios, check_method
from yieldcast.forecasting.season_hindcasts import SeasonHindcast
from yieldcast.forecasting.seasonal_scenarios import start_fingerprint
from yieldcast.forecasting.some_states import chosen_states, rows_of, tables_of
from yieldcast.forecasting.table import COUNTRY_FILE, OFFICIAL_TEXTS, TEXTS, Forecast, assemble
from yieldcast.forecasting.water_steps import WaterMonths, water_months
from yieldcast.forecasting.year_effects import YearEffectRecord, year_effects_to
from yieldcast.language import message
from yieldcast.training.run_directory import Run, versions

if TYPE_CHECKING:
    from yieldcast.forecasting.predictor import Ensemble


Floats = npt.NDArray[np.float64]
GROWN_YEARS = TREND_YEARS  # a municipality is forecast if it grew the crop in one of so many public years


def forecast(
    run: Run,
    store: Store,
    harvest_year: int,
    as_of: dt.date,
    scenarios: str = "climatology",
    progress: Progress = ignore_progress,
    *,
    everywhere: bool = False,
    members: Ensemble | None = None,
    allow_stale: bool = False,
    states: Sequence[str] = (),
) -> Forecast:
    """The forecast of a harvest year as known on a date.

    Args:
        run: trained on yields that were public on `as_of`, with one harvest year left out by each member.
        store: tables; values published after `as_of` are not used.
        harvest_year: the season, later than every training year.
        as_of: date of the forecast.
        scenarios: "climatology", "analogue" or "seasonal", see `forecasting.scenarios`.
        progress: called with the number of members done and of all members.
        everywhere: forecast every municipality with weather, not only those that grew the crop in one of the
            last ten public harvest years.
        members: of the run, if they are loaded already.
        allow_stale: also from a store that is far behind what was public, see `forecasting.freshness`.
        states: codes or names of states; the table holds only their municipalities and, as its first
            aggregate, all of these. The forecast of each municipality and state is that of the whole country.

    Returns:
        a checked forecast, yields in kg/ha, see `table.check_forecast`.

    Raises:
        LeakageError: the run was trained on data that were not public, or on the season itself.
        MissingDataError: the tables lack what the forecast needs, or the store is stale.
        RunError: the members of the run did not leave out harvest years, so there are no hindcasts.
        ConfigError: unknown scenarios or states.
    """
    plan = ForecastPlan(run, store, harvest_year, as_of, scenarios, allow_stale=allow_stale, states=states)
    return plan.forecast(progress, everywhere=everywhere, members=members)


class ForecastPlan:
    """One forecast before it is computed: its tables, dates and settings, checked against leaks.

    Args:
        run, store, harvest_year, as_of, scenarios: see `forecast`.
        evidence: of the store, if it was made already; it does not depend on the date.
        allow_stale, states: see `forecast`.

    Raises:
        LeakageError, MissingDataError, ConfigError: as `forecast`.
    """

    def __init__(
        self,
        run: Run,
        store: Store,
        harvest_year: int,
        as_of: dt.date,
        scenarios: str = "climatology",
        evidence: CropEvidence | None = None,
        *,
        allow_stale: bool = False,
        states: Sequence[str] = (),
    ) -> None:
        check_method(scenarios)
        self.store, self._evidence = store, evidence
        self.run, self.harvest_year, self.as_of, self.method = run, harvest_year, as_of, scenarios
        self.publication = run.settings.data.publication()
        check_leaks(run, harvest_year, as_of)
        seasonal = store.seasonal if scenarios == "seasonal" and "seasonal" in store else None
        self.tables: Tables = network_tables(store, run.settings.data)
        self.freshness = freshness(
            store, self.tables, run.identity.crop, harvest_year, as_of, run.calendar(), run.settings
        )
        if not allow_stale:
            self.freshness.check()
        self.forecaster = Forecaster(run, self.tables, as_of, scenarios, seasonal)
        self.history: YieldHistory = self.forecaster.source.history
        self.states = chosen_states(store, states)
        self.newest = min(self.publication.last_public_harvest_year(as_of), harvest_year - 1)
        self._seasons: Callable[[], list[SeasonHindcast]] = list  # none before the forecast is made
        self._left_out: dict[str, list[str]] = {}

    def forecast(
        self,
        progress: Progress = ignore_progress,
        *,
        everywhere: bool = False,
        members: Ensemble | None = None,
    ) -> Forecast:
        """Compute the forecast; arguments and errors as the function `forecast`."""
        from yieldcast.forecasting.predictor import Ensemble

        members = members or Ensemble.load(self.run)
        codes = self.municipalities(everywhere)
        # Hindcasts first: they are refused for a run whose members left out no harvest year.
        past = cached_hindcasts(self.forecaster, members, self.harvest_year, self.input_fingerprints)
        raw, scenarios = self.forecaster.forecast(members, self.harvest_year, codes, progress)
        area = self._area(raw.municipality)
        kept = rows_of(self.states, raw.state, self.run.identity.crop)
        self._left_out = self._without_weather(raw, everywhere)
        record = self._year_effects(raw, np.where(kept, area, 0.0))
        aggregates = aggregate(raw.take(kept), area[kept], past, record)
        if self.run.settings.forecast.method == "posterior":
            combiner, response = self.combiner, self.run.settings.network.form == "response"
            if response:
                raw, past = with_response(combiner, raw, past, self.run.seeds())
            chosen = kept if self.states else None
            found = combiner.combine(raw, past, within_states=not response, chosen=chosen)
            raw = replace(raw, mean_kg_ha=found.mean).take(kept)
            aggregates = found.replace(aggregates)
            wanted = raw.municipality
            self._seasons = lambda: season_hindcasts.of_combination(found.hindcasts, self.codes, wanted)
            attributes = self._attributes(scenarios, found.about(), members)
            more = {part_variable(name): values[kept] for name, values in found.parts.items()}
            more |= self._baselines(raw)
            official = self.evidence.estimates.described(aggregates.names, self.harvest_year, self.as_of)
            return self._table(raw, area[kept], found.quantiles[kept], aggregates, attributes, more, official)
        calibration = calibrate(past, record)
        self._seasons = lambda: season_hindcasts.of_network(past, record)
        attributes = self._attributes(scenarios, calibration.about(), members)
        raw = raw.take(kept)
        return self._table(raw, area[kept], calibration.apply(raw), aggregates, attributes, {})

    @property
    def known_to(self) -> int:
        """Newest harvest year before the season whose yields were public and are in the store."""
        known = self.freshness.yields_known_to
        return self.newest if known is None else known

    @property
    def season_hindcasts(self) -> list[SeasonHindcast]:
        """Past seasons on the same day, once the forecast is made; none where they are too few."""
        return self._seasons()

    @property
    def public_yields(self) -> PublicYields:
        """The yields that were public on the date, for readers."""
        return public_yields(self.history, self.newest)

    @property
    def water_months(self) -> WaterMonths | None:
        """What the water of each month so far added; only for the method "posterior", else None."""
        if self.run.settings.forecast.method != "posterior":
            return None
        return water_months(self.combiner.protocol, self.codes)

    @property
    def lead_months(self) -> int:
        """Months from the date to the end of harvest."""
        run = self.run
        return season_dates.lead_months(
            run.calendar(), run.identity.crop, tables_of(self.states, self.tables), self.harvest_year,
            self.as_of, self.newest,
        )  # fmt: skip

    @property
    def codes(self) -> npt.NDArray[np.int32]:
        """(municipality,) codes of the places table."""
        codes: npt.NDArray[np.int32] = self.tables.static["municipality"].values
        return codes

    @cached_property
    def evidence(self) -> CropEvidence:
        """What the store says of the crop; only for the method "posterior"."""
        run = self.run
        return self._evidence or evidence_of(self.store, run.identity.crop, run.calendar(), run.settings)

    @cached_property
    def combiner(self) -> Combiner:
        """What the forecast is combined from; only for the method "posterior"."""
        return Combiner(self.evidence, self.codes, self.harvest_year, self.as_of)

    def municipalities(self, everywhere: bool) -> npt.NDArray[np.int32]:
        """Codes to forecast, ascending."""
        known: npt.NDArray[np.int32] = self.tables.weather["municipality"].values
        chosen = known[np.isin(known, self._wanted(everywhere))]
        if not chosen.size:
            raise MissingDataError(
                f"no municipality with weather has a yield of {self.run.identity.crop} in the ten harvest "
                f"years to {self.newest}, the newest public on {self.as_of}",
                "Add yields or weather of the same municipalities (yieldcast status shows both tables).",
            )
        return chosen

    def _wanted(self, everywhere: bool) -> npt.NDArray[np.integer]:
        """Codes of the municipalities that grew the crop, or of all."""
        if everywhere:
            return self.codes
        column = self.newest - self.history.first_year
        window = self.history.own[:, max(column + 1 - GROWN_YEARS, 0) : max(column + 1, 0)]
        grown: npt.NDArray[np.integer] = self.history.codes[(np.nan_to_num(window) > 0).any(axis=1)]
        return grown

    def _without_weather(self, raw: RawForecasts, everywhere: bool) -> dict[str, list[str]]:
        """Codes of the municipalities that have no row because they lack weather, and of the states that
        have no other; empty without any.
        """
        static = self.tables.static
        states, numbers = static["state"].values.astype(str), static["municipality"].values
        lost = np.isin(numbers, self._wanted(everywhere)) & ~np.isin(numbers, raw.municipality)
        if self.states:
            lost &= np.isin(states, self.states)
        if not lost.any():
            return {}
        codes: list[str] = static["code"].values.astype(str)[lost].tolist()
        return {"weather": codes, "states": sorted(set(states[lost].tolist()) - set(raw.state.tolist()))}

    def _area(self, codes: npt.NDArray[np.int32]) -> Floats:
        """(row,) newest public planted area in ha, else newest harvested area; NaN if neither is known."""
        table = self.tables.yields.sel(crop=self.run.identity.crop)
        table = table.sel(harvest_year=table["harvest_year"] <= self.newest).sortby("harvest_year")
        result = np.full(len(codes), np.nan)
        for name in ("area_harvested_ha", "area_planted_ha"):
            if name in table and table.sizes["harvest_year"]:
                values = table[name].reindex(municipality=codes).transpose("municipality", "harvest_year")
                newest = _newest_known(values.values)
                result = np.where(np.isfinite(newest), newest, result)
        return result

    def _year_effects(self, raw: RawForecasts, area_ha: Floats) -> YearEffectRecord:
        """Year effects of the history baseline up to the newest public harvest year."""
        areas = dict(zip(raw.municipality.tolist(), np.nan_to_num(area_ha), strict=True))
        states = dict(zip(raw.municipality.tolist(), raw.state.tolist(), strict=True))
        lag = max(self.harvest_year - self.newest, 1)
        return year_effects_to(self.history, states, self.newest, lag, areas)

    @cached_property
    def input_fingerprints(self) -> dict[str, str]:
        """Fingerprints of everything the forecast is made from; the same inputs give the same forecast.

        From the tables only: neither TensorFlow nor the members are read.
        """
        weather = known_weather(self.tables.weather, self.as_of, self.publication)
        known = weather["tmax_degC"].notnull().any("municipality").values
        yields = self.tables.yields.sel(crop=[self.run.identity.crop])
        yields = yields.sel(harvest_year=yields["harvest_year"] <= self.newest)
        months = weather["time"].values[known]
        seasonal = self.forecaster.seasonal
        newer = self.newer_fingerprints() if self.run.settings.forecast.method == "posterior" else {}
        return {
            "run": self.run.run_id(),
            "harvest_year": str(self.harvest_year),
            "weather": fingerprint(weather.isel(time=known))[:16],
            "weather_known_to": str(months.max().astype("datetime64[M]")) if months.size else "",
            "yields": fingerprint(yields)[:16],
            "yields_known_to": str(self.known_to),
            "places": fingerprint(self.tables.static)[:16],
            "scenarios": self.method,
            "seasonal": "" if seasonal is None else start_fingerprint(seasonal, self.as_of),
            **newer,
            **({"states": ", ".join(self.states)} if self.states else {}),
            **crop_area_fingerprint(self.store, self.run.identity.crop, self.as_of),
        }

    def newer_fingerprints(self) -> dict[str, str]:
        """Of the estimates and daily weather that were public; empty texts where the store has none."""
        found = {"estimates": "", "daily": ""}
        if "estimates" in self.store:
            table = self.store.estimates
            public = table["public_from"].values <= np.datetime64(self.as_of)
            mine = public & (table["crop"].values.astype(str) == self.run.identity.crop)
            found["estimates"] = fingerprint(table.isel(estimate=np.flatnonzero(mine)))[:16]
        if "daily" in self.store:
            day = last_known_day(self.publication, daily=True)(self.as_of)
            found["daily"] = fingerprint(self.store.daily.sel(time=slice(None, day)))[:16]
        return found

    def _table(
        self, raw: RawForecasts, area_ha: Floats, quantiles: Floats, aggregates: Aggregates,
        attributes: dict[str, Any], more: dict[str, Floats], official: Described | None = None,
    ) -> Forecast:  # fmt: skip
        """The checked table; `more` and `official` hold what only the method "posterior" gives."""
        placed = self.history.rows(raw, max(self.harvest_year - self.newest, 1))
        window = self.history.window(self.history.own, placed.municipality, placed.last_year, TREND_YEARS)
        threshold = distribution.low_threshold(window)
        last, mean, trend = np.where(np.isfinite(raw.naive_kg_ha), raw.naive_kg_ha, np.nan)
        values = {
            "yield_kg_ha": quantiles,
            "yield_mean_kg_ha": np.maximum(raw.mean_kg_ha, 0.0),
            "observed_share": raw.observed_share,
            "probability_low": distribution.probability_below(quantiles, threshold),
            "low_threshold_kg_ha": threshold,
            "area_planted_ha": area_ha,
            "last_public_kg_ha": last,
            "mean_5y_public_kg_ha": mean,
            "trend_10y_public_kg_ha": trend,
            "own_history": raw.own,
            "rain_so_far_pct": raw.rain_so_far_pct,
            "tmax_so_far_anomaly_degC": raw.tmax_so_far_anomaly_degC,
            "aggregate_yield_kg_ha": aggregates.quantiles_kg_ha,
            "aggregate_yield_mean_kg_ha": aggregates.mean_kg_ha,
            "aggregate_observed_share": aggregates.average(raw.observed_share),
            "aggregate_area_planted_ha": aggregates.area_ha,
            "aggregate_last_public_kg_ha": aggregates.average(last),
            "aggregate_mean_5y_public_kg_ha": aggregates.average(mean),
            "aggregate_municipalities": aggregates.municipalities,
        }
        values |= more
        texts = {}
        if official is not None:
            values["aggregate_official_kg_ha"] = official.yield_kg_ha
            texts = dict(zip(OFFICIAL_TEXTS, official[1:], strict=True))
        mapped, about = mapped_columns(
            self.store, self.run.identity.crop, self.as_of, raw.municipality, raw.state, aggregates.names
        )
        values, attributes = values | mapped, attributes | about
        return assemble(values, self._coordinates(raw), aggregates.names, attributes, texts)

    def _baselines(self, raw: RawForecasts) -> dict[str, Floats]:
        """The baselines `level_trend` and `official` of the rows, see `evaluation.public_lines`."""
        rows = np.searchsorted(self.codes, raw.municipality)
        line, _, _ = self.evidence.expected_line(self.harvest_year, self.as_of)
        factor = self.evidence.official_factor(self.harvest_year, self.as_of)
        mean = np.where(np.isfinite(raw.naive_kg_ha[1]), raw.naive_kg_ha[1], np.nan)
        return {"level_trend_public_kg_ha": line[rows], "official_public_kg_ha": mean * factor[rows]}

    def _coordinates(self, raw: RawForecasts) -> dict[str, Any]:
        static = self.tables.static.sel(municipality=raw.municipality)
        calendar, crop = self.run.calendar(), self.run.identity.crop
        starts = calendar.starts(crop, raw.state, raw.harvest_year)
        ends = (starts + calendar.steps(crop)).astype("datetime64[D]") - 1
        texts = {name: static[name].values.astype(str) for name in TEXTS}
        return {
            "municipality": raw.municipality, **texts,
            "latitude_deg": static["latitude_deg"].values, "longitude_deg": static["longitude_deg"].values,
            "window_start": starts.astype("datetime64[ns]"), "window_end": ends.astype("datetime64[ns]"),
        }  # fmt: skip

    def _attributes(
        self, scenarios: Scenarios, calibration: dict[str, Any], members: Ensemble
    ) -> dict[str, Any]:
        run, fingerprints, of = self.run, self.input_fingerprints, self.store.country
        states = set(self.tables.static["state"].values.tolist())
        synthetic = run.identity.synthetic
        title = f"{run.identity.crop} {self.harvest_year} as of {self.as_of}"
        return {
            "title": f"Synthetic forecast: {title}" if synthetic else f"Yield forecast: {title}",
            "crop": run.identity.crop,
            "harvest_year": self.harvest_year,
            "as_of": self.as_of.isoformat(),
            "lead_months": self.lead_months,
            "scenarios": self.method,
            "scenario_years": f"{', '.join(map(str, scenarios.years))} ({len(scenarios.labels)} scenarios)",
            "members": len(members.seeds),
            "run": run.path.resolve().name,
            "run_id": fingerprints["run"],
            "train_years": f"{min(run.identity.train_years)}-{max(run.identity.train_years)}",
            "last_public_harvest_year": self.known_to,
            "weather_known_to": fingerprints["weather_known_to"],
            "calibration": json.dumps(calibration),
            "inputs": json.dumps(fingerprints, sort_keys=True),
            "country": of.name if states <= set(of.states or states) and not synthetic else "",
            "synthetic": int(synthetic),
            "made_with": ", ".join(f"{name} {version}" for name, version in versions().items()),
            **_credits(self.tables, self.forecaster.seasonal),
            **({} if of is country.default() else {COUNTRY_FILE: of.files.get(country.FILE, "")}),
            **self._gaps(),
            **weather_cells(self.tables.weather),
        }

    def _gaps(self) -> dict[str, Any]:
        """Attributes of some forecasts only: hindcasts, those of some states or of a store with gaps."""
        fresh, found = self.freshness, dict[str, Any]()
        if self.states:
            found |= {"states": ", ".join(self.states), "country": ""}
        if missing := fresh.missing():
            found["missing"] = json.dumps(missing)
        if self._left_out:
            found["left_out"] = json.dumps(self._left_out)
        if fresh.outcome == "public":
            found["outcome_public"] = 1
        if fresh.yields_public_to != self.known_to:
            found["yields_public_to"] = fresh.yields_public_to
        return found


def _newest_known(values: Floats) -> Floats:
    """(row,) the last finite value of each row of (row, year); NaN if the row has none."""
    known = np.isfinite(values)
    column = values.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    newest: Floats = np.take_along_axis(values, column[:, None], axis=1)[:, 0]
    return np.where(known.any(axis=1), newest, np.nan)


def _credits(tables: Tables, seasonal: xr.Dataset | None) -> dict[str, str]:
    """Licence and attribution of all tables used, each text once."""
    used = [*tables, *([seasonal] if seasonal is not None else [])]
    found = {}
    for key, otherwise in (
        ("licence", message("as the tables' owners say: they were imported without one")),
        ("attribution", message("tables brought by the user; name their owners when you publish this")),
    ):
        texts = dict.fromkeys(str(ds.attrs[key]) for ds in used if ds.attrs.get(key))
        found[key] = "; ".join(texts) or otherwise
    return found
