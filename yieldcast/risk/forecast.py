"""Will a yield be low? Classes, probabilities, flags and expected costs of one season as known on a date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.data.store import Store
from yieldcast.errors import MissingDataError
from yieldcast.features.day_rows import rows_for
from yieldcast.features.feature_rows import FeatureRows
from yieldcast.features.yield_history import TREND_YEARS, YieldHistory
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.forecasting.hindcasts import Progress, ignore_progress
from yieldcast.forecasting.table import Forecast
from yieldcast.risk.classes import ClassRule, RuleName, class_rule
from yieldcast.risk.classifiers import (
    AS_THE_PAPER,
    Classifier,
    SearchSettings,
    check_features,
    fit_classifiers,
)
from yieldcast.risk.decisions import EQUAL_COSTS, Costs
from yieldcast.risk.probabilities import class_probabilities, shown_classes
from yieldcast.risk.search_spaces import CLASSIFIERS, DUMMY

Floats = NDArray[np.float64]
SourceName = Literal["forecast", "classifier", "both"]


@dataclass(frozen=True)
class Risk:
    """The risk of every place in one season.

    Args:
        crop: name.
        harvest_year: of the season.
        as_of: date: nothing published later was used.
        rule: borders of the classes.
        costs: of the two errors of a warning.
        municipality: (row,) codes of places.
        state: (row,) texts.
        sources: "forecast", "classifier" or both -> (row, class) probabilities; NaN where a source has none.
        classifier: name and settings of the chosen one; None without.
        left_out: reason -> number of features that the classifier did not get.
    """

    crop: str
    harvest_year: int
    as_of: dt.date
    rule: ClassRule
    costs: Costs
    municipality: NDArray[np.int32]
    state: NDArray[np.str_]
    sources: Mapping[str, Floats]
    classifier: Classifier | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def probabilities(self) -> Floats:
        """(row, class): the mean of the sources, or the one that knows the place."""
        found = np.stack(list(self.sources.values()))
        known = np.isfinite(found)
        count = known.sum(axis=0)
        total = np.where(known, found, 0.0).sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    @property
    def p_low(self) -> Floats:
        """(row,) probability of a low yield."""
        low: Floats = self.probabilities[:, 0]
        return low

    @property
    def classes(self) -> NDArray[np.int8]:
        """(row,) see `shown_classes`."""
        return shown_classes(self.probabilities)

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """(row,) whether a flag costs less than none is expected to."""
        return self.costs.flags(self.p_low)

    @property
    def expected_cost(self) -> Floats:
        """(row,) in the unit of the costs."""
        return self.costs.expected(self.p_low)


@dataclass(frozen=True)
class Classified:
    """What classifiers say of a season.

    Args:
        rows: of the season.
        trained: number of training rows.
        classifiers: by name.
    """

    rows: FeatureRows
    trained: int
    classifiers: Mapping[str, Classifier]

    @property
    def best(self) -> Classifier:
        """The one with the largest macro-F1 in the folds of its training; the dummy if there is no other."""
        return max(self.classifiers.values(), key=lambda one: (one.name != DUMMY, one.score))

    @cached_property
    def probabilities(self) -> Floats:
        """(row, class) of the best one."""
        return self.best.probabilities(self.rows)


def rule_of(
    plan: ForecastPlan, rule: RuleName = "terciles", *, threshold_kg_ha: float | None = None
) -> ClassRule:
    """Borders of classes from yields that were public on the date of a forecast.

    "terciles" and "threshold" take the yields of the run's training years. "municipality" takes the ten
    newest public harvest years, as `probability_low` of a forecast does, so that both are the same number.

    Args:
        plan: checked against leaks: the run knows no year that was not public.
        rule, threshold_kg_ha: see `class_rule`.

    Raises:
        ConfigError, SchemaError: as `class_rule`.
    """
    return history_rule(
        plan.history, plan.run.identity.train_years, plan.newest, rule, threshold_kg_ha=threshold_kg_ha
    )


def history_rule(
    history: YieldHistory, train_years: Sequence[int], newest: int, rule: RuleName = "terciles", *,
    threshold_kg_ha: float | None = None,
) -> ClassRule:  # fmt: skip
    """Borders of classes from a record of yields; see `rule_of`.

    Args:
        history: of the crop.
        train_years: harvest years that teach, all public.
        newest: newest harvest year that was public.
        rule, threshold_kg_ha: see `class_rule`.
    """
    years = np.array(train_years)
    if rule == "municipality":
        years = np.arange(newest + 1 - TREND_YEARS, newest + 1)
    years = years[(years >= history.first_year) & (years < history.first_year + history.own.shape[1])]
    yields = history.own[:, years - history.first_year]
    return class_rule(
        np.where(yields > 0, yields, np.nan).ravel().astype(np.float64), np.repeat(history.codes, len(years)),
        np.tile(years, len(history.codes)), rule, threshold_kg_ha=threshold_kg_ha,
    )  # fmt: skip


def forecast_probabilities(forecast: Forecast, rule: ClassRule) -> Floats:
    """(row, class) probabilities of the municipalities of a forecast under its calibrated quantiles."""
    quantiles = forecast["yield_kg_ha"].values.astype(np.float64)
    return class_probabilities(quantiles, rule.borders(forecast["municipality"].values))


def classify_season(
    rows: FeatureRows,
    season: int,
    rule: ClassRule,
    settings: SearchSettings = AS_THE_PAPER,
    progress: Progress = ignore_progress,
    *,
    names: Sequence[str] = CLASSIFIERS,
    most_rows: int | None = None,
) -> Classified:
    """Train classifiers on the training years of a rule, to classify a season.

    It works without a run: for fields, or where only features and yields are known.

    Args:
        rows: of the training years and of the season, as known on the same day of each (`day_rows.rows_for`);
            yields of other years, also of the season, are not read.
        season: harvest year to classify.
        rule: borders; its `train_years`, without the season, are those trained on.
        settings, progress: see `fit_classifiers`.
        names: classifiers to choose among.
        most_rows: training rows at most, drawn at random; None for all.

    Raises:
        MissingDataError: no row of the season.
        SchemaError: a class without rows, one season only, or a feature with one value other than 0.
    """
    target = rows.take(rows.harvest_year == season)
    if not len(target):
        raise MissingDataError(
            f"no rows of harvest year {season} to classify",
            "Import the places and weather of the season, or choose another harvest year.",
        )
    years = [year for year in rule.train_years if year < season]
    train = check_features(rows.take(np.isin(rows.harvest_year, years)).with_yield())
    target = target.choose(np.isin(target.names, train.names))
    if most_rows is not None and most_rows < len(train):
        drawn = np.random.default_rng(settings.seed).choice(len(train), most_rows, replace=False)
        train = train.take(np.sort(drawn))
    classes = rule.classes(train.yield_kg_ha, train.municipality)
    found = fit_classifiers(train, classes, names, settings, progress, count=len(rule.names))
    return Classified(target, len(train), found)


def season_rows(store: Store, plan: ForecastPlan) -> FeatureRows:
    """Feature rows of a run's training years and of the season, as known on the date of a forecast."""
    run = plan.run
    return rows_for(
        store, run.calendar(), run.identity.crop, [*run.identity.train_years, plan.harvest_year],
        run.settings, as_of=plan.as_of, season=plan.harvest_year,
    )  # fmt: skip


def risk_of(
    plan: ForecastPlan,
    forecast: Forecast,
    rule: ClassRule,
    costs: Costs = EQUAL_COSTS,
    source: SourceName = "forecast",
    settings: SearchSettings = AS_THE_PAPER,
    progress: Progress = ignore_progress,
) -> Risk:
    """The risk of every municipality of a forecast.

    Args:
        plan: that made the forecast.
        forecast: its table.
        rule: see `rule_of`.
        costs: of the two errors of a warning.
        source: the calibrated forecast, the best classifier of the class itself, or both.
        settings, progress: of the classifiers, see `fit_classifiers`.

    Raises:
        MissingDataError, SchemaError: see `classify_season`.
    """
    codes, sources, classified = forecast["municipality"].values, dict[str, Floats](), None
    if source != "classifier":
        sources["forecast"] = forecast_probabilities(forecast, rule)
    left_out: Mapping[str, int] = {}
    if source != "forecast":
        rows = season_rows(plan.store, plan)
        left_out = rows.left_out
        classified = classify_season(rows, plan.harvest_year, rule, settings, progress)
        at = {int(code): k for k, code in enumerate(classified.rows.municipality)}
        place = np.array([at.get(int(code), -1) for code in codes])
        found = classified.probabilities[place]
        sources["classifier"] = np.where(place[:, None] >= 0, found, np.nan)
    return Risk(
        plan.run.identity.crop, plan.harvest_year, plan.as_of, rule, costs, codes,
        forecast["state"].values.astype(str), sources, classified.best if classified else None, left_out,
    )  # fmt: skip
