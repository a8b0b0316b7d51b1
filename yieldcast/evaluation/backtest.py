"""Skill by lead: retrain as of each year, forecast at each month, score beside that date's reference lines.

Nothing in it looks ahead: a forecast of harvest year Y made in its month m uses a run trained on the yields
that were public then, weather that was public then, and hindcasts of the years before; the public reference
lines see the same. Runs and scores are kept in the folder of the backtest: called again, it does the rest.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from yieldcast.config import Settings
from yieldcast.data.files import atomic_text, make_folder
from yieldcast.data.inventory import yields_of
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.evaluation import metrics, skill
from yieldcast.evaluation.skill import CLIMATOLOGY, FORECAST_MODEL
from yieldcast.features import samples, season_dates, yield_history
from yieldcast.features.yield_history import TREND_YEARS, YieldHistory
from yieldcast.forecasting import forecast
from yieldcast.forecasting.leakage import trainable_years
from yieldcast.forecasting.table import QUANTILES
from yieldcast.models import baselines
from yieldcast.training.pipeline import train_run
from yieldcast.training.run_directory import Run

if TYPE_CHECKING:
    from yieldcast.forecasting.predictor import Ensemble
    from yieldcast.training.trainer import Epoch


@dataclass(frozen=True)
class BacktestResult:
    """Everything a backtest found.

    Args:
        rows: dictionaries with the keys of `skill.Skill`.
        by_state: the same with `state`, for the forecast and the best reference lines.
        reliability: per cast and model share of yields below each quantile, and mean width.
        synthetic: whether the data are.
    """

    rows: list[dict[str, Any]]
    by_state: list[dict[str, Any]]
    reliability: list[dict[str, Any]]
    synthetic: bool


def table_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows with the same keys as CSV; empty where there is no value."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_results(result: BacktestResult, folder: Path, file: Path | None = None) -> list[Path]:
    """Write rows as JSON (to `file` too), states and reliability as CSV, into the folder of the backtest.

    Returns:
        The files written.
    """
    mark = "synthetic-" if result.synthetic else ""
    text = json.dumps(result.rows, indent=2, allow_nan=False) + "\n"
    files = {**({file: text} if file else {}), folder / f"{mark}backtest.json": text}
    files[folder / f"{mark}by-state.csv"] = table_csv(result.by_state)
    files[folder / f"{mark}reliability.csv"] = table_csv(result.reliability)
    for path, content in files.items():
        atomic_text(path, content)
    return list(files)


FORMAT = 1
DAY = 15  # of the month: ERA5T of the month before is out by then
BEFORE, AFTER = 1, 1  # months around the window, from planting to the end of harvest, that "all" leads span
Training = Callable[[str], AbstractContextManager[Callable[["Epoch"], None]]]


@dataclass(frozen=True)
class ForecastCase:
    """One forecast of a backtest: whose season, as of when, how many months before the end of harvest."""

    harvest_year: int
    as_of: dt.date
    lead_months: int


@dataclass(frozen=True)
class Backtest:
    """What to test, and where its runs and scores are kept.

    Args:
        store: tables.
        crop: crop.
        test_years: harvest years to forecast.
        folder: of the backtest; made when it is not there.
        settings: of the runs.
        seeds: members of each run.
        scenarios: of `scenarios.METHODS`.
        leads: months before the end of harvest; None for all.
    """

    store: Store
    crop: str
    test_years: tuple[int, ...]
    folder: Path
    settings: Settings
    seeds: int = 30
    scenarios: str = "climatology"
    leads: tuple[int, ...] | None = None

    def casts(self) -> list[ForecastCase]:
        """Every forecast to make, by harvest year, then date.

        Raises:
            ConfigError: a lead that no date has.
        """
        calendar = season_dates.calendar_for(self.settings.data, self.store.static)
        publication, found, there = self.settings.data.publication(), list[ForecastCase](), set[int]()
        for year in self.test_years:
            newest = publication.last_public_harvest_year(dt.date(year - 1, 1, 1))
            start, end = season_dates.main_window(calendar, self.crop, self.store.tables, year, newest)
            for month in np.arange(start - BEFORE, end + AFTER + 1):
                lead = int((end - month).astype(np.int64))
                there.add(lead)
                if self.leads is None or lead in self.leads:
                    day = month.astype("datetime64[D]").item().replace(day=DAY)
                    found.append(ForecastCase(year, day, lead))
        if lost := sorted(set(self.leads or ()) - there):
            raise ConfigError(
                f"no lead of {', '.join(map(str, lost))} months: those of {self.crop} are "
                f"{min(there, default='none')} to {max(there, default='none')}",
                "Use --leads all, or numbers like 0,3,6 or 0:9.",
            )
        return found

    def check(self) -> None:
        """Refuse what cannot be scored, before anything is trained.

        Raises:
            MissingDataError: no yields of the crop or of a test year.
            ConfigError: a lead that no date has.
        """
        table = yields_of(self.store.yields, self.crop)["yield_kg_ha"]
        there = table["harvest_year"].values[(table.fillna(0) > 0).any("municipality").values].tolist()
        if lost := [year for year in self.test_years if year not in there]:
            raise MissingDataError(
                f"no {self.crop} yields of harvest year {', '.join(map(str, lost))} to score against; the "
                f"store has {min(there, default='none')} to {max(there, default='none')}",
                "Test years whose yields are there.",
            )
        self.casts()


def run_backtest(
    test: Backtest,
    *,
    training: Training = lambda label: nullcontext(lambda epoch: None),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BacktestResult:
    """Do all of a backtest that is not kept yet.

    Args:
        test: what to test.
        training: shows the training of a run whose label it is given.
        progress: called with forecasts done and in all.

    Raises:
        YieldcastError: bad input, or too few years before a test year.
    """
    test.check()
    casts = test.casts()
    make_folder(test.folder / "scores")
    bench, found = _BacktestCache(test, training), []
    for done, cast in enumerate(casts, 1):
        found.append(bench.score(cast))
        progress(done, len(casts))
    rows, states, reliable = (
        [row for one in found for row in one[part]] for part in ("rows", "by_state", "reliability")
    )
    return BacktestResult(rows, states, reliable, bool(test.store.weather.attrs.get("synthetic", 0)))


def runs_of(
    test: Backtest, training: Training = lambda label: nullcontext(lambda epoch: None)
) -> Callable[[ForecastCase], Run]:
    """What gives the run of a cast: trained on what was public on its date, kept in the backtest's folder."""
    return _BacktestCache(test, training).run_for


class _BacktestCache:
    """Runs, fitted trees and tables that forecasts of one backtest share."""

    def __init__(self, test: Backtest, training: Training) -> None:
        self.test, self.training = test, training
        self.tables, self.crop = test.store.tables, test.crop
        self.states = yield_history.states_of(self.tables.static)
        self.panel = YieldHistory.of(self.tables.yields, self.states, test.crop)
        self.publication = test.settings.data.publication()
        self.runs: dict[tuple[int, ...], Run] = {}
        self.members: dict[tuple[int, ...], Ensemble] = {}
        self.trees: dict[tuple[int, ...], tuple[samples.SampleSet, dict[tuple[int, int], Any]]] = {}
        self.plain = test.settings.data.model_copy(
            update={"weather_inputs": "values", "yield_history": False}
        )

    def score(self, cast: ForecastCase) -> dict[str, Any]:
        """Scores of one forecast, kept or new."""
        run = self.run_for(cast)
        given = forecast.input_fingerprints(
            run, self.test.store, cast.harvest_year, cast.as_of, self.test.scenarios
        )
        what = json.dumps([FORMAT, given, self._truth(cast.harvest_year)], sort_keys=True)
        mark = hashlib.sha256(what.encode()).hexdigest()[:12]
        file = self.test.folder / "scores" / f"{self.crop}-{cast.harvest_year}-{cast.as_of}-{mark}.json"
        try:
            kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return kept
        except (OSError, ValueError):
            pass
        scored = self._score(cast, run)
        atomic_text(file, json.dumps(scored, indent=1, allow_nan=False))
        return scored

    def _truth(self, year: int) -> str:
        values = self.tables.yields["yield_kg_ha"].sel(crop=self.crop, harvest_year=year).values
        return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:12]

    def run_for(self, cast: ForecastCase) -> Run:
        """The run trained on what was public at the cast's date; trained when it is not there."""
        years = trainable_years(self.tables, self.crop, cast.as_of, self.test.settings.data)
        years = tuple(year for year in years if year < cast.harvest_year)
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

    def _score(self, cast: ForecastCase, run: Run) -> dict[str, Any]:
        table = forecast.forecast(
            run, self.test.store, cast.harvest_year, cast.as_of, self.test.scenarios,
            members=self._members(run),
        )  # fmt: skip
        points, spread, target, states = self._models(cast, run, table)
        about = (self.crop, cast.harvest_year, cast.lead_months)
        rows = [asdict(skill.skill(about, n, p, target, spread.get(n))) for n, p in points.items()]
        by_state = []
        for state in sorted(set(states.tolist())):
            mine = states == state
            for name, point in points.items():
                quantiles = spread[name][mine] if name in spread else None
                one = skill.skill(about, name, point[mine], target[mine], quantiles)
                by_state.append({"state": state, **asdict(one)})
        shares = {name: metrics.reliability(quantiles, target) for name, quantiles in spread.items()}
        reliable = [
            {
                "crop": self.crop, "harvest_year": cast.harvest_year, "lead_months": cast.lead_months,
                "model": name, "n": len(target),
                "width90_kg_ha": float((quantiles[:, -1] - quantiles[:, 0]).mean()),
                **dict(zip(map(str, QUANTILES), shares[name].tolist(), strict=True)),
            }
            for name, quantiles in spread.items()
        ]  # fmt: skip
        return {"rows": rows, "by_state": by_state, "reliability": reliable}

    def _models(
        self, cast: ForecastCase, run: Run, table: xr.Dataset
    ) -> tuple[dict[str, Any], dict[str, Any], Any, Any]:
        """Points and quantiles by model, targets and states, on the rows that all models can score."""
        dated, _ = samples.build_samples(
            self.tables, run.calendar(), self.crop, [cast.harvest_year], self.plain, as_of=cast.as_of
        )
        common = np.isin(dated.municipality, table["municipality"].values)
        dated = dated.take(common)
        chosen = table.sel(municipality=dated.municipality)
        lags = yield_history.lag(dated, dated.window_end, self.publication, cast.as_of)
        placed = self.panel.rows(dated, lags)
        train, trees = self._trees(run)
        lines = baselines.public_baselines(self.panel, placed, train, dated, trees)
        window = self.panel.window(self.panel.own, placed.municipality, placed.last_year, TREND_YEARS)
        quantiles = skill.climatology(window, dated.state)
        points = {FORECAST_MODEL: chosen["yield_mean_kg_ha"].values.astype(np.float64)}
        points |= {name: line.prediction for name, line in lines.items()}
        points[CLIMATOLOGY] = quantiles.mean(axis=1)
        spread = {FORECAST_MODEL: chosen["yield_kg_ha"].values.astype(np.float64), CLIMATOLOGY: quantiles}
        return points, spread, dated.target_kg_ha.astype(np.float64), dated.state

    def _trees(self, run: Run) -> tuple[samples.SampleSet, dict[tuple[int, int], Any]]:
        years = run.identity.train_years
        if years not in self.trees:
            train, _ = samples.build_samples(self.tables, run.calendar(), self.crop, years, self.plain)
            self.trees[years] = (train, {})
        return self.trees[years]
