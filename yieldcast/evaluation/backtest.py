"""Backtest: retrain as of each harvest year, forecast at each lead time, score beside the baselines.

A forecast of harvest year Y made in a month uses a run trained on the yields and weather public then, and
hindcasts of earlier years; the public baselines use the same data. Runs and scores are kept in the folder of
the backtest: a repeated call computes only what is missing.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from yieldcast.config import Settings
from yieldcast.data.files import atomic_text, make_folder
from yieldcast.data.inventory import yields_of
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.evaluation import metrics, skill
from yieldcast.evaluation.metrics import Floats
from yieldcast.evaluation.skill import CLIMATOLOGY, FORECAST_MODEL
from yieldcast.features import season_dates, yield_history
from yieldcast.features.samples import SampleSet
from yieldcast.features.source import build_samples
from yieldcast.features.yield_history import TREND_YEARS, YieldHistory
from yieldcast.forecasting.evidence import evidence_of
from yieldcast.forecasting.expected import CropEvidence
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.forecasting.leakage import trainable_years
from yieldcast.forecasting.table import QUANTILES, Forecast
from yieldcast.models.baselines import public_baselines
from yieldcast.training.pipeline import train_run
from yieldcast.training.run_directory import Run

if TYPE_CHECKING:
    from yieldcast.forecasting.predictor import Ensemble
    from yieldcast.training.trainer import Epoch


SCORES_FORMAT = 1
DAY = 15  # of the month on which forecasts are made: ERA5T of the previous month is public by then
# "All" leads begin one month before the season window and end one month after it (our choice).
MONTHS_BEFORE, MONTHS_AFTER = 1, 1
Progress = Callable[[int, int], None]
# Gives, for the label of a training, a context that shows its epochs.
Training = Callable[[str], AbstractContextManager[Callable[["Epoch"], None]]]


@dataclass(frozen=True)
class BacktestResult:
    """Scores of a backtest, as dictionaries.

    Args:
        rows: one per case and model, with the keys of `skill.Skill`.
        by_state: the same for each state, with the key ``state``.
        reliability: one per case and model with quantiles: share of the yields at or below each quantile, and
            mean width of the 90 % interval in kg/ha.
        synthetic: True if the data are synthetic.
    """

    rows: list[dict[str, Any]]
    by_state: list[dict[str, Any]]
    reliability: list[dict[str, Any]]
    synthetic: bool


@dataclass(frozen=True)
class ForecastCase:
    """One forecast of a backtest: harvest year, date, and lead time in months before the end of harvest."""

    harvest_year: int
    as_of: dt.date
    lead_months: int


@dataclass(frozen=True)
class Backtest:
    """What to test, and the folder that keeps its runs and scores.

    Args:
        store: tables.
        crop: crop of the yields table.
        test_years: harvest years to forecast.
        folder: of the backtest; created if it does not exist.
        settings: of the runs.
        seeds: number of members of each run.
        scenarios: one of `scenarios.METHODS`.
        leads: lead times in months before the end of harvest; None for all.
    """

    store: Store
    crop: str
    test_years: tuple[int, ...]
    folder: Path
    settings: Settings
    seeds: int = 30
    scenarios: str = "climatology"
    leads: tuple[int, ...] | None = None

    def cases(self) -> list[ForecastCase]:
        """All forecasts to make, by harvest year, then date.

        Raises:
            ConfigError: a lead time that no date has.
        """
        calendar = season_dates.calendar_for(self.settings.data, self.store.static)
        publication, cases, possible = self.settings.data.publication(), list[ForecastCase](), set[int]()
        for year in self.test_years:
            newest = publication.last_public_harvest_year(dt.date(year - 1, 1, 1))
            start, end = season_dates.main_window(calendar, self.crop, self.store.tables, year, newest)
            for month in np.arange(start - MONTHS_BEFORE, end + MONTHS_AFTER + 1):
                lead = int((end - month).astype(np.int64))
                possible.add(lead)
                if self.leads is None or lead in self.leads:
                    day = month.astype("datetime64[D]").item().replace(day=DAY)
                    cases.append(ForecastCase(year, day, lead))
        if lost := sorted(set(self.leads or ()) - possible):
            raise ConfigError(
                f"no lead time of {', '.join(map(str, lost))} months: those of {self.crop} are "
                f"{min(possible, default='none')} to {max(possible, default='none')}",
                "Use --leads all, or numbers like 0,3,6 or 0:9.",
            )
        return cases

    def check(self) -> None:
        """Check that everything can be scored, before anything is trained.

        Raises:
            MissingDataError: no yields of the crop or of a test year.
            ConfigError: a lead time that no date has.
        """
        table = yields_of(self.store.yields, self.crop)["yield_kg_ha"]
        known = table["harvest_year"].values[(table.fillna(0) > 0).any("municipality").values].tolist()
        if lost := [year for year in self.test_years if year not in known]:
            raise MissingDataError(
                f"no {self.crop} yields of harvest year {', '.join(map(str, lost))} to score against; the "
                f"store has {min(known, default='none')} to {max(known, default='none')}",
                "Test harvest years that have yields, or fetch more yields.",
            )
        self.cases()


def run_backtest(
    test: Backtest,
    *,
    training: Training = lambda label: nullcontext(lambda epoch: None),
    progress: Progress = lambda done, total: None,
) -> BacktestResult:
    """Run a backtest; runs and scores that its folder already holds are used again.

    Args:
        test: what to test.
        training: called with the label of each training; gives a context that shows its epochs.
        progress: called with the number of forecasts done and of all forecasts.

    Raises:
        YieldcastError: bad input, or too few years before a test year.
    """
    test.check()
    cases = test.cases()
    make_folder(test.folder / "scores")
    cache, scored = _BacktestCache(test, training), []
    for done, case in enumerate(cases, 1):
        scored.append(cache.scores(case))
        progress(done, len(cases))
    rows, by_state, reliability = (
        [row for one in scored for row in one[part]] for part in ("rows", "by_state", "reliability")
    )
    return BacktestResult(rows, by_state, reliability, bool(test.store.weather.attrs.get("synthetic", 0)))


def runs_of(
    test: Backtest, training: Training = lambda label: nullcontext(lambda epoch: None)
) -> Callable[[ForecastCase], Run]:
    """A function from a case to its run, trained on data public on the date of the case if not kept yet."""
    return _BacktestCache(test, training).run_for


class _BacktestCache:
    """Runs, members, fitted trees and tables common to the forecasts of one backtest."""

    def __init__(self, test: Backtest, training: Training) -> None:
        self.test, self.training = test, training
        self.tables, self.crop = test.store.tables, test.crop
        self.states = yield_history.states_of(self.tables.static)
        self.history = YieldHistory.of(self.tables.yields, self.states, test.crop)
        self.publication = test.settings.data.publication()
        self.runs: dict[tuple[int, ...], Run] = {}
        self.members: dict[tuple[int, ...], Ensemble] = {}
        self.trees: dict[tuple[int, ...], tuple[SampleSet, dict[tuple[int, int], Any]]] = {}
        self.plain = test.settings.data.model_copy(
            update={"weather_inputs": "values", "yield_history": False}
        )

    @cached_property
    def evidence(self) -> CropEvidence | None:
        """What the store says of the crop, for forecasts by the method "posterior"; None for others."""
        test = self.test
        if test.settings.forecast.method != "posterior":
            return None
        calendar = season_dates.calendar_for(test.settings.data, test.store.static)
        return evidence_of(test.store, test.crop, calendar, test.settings)

    def scores(self, case: ForecastCase) -> dict[str, Any]:
        """Scores of one forecast, read from the folder or computed and written to it."""
        run = self.run_for(case)
        plan = ForecastPlan(
            run, self.test.store, case.harvest_year, case.as_of, self.test.scenarios, self.evidence
        )
        inputs = [SCORES_FORMAT, plan.input_fingerprints, self._yields_fingerprint(case.harvest_year)]
        mark = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:12]
        file = self.test.folder / "scores" / f"{self.crop}-{case.harvest_year}-{case.as_of}-{mark}.json"
        try:
            kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return kept
        except (OSError, ValueError):  # no such file, or a damaged one
            pass
        everywhere = self.evidence is not None  # rows without recent yields are forecast, not left out
        forecast = plan.forecast(members=self._members(run), everywhere=everywhere)
        scores = self._compute_scores(case, run, forecast)
        atomic_text(file, json.dumps(scores, indent=1, allow_nan=False))
        return scores

    def _yields_fingerprint(self, year: int) -> str:
        values = self.tables.yields["yield_kg_ha"].sel(crop=self.crop, harvest_year=year).values
        return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:12]

    def run_for(self, case: ForecastCase) -> Run:
        """The run trained on data public on the date of the case; trained now if it is not in the folder."""
        years = trainable_years(self.tables, self.crop, case.as_of, self.test.settings.data)
        years = tuple(year for year in years if year < case.harvest_year)
        if years not in self.runs:
            out = self.test.folder / "runs" / f"{self.crop}-{years[0]}-{years[-1]}"
            with self.training(f"training {self.crop} to {years[-1]}") as epochs:
                self.runs[years] = train_run(
                    self.test.store, self.crop, years, range(1, self.test.seeds + 1), out,
                    self.test.settings, progress=epochs,
                )  # fmt: skip
        return self.runs[years]

    def _members(self, run: Run) -> Ensemble:
        from yieldcast.forecasting.predictor import Ensemble

        years = run.identity.train_years
        if years not in self.members:
            self.members[years] = Ensemble.load(run)
        return self.members[years]

    def _compute_scores(self, case: ForecastCase, run: Run, forecast: Forecast) -> dict[str, Any]:
        points, quantiles, target, states = self._predictions(case, run, forecast)
        about = (self.crop, case.harvest_year, case.lead_months)
        rows = [asdict(skill.skill(about, n, p, target, quantiles.get(n))) for n, p in points.items()]
        by_state = []
        for state in sorted(set(states.tolist())):
            mine = states == state
            for name, point in points.items():
                of_state = quantiles[name][mine] if name in quantiles else None
                one = skill.skill(about, name, point[mine], target[mine], of_state)
                by_state.append({"state": state, **asdict(one)})
        reliability = [
            {
                "crop": self.crop, "harvest_year": case.harvest_year, "lead_months": case.lead_months,
                "model": name, "n": len(target),
                "width90_kg_ha": float((values[:, -1] - values[:, 0]).mean()),
                **dict(zip(map(str, QUANTILES), metrics.reliability(values, target).tolist(), strict=True)),
            }
            for name, values in quantiles.items()
        ]  # fmt: skip
        return {"rows": rows, "by_state": by_state, "reliability": reliability}

    def _predictions(
        self, case: ForecastCase, run: Run, forecast: Forecast
    ) -> tuple[dict[str, Floats], dict[str, Floats], Floats, npt.NDArray[np.str_]]:
        """Point forecasts and quantiles by model, yields and states, on the rows common to all models."""
        dated, _ = build_samples(
            self.tables, run.calendar(), self.crop, [case.harvest_year], self.plain, as_of=case.as_of
        )
        common = np.isin(dated.municipality, forecast["municipality"].values)
        dated = dated.take(common)
        chosen = forecast.sel(municipality=dated.municipality)
        lags = yield_history.lag(dated, dated.window_end, self.publication, case.as_of)
        placed = self.history.rows(dated, lags)
        train, trees = self._trees(run)
        baselines = public_baselines(self.history, placed, train, dated, trees)
        window = self.history.window(self.history.own, placed.municipality, placed.last_year, TREND_YEARS)
        past = skill.climatology(window, dated.state)
        points = {FORECAST_MODEL: chosen["yield_mean_kg_ha"].values.astype(np.float64)}
        points |= {name: baseline.prediction for name, baseline in baselines.items()}
        if self.evidence is not None:
            rows = np.searchsorted(self.tables.static["municipality"].values, dated.municipality)
            line, _, _ = self.evidence.expected_line(case.harvest_year, case.as_of)
            factor = self.evidence.official_factor(case.harvest_year, case.as_of)
            points["level_trend"] = line[rows]
            points["official"] = baselines["mean_5y_public"].prediction * factor[rows]
        points[CLIMATOLOGY] = past.mean(axis=1)
        quantiles = {FORECAST_MODEL: chosen["yield_kg_ha"].values.astype(np.float64), CLIMATOLOGY: past}
        return points, quantiles, dated.target_kg_ha.astype(np.float64), dated.state

    def _trees(self, run: Run) -> tuple[SampleSet, dict[tuple[int, int], Any]]:
        years = run.identity.train_years
        if years not in self.trees:
            train, _ = build_samples(self.tables, run.calendar(), self.crop, years, self.plain)
            self.trees[years] = (train, {})
        return self.trees[years]


def table_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows with the same keys as CSV; empty for None."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_results(result: BacktestResult, folder: Path, file: Path | None = None) -> list[Path]:
    """Write the scores into the folder of the backtest: rows as JSON, states and reliability as CSV.

    Args:
        result: of `run_backtest`.
        folder: of the backtest.
        file: a second file for the JSON.

    Returns:
        the files written.

    Raises:
        MissingDataError: a file cannot be written.
    """
    mark = "synthetic-" if result.synthetic else ""
    text = json.dumps(result.rows, indent=2, allow_nan=False) + "\n"
    files = {**({file: text} if file else {}), folder / f"{mark}backtest.json": text}
    files[folder / f"{mark}by-state.csv"] = table_csv(result.by_state)
    files[folder / f"{mark}reliability.csv"] = table_csv(result.reliability)
    for path, content in files.items():
        atomic_text(path, content)
    return list(files)
