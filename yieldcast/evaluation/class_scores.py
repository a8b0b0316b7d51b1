"""Scores of classes on past harvest years, forward: every model of a date knows what was public on it.

For each harvest year and date the borders of the classes, the classifiers and the climatology are taught by
the same rows: places with a yield and features in the harvest years that were public. The forecast's classes
come from its calibrated distribution. All models are scored on the same rows.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yieldcast.config import Settings
from yieldcast.data.files import fingerprint, make_folder
from yieldcast.data.store import Store
from yieldcast.data.store_tables import TABLES
from yieldcast.errors import MissingDataError, SchemaError, YieldcastError
from yieldcast.evaluation.class_metrics import FALSE_ALARM_RATE, score_classes, score_low
from yieldcast.evaluation.metrics import Floats
from yieldcast.evaluation.score_rows import (
    CLASS,
    PREDICTED,
    PROBABILITIES,
    Said,
    ScoredPlaces,
    models_of,
    read_rows,
    score_table,
    write_rows,
)
from yieldcast.evaluation.skill import CLIMATOLOGY, FORECAST_MODEL
from yieldcast.features import yield_history
from yieldcast.features.daily_months import network_tables
from yieldcast.features.day_rows import rows_for
from yieldcast.features.feature_rows import FeatureRows, Group
from yieldcast.features.season_dates import calendar_for
from yieldcast.features.source import Source
from yieldcast.forecasting.leakage import trainable_years
from yieldcast.risk.classes import TWO, UNKNOWN, ClassRule, RuleName, class_rule
from yieldcast.risk.classifiers import SearchSettings, fit_classifiers
from yieldcast.risk.forecast import history_rule
from yieldcast.risk.probabilities import class_probabilities, shown_classes
from yieldcast.risk.search_spaces import CLASSIFIERS, DUMMY

FORMAT = 1
LOW = 0
LSTM = "lstm"
_YEARS = 10_000  # place x this + harvest year is a number of its own for each row
Progress = Callable[[int, int], None]
Case = tuple[int, dt.date]  # harvest year and date of the forecast


@dataclass(frozen=True)
class Spread:
    """The forecast distribution of the places of one date.

    Args:
        municipality: (row,) codes, ascending.
        mean: (row,) kg/ha.
        quantiles: (row, quantile) kg/ha at `table.QUANTILES`.
    """

    municipality: NDArray[np.int32]
    mean: Floats
    quantiles: Floats


@dataclass(frozen=True)
class ClassTest:
    """What is scored.

    Args:
        store: tables.
        crop: of the yields.
        settings: publication, calendar, features.
        forecast: gives the forecast of a harvest year and date.
        marks: gives fingerprints of everything that this forecast is made from.
        folder: keeps the rows of each case, so that a call that was stopped goes on; made if needed.
        rule: of the classes.
        threshold_kg_ha: break-even yield, for the rule "threshold".
        classifiers: names; none for the forecast beside dummy and climatology only.
        search: of the classifiers.
        municipalities: codes to teach and score with; empty for all.
        without: groups of features that no classifier gets.
        train_rows: most training rows of the classifiers, drawn at random; None for all.
        lstm: whether the Keras classifier is scored too; it takes minutes.
        train_years: harvest years that teach, as those of a run; None for all that were public on the date.
    """

    store: Store
    crop: str
    settings: Settings
    forecast: Callable[[int, dt.date], Spread]
    marks: Callable[[int, dt.date], Mapping[str, str]]
    folder: Path
    rule: RuleName = "terciles"
    threshold_kg_ha: float | None = None
    classifiers: tuple[str, ...] = CLASSIFIERS
    search: SearchSettings = field(default_factory=SearchSettings)
    municipalities: tuple[int, ...] = ()
    without: tuple[Group, ...] = ()
    train_rows: int | None = None
    lstm: bool = False
    train_years: tuple[int, ...] | None = None

    @cached_property
    def store_mark(self) -> dict[str, str]:
        """Fingerprints of the tables that features come from."""
        return {table: fingerprint(getattr(self.store, table)) for table in TABLES if table in self.store}


def case_rows(test: ClassTest, case: Case) -> pd.DataFrame:
    """Rows of scores of one date: all models on the same places, read from the folder or made and kept.

    Args:
        test: what is scored.
        case: harvest year and date.

    Raises:
        MissingDataError: too few public years to teach, or no yield to score against.
        SchemaError: a class without training rows.
        LeakageError: the forecast would use what was not public.
    """
    year, date = case
    file = test.folder / f"{test.crop}-{year}-{date}-{_mark(test, case)}.csv.gz"
    try:
        return read_rows(file)
    except YieldcastError:  # not there, or damaged
        pass
    table = _Case(test, year, date).table()
    make_folder(test.folder)
    write_rows(file, [table])
    return read_rows(file)


def _mark(test: ClassTest, case: Case) -> str:
    """Fingerprint of everything that the rows of a case are made from."""
    marks = [
        FORMAT, dict(test.marks(*case)), test.store_mark, test.settings.model_dump_json(), test.rule,
        test.threshold_kg_ha, test.classifiers, asdict(test.search), test.municipalities, test.without,
        test.train_rows, *(test.train_years or ()),
        *(["lstm"] if test.lstm else []),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(marks, sort_keys=True).encode()).hexdigest()[:12]


class _Case:
    """The models of one date."""

    def __init__(self, test: ClassTest, harvest_year: int, date: dt.date) -> None:
        self.test, self.harvest_year, self.date = test, harvest_year, date
        store, data = test.store, test.settings.data
        public = trainable_years(store.tables, test.crop, date, data, store.country)
        wanted = public if test.train_years is None else test.train_years
        self.years = tuple(year for year in public if year < harvest_year and year in wanted)
        self.calendar = calendar_for(data, store.static, store.country)

    def table(self) -> pd.DataFrame:
        """Rows of every model."""
        rows = rows_for(
            self.test.store, self.calendar, self.test.crop, [*self.years, self.harvest_year],
            self.test.settings, as_of=self.date, season=self.harvest_year,
            municipalities=self.test.municipalities or None,
        ).with_yield()  # fmt: skip
        for group in self.test.without:
            rows = rows.without_group(group)
        train = rows.take(np.isin(rows.harvest_year, self.years))
        rule = self._rule(train)
        taught = rule.classes(train.yield_kg_ha, train.municipality)
        scored, spread = self._scored(rows, rule)
        models = {FORECAST_MODEL: self._forecast(spread, rule)}
        models |= self._classifiers(train, taught, scored, len(rule.names))
        if self.test.lstm:
            models[LSTM] = self._lstm(train, taught, scored, len(rule.names))
        models[CLIMATOLOGY] = climatology(train, taught, scored.municipality, len(rule.names))
        places = ScoredPlaces(
            self.test.crop, scored.municipality, scored.harvest_year, np.datetime64(self.date), scored.state,
            scored.yield_kg_ha, rule.classes(scored.yield_kg_ha, scored.municipality), rule.names,
        )  # fmt: skip
        return score_table(places, models)

    def _rule(self, train: FeatureRows) -> ClassRule:
        """Borders from the training rows; those of each place from its ten newest public yields."""
        test = self.test
        if test.rule != "municipality":
            return class_rule(
                train.yield_kg_ha, train.municipality, train.harvest_year, test.rule,
                threshold_kg_ha=test.threshold_kg_ha,
            )  # fmt: skip
        newest = test.settings.data.publication().last_public_harvest_year(self.date)
        states = yield_history.states_of(test.store.static)
        history = yield_history.YieldHistory.of(test.store.yields, states, test.crop)
        return history_rule(history, self.years, min(newest, self.harvest_year - 1), test.rule)

    def _scored(self, rows: FeatureRows, rule: ClassRule) -> tuple[FeatureRows, Spread]:
        """The rows to score, and the forecast of the same places."""
        spread = self.test.forecast(self.harvest_year, self.date)
        mine = rows.take(rows.harvest_year == self.harvest_year)
        known = np.isin(mine.municipality, spread.municipality)
        known &= rule.classes(mine.yield_kg_ha, mine.municipality) >= 0
        if not known.any():
            raise MissingDataError(
                f"no yields of {self.test.crop} in harvest year {self.harvest_year} at the places that are "
                "forecast",
                "Test harvest years that have yields.",
            )
        mine = mine.take(known)
        at = np.searchsorted(spread.municipality, mine.municipality)
        return mine, Spread(mine.municipality, spread.mean[at], spread.quantiles[at])

    def _forecast(self, spread: Spread, rule: ClassRule) -> Said:
        shares = class_probabilities(spread.quantiles, rule.borders(spread.municipality))
        return Said(spread.mean, spread.quantiles, shown_classes(shares), shares)

    def _classifiers(
        self, train: FeatureRows, taught: NDArray[np.int8], scored: FeatureRows, count: int
    ) -> dict[str, Said]:
        names, most = (*self.test.classifiers, DUMMY), self.test.train_rows
        if most is not None and most < len(train):
            drawn = np.random.default_rng(self.test.search.seed).choice(len(train), most, replace=False)
            train, taught = train.take(np.sort(drawn)), taught[np.sort(drawn)]
        fitted = fit_classifiers(train, taught, names, self.test.search, count=count)
        return {
            name: Said(classes=one.classes(scored), probabilities=one.probabilities(scored))
            for name, one in fitted.items()
        }

    def _lstm(self, train: FeatureRows, taught: NDArray[np.int8], scored: FeatureRows, count: int) -> Said:
        """The Keras classifier; it says nothing of places without weather of the whole window."""
        from yieldcast.risk.lstm import fit_lstm, samples_as_known

        test, years = self.test, (*self.years, self.harvest_year)
        tables = network_tables(test.store, test.settings.data)
        source = Source(tables, self.calendar, test.crop, test.settings.data, max(self.years))
        codes = np.union1d(train.municipality, scored.municipality).astype(np.int32)
        samples = samples_as_known(source, years, self.date, self.harvest_year, codes)
        key = samples.municipality.astype(np.int64) * _YEARS + samples.harvest_year
        order = np.argsort(key)

        def joined(rows: FeatureRows) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
            wanted = rows.municipality.astype(np.int64) * _YEARS + rows.harvest_year
            at = order[np.searchsorted(key, wanted, sorter=order).clip(max=len(key) - 1)]
            return at, key[at] == wanted

        at, found = joined(train)
        model = fit_lstm(samples.take(at[found]), taught[found], count=count)
        at, found = joined(scored)
        classes, shares = np.full(len(scored), UNKNOWN), np.full((len(scored), count), np.nan)
        classes[found] = model.classes(samples.take(at[found]))
        shares[found] = model.probabilities(samples.take(at[found]))
        return Said(classes=classes, probabilities=shares)


def climatology(
    train: FeatureRows, taught: NDArray[np.int8], municipality: NDArray[np.int32], count: int
) -> Said:
    """Frequencies of the classes among each place's training years.

    The frequencies of all places count as one more year, so that a place with few years leans on them and no
    class is impossible. The class is the most frequent one.

    Args:
        train: training rows.
        taught: (row,) their classes; rows below 0 are left out.
        municipality: (place,) codes to say something of.
        count: of classes.
    """
    known = taught >= 0
    codes, classes = train.municipality[known], taught[known]
    overall = np.bincount(classes, minlength=count) / len(classes)
    places, at = np.unique(codes, return_inverse=True)
    own = np.zeros((len(places), count))
    np.add.at(own, (at, classes), 1.0)
    total = np.tile(overall, (len(municipality), 1))
    found = np.isin(municipality, places)
    total[found] += own[np.searchsorted(places, municipality[found])]
    shares = total / total.sum(axis=1, keepdims=True)
    return Said(classes=shares.argmax(axis=1), probabilities=shares)


# --- scores of rows ---


@dataclass(frozen=True)
class RiskScores:
    """Scores of all models.

    Args:
        crop: name.
        class_names: of the classes.
        scores: one for each model, day and harvest year, and one over all years of each day (harvest_year
            None): see `scores_of`.
        rows: of scores, of all cases.
    """

    crop: str
    class_names: tuple[str, ...]
    scores: tuple[dict[str, Any], ...]
    rows: pd.DataFrame


def run_class_test(
    test: ClassTest, cases: Sequence[Case], false_alarm_rate: float = FALSE_ALARM_RATE,
    progress: Progress = lambda done, total: None,
) -> RiskScores:  # fmt: skip
    """Score every case.

    Args:
        test: what is scored.
        cases: harvest years and dates.
        false_alarm_rate: at which the recall is told.
        progress: called with the number of cases done and of all.

    Raises:
        SchemaError: a class without rows, among those that teach or over all years that are scored.
    """
    tables = []
    for done, case in enumerate(cases, 1):
        tables.append(case_rows(test, case))
        progress(done, len(cases))
    rows = pd.concat(tables, ignore_index=True)
    return RiskScores(test.crop, class_names(rows), tuple(scores_of(rows, false_alarm_rate)), rows)


def class_names(rows: pd.DataFrame) -> tuple[str, ...]:
    """Names of the classes of rows of scores; SchemaError if a class has no row.

    Args:
        rows: with classes.
    """
    there = set(rows[CLASS]) - {""}
    names = TWO if there & set(TWO[1:]) else tuple(name.removeprefix("p_") for name in PROBABILITIES)
    if lost := [name for name in names if name not in there]:
        years = f"{rows['harvest_year'].min()} to {rows['harvest_year'].max()}"
        raise SchemaError(
            f"scores of classes: expected test rows of every class, received none of {', '.join(lost)} in "
            f"harvest years {years}",
            "Test more harvest years, or give a threshold between their yields (--threshold KG_HA).",
        )
    return names


def scores_of(rows: pd.DataFrame, false_alarm_rate: float = FALSE_ALARM_RATE) -> list[dict[str, Any]]:
    """Scores of every model by day and harvest year, and pooled over the years of a day.

    Args:
        rows: of scores with classes, see `score_rows`.
        false_alarm_rate: see `class_metrics.warnings_of`.

    Returns:
        model, day (MM-DD), harvest_year (None: pooled), the fields of `class_metrics.ClassScore`, and those
        of `class_metrics.score_low` where the model has probabilities.
    """
    names = class_names(rows)
    known = rows[(rows[CLASS] != "") & (rows[PREDICTED] != "")]
    found = []
    for day in sorted(set(known["as_of"].str[5:]), key=lambda day: _order(known, day)):
        mine = known[known["as_of"].str[5:] == day]
        for model in models_of(mine):
            one = mine[mine["model"] == model]
            years: list[int | None] = [None, *sorted(one["harvest_year"].unique().tolist())]
            for year in years:
                part = one if year is None else one[one["harvest_year"] == year]
                head = {"model": model, "day": day, "harvest_year": year}
                found.append({**head, **_scores(part, names, false_alarm_rate)})
    return found


def _order(rows: pd.DataFrame, day: str) -> int:
    """Days of a season in order of time: October comes before January."""
    mine = rows[rows["as_of"].str[5:] == day].iloc[0]
    start = dt.date(int(mine["harvest_year"]), 1, 1)
    return (dt.date.fromisoformat(mine["as_of"]) - start).days


def _scores(rows: pd.DataFrame, names: tuple[str, ...], false_alarm_rate: float) -> dict[str, Any]:
    number = {name: k for k, name in enumerate(names)}
    truth, predicted = (rows[column].map(number).to_numpy() for column in (CLASS, PREDICTED))
    scores = asdict(score_classes(truth, predicted, len(names)))
    p_low = rows[PROBABILITIES[LOW]].to_numpy()
    if np.isfinite(p_low).all():
        scores |= score_low(truth == LOW, p_low, false_alarm_rate)
    return scores
