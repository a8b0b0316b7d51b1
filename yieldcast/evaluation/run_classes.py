"""Scores of the classes that a trained run forecasts: its dates, its forecasts, and its files."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from yieldcast.data.files import atomic_text
from yieldcast.data.store import Store
from yieldcast.errors import RunError
from yieldcast.evaluation.cases import Backtest
from yieldcast.evaluation.class_scores import Case, ClassTest, RiskScores, Spread
from yieldcast.evaluation.score_rows import write_rows
from yieldcast.features.splits import check_order
from yieldcast.forecasting.evidence import evidence_of
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.publication import same_day
from yieldcast.risk.classes import RuleName
from yieldcast.risk.classifiers import SearchSettings
from yieldcast.training.run_directory import Run

if TYPE_CHECKING:
    from yieldcast.forecasting.expected import CropEvidence
    from yieldcast.forecasting.predictor import Ensemble

FOLDER = "risk-scores"  # in the run: rows of each date, kept for a call that was stopped


def class_cases(
    run: Run, store: Store, test_years: Sequence[int], days: tuple[tuple[int, int], ...] | dt.date | None
) -> list[Case]:
    """Harvest years and dates to score.

    Args:
        run: trained before all of them.
        store: tables.
        test_years: harvest years, ascending.
        days: months and days in order of time; or a date in the last of the years, and the same day of the
            others; None for the 15th of the last month of harvest.

    Raises:
        LeakageError: a training year is not before every test year.
        MissingDataError: a test year without yields.
        RunError: no finished member.
    """
    if not run.seeds():
        raise RunError(f"{run.path} has no finished member", "Start the same yieldcast train again.")
    check_order(run.identity.train_years, test_years)
    crop, years = run.identity.crop, tuple(test_years)
    leads = (0,) if days is None else None
    dates = days if isinstance(days, tuple) else None
    test = Backtest(store, crop, years, run.path, run.settings, leads=leads, dates=dates)
    test.check()
    if isinstance(days, dt.date):
        return [(year, same_day(days, year - years[-1])) for year in years]
    return [(one.harvest_year, one.as_of) for one in test.cases()]


def class_test(
    run: Run,
    store: Store,
    *,
    rule: RuleName = "terciles",
    threshold_kg_ha: float | None = None,
    classifiers: tuple[str, ...],
    search: SearchSettings,
    lstm: bool = False,
) -> ClassTest:
    """The test of a run's classes.

    Args:
        run: whose members left out harvest years (the preset forecast).
        store: tables.
        rule: of the classes.
        threshold_kg_ha: break-even yield, for the rule "threshold".
        classifiers, search, lstm: see `class_scores.ClassTest`.
    """
    made = _Forecasts(run, store)
    return ClassTest(
        store, run.identity.crop, run.settings.for_country(store.country), made.spread, made.marks,
        run.path / FOLDER, rule, threshold_kg_ha, classifiers, search,
        lstm=lstm, train_years=run.identity.train_years,
    )  # fmt: skip


class _Forecasts:
    """Forecasts of a run; its members are loaded when the first is made."""

    def __init__(self, run: Run, store: Store) -> None:
        self.run, self.store = run, store
        self.plan = lru_cache(maxsize=2)(self._plan)

    def spread(self, harvest_year: int, date: dt.date) -> Spread:
        """The forecast of every place with weather."""
        made = self.plan(harvest_year, date).forecast(members=self._members, everywhere=True)
        return Spread(
            made["municipality"].values, made["yield_mean_kg_ha"].values.astype(np.float64),
            made["yield_kg_ha"].transpose("municipality", "quantile").values.astype(np.float64),
        )  # fmt: skip

    def marks(self, harvest_year: int, date: dt.date) -> Mapping[str, str]:
        """Fingerprints of what the forecast is made from."""
        return self.plan(harvest_year, date).input_fingerprints

    def _plan(self, harvest_year: int, date: dt.date) -> ForecastPlan:
        return ForecastPlan(
            self.run, self.store, harvest_year, date, evidence=self._evidence, allow_stale=True
        )

    @cached_property
    def _members(self) -> Ensemble:
        from yieldcast.forecasting.predictor import Ensemble

        return Ensemble.load(self.run)

    @cached_property
    def _evidence(self) -> CropEvidence | None:
        if self.run.settings.forecast.method != "posterior":
            return None
        return evidence_of(self.store, self.run.identity.crop, self.run.calendar(), self.run.settings)


def document(scores: RiskScores, test: ClassTest, cases: Sequence[Case]) -> dict[str, Any]:
    """What ``yieldcast evaluate --task risk --json`` writes, for `json.dumps(..., allow_nan=False)`."""
    return {
        "task": "risk", "crop": scores.crop, "rule": test.rule, "threshold_kg_ha": test.threshold_kg_ha,
        "classes": list(scores.class_names),
        "test_years": sorted({year for year, _ in cases}),
        "dates": [date.isoformat() for _, date in cases],
        "search": {
            "draws": test.search.draws, "folds": test.search.folds, "features": test.search.features,
            "by": test.search.by, "rows": test.search.rows, "seed": test.search.seed,
        },
        "scores": list(scores.scores),
    }  # fmt: skip


def write_class_scores(
    scores: RiskScores, test: ClassTest, cases: Sequence[Case], run: Run, file: Path | None = None
) -> list[Path]:
    """Write the scores as JSON and their rows into the run directory.

    Args:
        scores, test, cases: what was scored.
        run: that was scored.
        file: a second file for the JSON.

    Returns:
        the files written.

    Raises:
        MissingDataError: a file cannot be written.
    """
    text = json.dumps(document(scores, test, cases), indent=1, allow_nan=False) + "\n"
    stem = "synthetic-risk-" if run.identity.synthetic else "risk-"
    stem += "-".join(str(year) for year in sorted({year for year, _ in cases}))
    if test.rule == "municipality":
        stem += "-municipality"
    if test.threshold_kg_ha is not None:
        stem += f"-below-{test.threshold_kg_ha:g}"
    own = run.path / f"{stem}.json"
    for path in ([file] if file else []) + [own]:
        atomic_text(path, text)
    rows = run.path / f"{stem}-rows.csv.gz"
    write_rows(rows, [scores.rows])
    return [*([file] if file else []), own, rows]
