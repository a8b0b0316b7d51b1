"""Scores of the forecasts of a backtest, one date after the other, beside the baselines of the date."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from yieldcast.data.files import atomic_text, fingerprint, make_folder
from yieldcast.data.store import Store
from yieldcast.data.store_tables import TABLES
from yieldcast.errors import MissingDataError, YieldcastError
from yieldcast.evaluation import metrics, skill
from yieldcast.evaluation.accuracy import Harvest, Prediction, accuracy_rows, state_values
from yieldcast.evaluation.case_forecasts import (
    Network,
    PosteriorSteps,
    forward_network,
    left_out_network,
    of_network_forecast,
)
from yieldcast.evaluation.cases import Backtest, ForecastCase
from yieldcast.evaluation.public_lines import OFFICIAL, has_estimates, line_baselines
from yieldcast.evaluation.score_rows import Said, ScoredPlaces, read_rows, score_table, write_rows
from yieldcast.evaluation.skill import CLIMATOLOGY, FORECAST_MODEL
from yieldcast.features import season_dates, yield_history
from yieldcast.features.daily_months import network_tables
from yieldcast.features.samples import SampleSet
from yieldcast.features.source import Source, build_samples
from yieldcast.features.yield_history import TREND_YEARS, YieldHistory
from yieldcast.forecasting.combination import Combiner
from yieldcast.forecasting.evidence import evidence_of
from yieldcast.forecasting.expected import CropEvidence
from yieldcast.forecasting.forecast import GROWN_YEARS, ForecastPlan
from yieldcast.forecasting.hindcasts import Forecaster
from yieldcast.forecasting.leakage import other_years, trainable_years
from yieldcast.forecasting.table import QUANTILES
from yieldcast.models.baselines import public_baselines
from yieldcast.training.pipeline import train_run
from yieldcast.training.run_directory import Run

if TYPE_CHECKING:
    import pandas as pd

    from yieldcast.forecasting.predictor import Ensemble
    from yieldcast.training.trainer import Epoch

SCORES_FORMAT = 3
ROW_FILE = "row_file"  # key of the scores of a case
OFFICIAL_ESTIMATE = "official_estimate"
# Gives, for the label of a training, a context that shows its epochs.
Training = Callable[[str], AbstractContextManager[Callable[["Epoch"], None]]]


class CaseScorer:
    """Scores of the cases of one backtest, and what they have in common: runs, members, trees, tables.

    Args:
        test: the backtest.
        training: called with the label of each training; gives a context that shows its epochs.
    """

    def __init__(self, test: Backtest, training: Training) -> None:
        self.test, self.training = test, training
        self.tables, self.crop = network_tables(test.store, test.settings.data), test.crop
        self.codes: npt.NDArray[np.int32] = self.tables.static["municipality"].values
        self.calendar = season_dates.calendar_for(test.settings.data, self.tables.static, test.store.country)
        self.publication = test.settings.data.publication()
        self.forward = test.protocol == "forward"
        self._years: dict[ForecastCase, tuple[int, ...]] = {}
        self._stores: dict[int, tuple[Store, YieldHistory]] = {}
        self.runs: dict[tuple[int, ...], Run] = {}
        self.members: dict[tuple[int, ...], Ensemble] = {}
        self.trees: dict[tuple[int, ...], tuple[SampleSet, dict[tuple[int, int], Any]]] = {}
        self.plain = test.settings.data.model_copy(
            update={"weather_inputs": "values", "yield_history": False}
        )

    @cached_property
    def evidence(self) -> CropEvidence:
        """What the store says of the crop."""
        return evidence_of(self.test.store, self.crop, self.calendar, self.test.settings)

    # --- runs ---

    def train_years(self, case: ForecastCase) -> tuple[int, ...]:
        """Harvest years of the run of a case.

        Raises:
            MissingDataError: fewer than two.
        """
        if case not in self._years:
            data = self.test.settings.data
            if self.forward:
                years = trainable_years(self.tables, self.crop, case.as_of, data, self.test.store.country)
                self._years[case] = tuple(year for year in years if year < case.harvest_year)
            else:
                self._years[case] = other_years(
                    self.tables, self.crop, case.harvest_year, data, self.test.store.country
                )
        return self._years[case]

    def run_for(self, case: ForecastCase) -> Run:
        """The run of the case: trained now if it is not in the folder."""
        years = self.train_years(case)
        if years not in self.runs:
            label = f"to {years[-1]}" if self.forward else f"without {case.harvest_year}"
            name = f"{years[0]}-{years[-1]}" if self.forward else f"without-{case.harvest_year}"
            with self.training(f"training {self.crop} {label}") as epochs:
                self.runs[years] = train_run(
                    self._record(case)[0], self.crop, years, range(1, self.test.seeds + 1),
                    self.test.folder / "runs" / f"{self.crop}-{name}", self.test.settings, progress=epochs,
                )  # fmt: skip
        return self.runs[years]

    def _record(self, case: ForecastCase) -> tuple[Store, YieldHistory]:
        """The store and its yields; in the leave-year-out protocol without those of the harvest year."""
        left_out = 0 if self.forward else case.harvest_year
        if left_out not in self._stores:
            store = self.test.store if self.forward else _without(self.test.store, self.crop, left_out)
            states = yield_history.states_of(self.tables.static)
            self._stores[left_out] = (store, YieldHistory.of(store.yields, states, self.crop))
        return self._stores[left_out]

    def _members(self, run: Run) -> Ensemble:
        from yieldcast.forecasting.predictor import Ensemble

        years = run.identity.train_years
        if years not in self.members:
            self.members[years] = Ensemble.load(run)
        return self.members[years]

    # --- scores ---

    def scores(self, case: ForecastCase, run: Run | None = None) -> dict[str, Any]:
        """Scores of one forecast, read from the folder or computed and written to it.

        Args:
            case: the forecast.
            run: of the case, if it was trained already.

        Returns:
            lists of scores by the names of `BacktestResult`, and `ROW_FILE`, the path of the rows.
        """
        test = self.test
        if test.seeds and run is None:
            run = self.run_for(case)
        plan = None
        if run is not None and self.forward:
            plan = ForecastPlan(
                run,
                test.store,
                case.harvest_year,
                case.as_of,
                test.scenarios,
                self.evidence,
                allow_stale=True,
            )
        file = test.folder / "scores" / f"{self._stem(case)}-{self._mark(case, run, plan)}.json"
        row_file = file.with_suffix(".csv.gz")
        try:
            kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            read_rows(row_file)
            return {**kept, ROW_FILE: row_file}
        except (OSError, ValueError, YieldcastError):  # no such file (no rows of an earlier version), damaged
            pass
        scores, rows = self._compute(case, run, plan)
        make_folder(file.parent)
        write_rows(row_file, [rows])
        atomic_text(file, json.dumps(scores, indent=1, allow_nan=False))
        return {**scores, ROW_FILE: row_file}

    def _stem(self, case: ForecastCase) -> str:
        left_out = "" if self.forward else "left-out-"
        return f"{self.crop}-{left_out}{case.harvest_year}-{case.as_of}"

    def _mark(self, case: ForecastCase, run: Run | None, plan: ForecastPlan | None) -> str:
        """Fingerprint of everything that the scores of a case are made from."""
        if plan is not None:
            inputs = {**plan.input_fingerprints, **plan.newer_fingerprints()}
        else:
            inputs = {**self._whole_store, "run": run.run_id() if run else "", "as_of": str(case.as_of)}
            inputs["settings"] = self.test.settings.model_dump_json()
        truth = self.tables.yields.sel(crop=[self.crop], harvest_year=[case.harvest_year])
        marks = [SCORES_FORMAT, self.test.protocol, self.test.scenarios, inputs, fingerprint(truth)]
        return hashlib.sha256(json.dumps(marks, sort_keys=True).encode()).hexdigest()[:12]

    @cached_property
    def _whole_store(self) -> dict[str, str]:
        store = self.test.store
        return {table: fingerprint(getattr(store, table)) for table in TABLES if table in store}

    def _compute(
        self, case: ForecastCase, run: Run | None, plan: ForecastPlan | None
    ) -> tuple[dict[str, Any], pd.DataFrame]:
        """Scores of the case, and what every model said of every row that they rest on."""
        place = self._asked(case)
        harvest = self._harvest(case)
        baselines, past = self._baselines(case, place)
        forecast, steps = self._forecasts(case, run, plan, place)
        predictions = {FORECAST_MODEL: forecast} | {
            name: Prediction(self._everywhere(values, place)) for name, values in baselines.items()
        }
        predictions[CLIMATOLOGY] = Prediction(
            self._everywhere(past.mean(axis=1), place), self._everywhere(past, place)
        )
        rows = np.isfinite(harvest.yields)
        for one in predictions.values():
            rows &= np.isfinite(np.asarray(one.municipality))
        scores = self._scores_by_lead(case, predictions, harvest.yields, rows)
        everything = {**predictions, **steps, **self._official_estimate(case, predictions, harvest)}
        about = {
            "crop": self.crop, "protocol": self.test.protocol, "as_of": case.as_of.isoformat(),
            "harvest_year": case.harvest_year,
        }  # fmt: skip
        scores["accuracy"] = accuracy_rows(about, everything, harvest)
        return scores, self._score_rows(case, predictions, harvest.yields, rows)

    def _score_rows(
        self, case: ForecastCase, predictions: dict[str, Prediction], truth: npt.NDArray[np.float64],
        rows: npt.NDArray[np.bool_],
    ) -> pd.DataFrame:  # fmt: skip
        """What the forecast and every baseline said of the rows that are scored."""
        years = np.full(int(rows.sum()), case.harvest_year)
        states = self.tables.static["state"].values.astype(str)[rows]
        day = np.datetime64(case.as_of)
        places = ScoredPlaces(self.crop, self.codes[rows], years, day, states, truth[rows])
        said = {
            name: Said(np.asarray(one.municipality)[rows], quantiles_of(one, rows))
            for name, one in predictions.items()
        }
        return score_table(places, said)

    # --- rows ---

    def _asked(self, case: ForecastCase) -> npt.NDArray[np.intp]:
        """Positions of the municipalities to forecast: with a yield to score, or in ten public years."""
        newest = self.evidence.newest_public_year(case.harvest_year, case.as_of)
        last = self.evidence.column(newest)
        window = self.evidence.yields[:, max(last + 1 - GROWN_YEARS, 0) : max(last + 1, 0)]
        truth = self.evidence.yields[:, self.evidence.column(case.harvest_year)]
        return np.flatnonzero(np.isfinite(window).any(axis=1) | np.isfinite(truth))

    def _harvest(self, case: ForecastCase) -> Harvest:
        evidence = self.evidence
        column = evidence.column(case.harvest_year)
        newest = evidence.newest_public_year(case.harvest_year, case.as_of)
        return Harvest(
            evidence.yields[:, column], evidence.area[:, column], evidence.newest_area(newest),
            evidence.places, evidence.line(newest, case.harvest_year).noise_sd,
        )  # fmt: skip

    def _everywhere(self, values: npt.NDArray[Any], place: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
        """(municipality, ...) from (row, ...); NaN elsewhere."""
        found = np.full((len(self.codes), *values.shape[1:]), np.nan)
        found[place] = values
        return found

    # --- what is scored ---

    def _forecasts(
        self, case: ForecastCase, run: Run | None, plan: ForecastPlan | None, place: npt.NDArray[np.intp]
    ) -> tuple[Prediction, dict[str, Prediction]]:
        """The forecast and its ingredients."""
        members = None if run is None else self._members(run)
        if not self.test.posterior:
            if plan is None or members is None:
                raise ValueError('the method "network" needs a run')
            made = plan.forecast(members=members, everywhere=True)
            return of_network_forecast(made, self.codes, self.evidence), {}
        network: Network | None = None
        known = np.intersect1d(self.codes[place], self.tables.weather["municipality"].values)
        if plan is not None:
            network = forward_network(plan, known)
        elif run is not None:
            network = left_out_network(
                self._left_out(case, run), case.harvest_year, case.as_of, known, self._whole_store
            )
        combiner = Combiner(self.evidence, self.codes, case.harvest_year, case.as_of, self.test.protocol)
        response = self.test.settings.network.form == "response"
        one = PosteriorSteps(combiner, network, members, response)
        return one.forecast, one.steps()

    def _left_out(self, case: ForecastCase, run: Run) -> Forecaster:
        """Makes forecasts with all weather of the record and without the yields of the harvest year."""
        last = self.tables.weather["time"].values[-1].astype("datetime64[D]").item()
        known = self.publication.weather_public(last.replace(day=1))
        return Forecaster(run, self._record(case)[0].tables, known, self.test.scenarios)

    def _baselines(
        self, case: ForecastCase, place: npt.NDArray[np.intp]
    ) -> tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.float64]]:
        """(row,) predictions of every baseline, and (row, quantile) those of climatology."""
        dated, (_, history) = self._dated_rows(case, place), self._record(case)
        lags = yield_history.lag(dated, dated.window_end, self.publication, case.as_of)
        placed = history.rows(dated, lags)
        train, fitted = self._trees(case, dated)
        found = public_baselines(history, placed, train, dated, fitted, public_only=self.forward)
        days = np.full(len(dated), np.datetime64(case.as_of))
        found |= line_baselines(self.evidence, self.codes, dated, days, found["mean_5y_public"])
        window = history.window(history.own, placed.municipality, placed.last_year, TREND_YEARS)
        past = skill.climatology(window, dated.state)
        return {name: one.prediction for name, one in found.items()}, past

    def _dated_rows(self, case: ForecastCase, place: npt.NDArray[np.intp]) -> SampleSet:
        """Rows with the weather known on the date, the rest of the season as usual."""
        source = Source(self.tables, self.calendar, self.crop, self.plain, case.harvest_year)
        years = np.full(len(place), case.harvest_year, dtype=np.int16)
        season, names = source.season(place, years, case.as_of)
        nothing = np.full(len(place), np.nan, dtype=np.float32)
        return source.samples(season, names, place, nothing, case.as_of, None)

    def _trees(self, case: ForecastCase, dated: SampleSet) -> tuple[SampleSet, dict[tuple[int, int], Any]]:
        """Training rows of the boosted baseline and its fitted trees; without years to train on no rows."""
        try:
            years = self.train_years(case)
        except MissingDataError:
            if self.test.seeds:
                raise
            return dated.take(np.zeros(len(dated), dtype=bool)), {}
        if years not in self.trees:
            tables = self._record(case)[0].tables
            train, _ = build_samples(tables, self.calendar, self.crop, years, self.plain)
            self.trees[years] = (train, {})
        return self.trees[years]

    def _official_estimate(
        self, case: ForecastCase, predictions: dict[str, Prediction], harvest: Harvest
    ) -> dict[str, Prediction]:
        """The estimate of every state; a state without one has the baseline `official`."""
        if not has_estimates(self.evidence) or OFFICIAL not in predictions:
            return {}
        found = self.evidence.estimates.newest(case.harvest_year, case.as_of).yield_kg_ha
        if not np.isfinite(found).any():
            return {}
        otherwise = state_values(predictions[OFFICIAL], harvest)
        return {OFFICIAL_ESTIMATE: Prediction(state=np.where(np.isfinite(found), found, otherwise))}

    # --- by lead ---

    def _scores_by_lead(
        self,
        case: ForecastCase,
        predictions: dict[str, Prediction],
        truth: npt.NDArray[np.float64],
        rows: npt.NDArray[np.bool_],
    ) -> dict[str, Any]:
        """Rows of ``--json``, the same by state, and the reliability of quantiles."""
        about = (self.crop, case.harvest_year, case.lead_months)
        states = self.tables.static["state"].values.astype(str)
        protocol = {} if self.forward else {"protocol": self.test.protocol}
        found: dict[str, list[dict[str, Any]]] = {"rows": [], "by_state": [], "reliability": []}

        def scored(mine: npt.NDArray[np.bool_]) -> list[dict[str, Any]]:
            return [
                {**asdict(skill.skill(about, name, np.asarray(one.municipality)[mine], truth[mine],
                                      quantiles_of(one, mine))), **protocol}
                for name, one in predictions.items()
            ]  # fmt: skip

        found["rows"] = scored(rows)
        for state in sorted(set(states[rows].tolist())):
            found["by_state"] += [{"state": state, **one} for one in scored(rows & (states == state))]
        for name, one in predictions.items():
            values = quantiles_of(one, rows)
            if values is not None:
                found["reliability"].append({
                    "crop": self.crop, "harvest_year": case.harvest_year, "lead_months": case.lead_months,
                    "model": name, "n": int(rows.sum()),
                    "width90_kg_ha": float((values[:, -1] - values[:, 0]).mean()),
                    **dict(zip(map(str, QUANTILES), metrics.reliability(values, truth[rows]).tolist(),
                               strict=True)),
                    **protocol,
                })  # fmt: skip
        return found


def quantiles_of(one: Prediction, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64] | None:
    """(row, quantile) of a prediction; None without."""
    return None if one.municipality_quantiles is None else one.municipality_quantiles[rows]


def _without(store: Store, crop: str, harvest_year: int) -> Store:
    """A store that does not know the yields and areas of one harvest year."""
    yields = store.yields.copy(deep=True)
    for name in yields.data_vars:
        yields[name].loc[{"crop": crop, "harvest_year": harvest_year}] = np.nan
    result = copy.copy(store)
    vars(result)["yields"] = yields
    return result
