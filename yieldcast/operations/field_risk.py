"""The risk of fields in one season: classifiers on features as known on a date, their scores, and files."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yieldcast.config import Settings
from yieldcast.data.files import atomic_text, atomic_write, make_folder
from yieldcast.data.store import Store
from yieldcast.errors import MissingDataError
from yieldcast.evaluation.class_metrics import score_classes, score_low
from yieldcast.evaluation.score_rows import Said, ScoredPlaces, score_table, write_rows
from yieldcast.features.day_rows import rows_for
from yieldcast.features.feature_rows import FeatureRows
from yieldcast.forecasting.hindcasts import Progress, ignore_progress
from yieldcast.reporting.field_report import Section, field_page
from yieldcast.risk.classes import UNKNOWN, ClassRule, class_rule
from yieldcast.risk.classifiers import SearchSettings
from yieldcast.risk.decisions import Costs
from yieldcast.risk.forecast import Classified, classify_season
from yieldcast.risk.search_spaces import CLASSIFIERS, DUMMY

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FieldRisk:
    """The risk of the fields with a crop in one season, and how it turned out.

    Args:
        crop: name.
        harvest_year: of the season.
        as_of: date: nothing published later was used.
        rule: borders of the classes, of the training years.
        costs: of the two errors of a warning.
        classified: of the season, the dummy among its classifiers.
    """

    crop: str
    harvest_year: int
    as_of: dt.date
    rule: ClassRule
    costs: Costs
    classified: Classified

    @property
    def rows(self) -> FeatureRows:
        """Of the season."""
        return self.classified.rows

    @property
    def best(self) -> str:
        """Name of the best classifier."""
        return self.classified.best.name

    @cached_property
    def probabilities(self) -> dict[str, Floats]:
        """Name of the classifier -> (row, class)."""
        return {name: one.probabilities(self.rows) for name, one in self.classified.classifiers.items()}

    @cached_property
    def predicted(self) -> dict[str, NDArray[np.int8]]:
        """Name of the classifier -> (row,) classes."""
        return {name: one.classes(self.rows) for name, one in self.classified.classifiers.items()}

    @property
    def classes(self) -> NDArray[np.int8]:
        """(row,) of the harvested yields; `UNKNOWN` where there is none."""
        return self.rule.classes(self.rows.yield_kg_ha, self.rows.municipality)

    @property
    def p_low(self) -> Floats:
        """(row,) P(low) of the best classifier."""
        low: Floats = self.probabilities[self.best][:, 0]
        return low

    def scores(self) -> dict[str, dict[str, Any]]:
        """Scores of each classifier on the fields whose yield is known, for JSON."""
        known = self.classes != UNKNOWN
        truth = self.classes[known]
        return {
            name: {
                **asdict(score_classes(truth, self.predicted[name][known], len(self.rule.names))),
                "low": score_low(truth == 0, self.probabilities[name][known, 0]),
            }
            for name in self.predicted
        }


def classify_fields(
    store: Store,
    crop: str,
    harvest_year: int,
    as_of: dt.date,
    settings: Settings,
    search: SearchSettings,
    costs: Costs,
    most_rows: int | None = None,
    progress: Progress = ignore_progress,
) -> FieldRisk:
    """Train classifiers on the seasons whose yields were public on a date, and classify a later season.

    Args:
        store: with fields, see `yieldcast.data.field_seasons`.
        crop: crop of the fields.
        harvest_year: season to classify.
        as_of: day of the forecast, in that season.
        settings: `data` and `risk`.
        search: of the classifiers.
        costs: of the two errors of a warning.
        most_rows: training rows at most, drawn at random; None for all.
        progress: called with the number of fits done and of all fits.

    Raises:
        MissingDataError: no public yield, or no field with the crop in the season.
        SchemaError: a class without rows, or one season only.
    """
    calendar = store.country.calendar
    if calendar is None:
        raise MissingDataError(
            "the store's country is not known, and with it no crop calendar", "Import it with --country."
        )
    newest = settings.data.publication().last_public_harvest_year(as_of)
    years = [int(year) for year in store.yields["harvest_year"].values if year <= newest]
    every = rows_for(
        store, calendar, crop, [*years, harvest_year], settings, as_of=as_of, season=harvest_year
    )
    past = every.take(every.harvest_year != harvest_year).with_yield()
    rule = class_rule(past.yield_kg_ha, past.municipality, past.harvest_year)
    classified = classify_season(
        every, harvest_year, rule, search, progress, names=(*CLASSIFIERS, DUMMY), most_rows=most_rows
    )
    return FieldRisk(crop, harvest_year, as_of, rule, costs, classified)


def write_field_risk(folder: Path, results: Sequence[FieldRisk], store: Store, synthetic: bool) -> list[Path]:
    """Write tables of P(low), scores, score rows, the table of features, and a report.

    Args:
        folder: made if it does not exist; files of the same names are replaced.
        results: of one crop each.
        store: of the fields.
        synthetic: mark the report and the names of the files.

    Returns:
        the files, the report last.

    Raises:
        MissingDataError: the disk refuses.
    """
    make_folder(folder)
    mark = "synthetic-" if synthetic else ""
    written = []
    for one in results:
        path = folder / f"{mark}risk-{one.crop}-{one.harvest_year}.csv"
        table = _risk_table(one, store)
        atomic_write(path, lambda part, table=table: table.to_csv(part, index=False))  # type: ignore[misc]
        written.append(path)
    features = {feature.name: asdict(feature) for one in results for feature in one.rows.features}
    path = folder / f"{mark}features.csv"
    atomic_write(path, lambda part: pd.DataFrame(features.values()).to_csv(part, index=False))
    scores = folder / f"{mark}scores.json"
    atomic_text(scores, json.dumps({"synthetic": synthetic, "crops": _scores(results)}, indent=2))
    rows = folder / f"{mark}score-rows.csv.gz"
    write_rows(rows, [_score_rows(one) for one in results])
    report = folder / f"{mark}report.html"
    atomic_text(report, field_page([_section(one, store) for one in results], synthetic))
    return [*written, path, scores, rows, report]


def _risk_table(one: FieldRisk, store: Store) -> pd.DataFrame:
    """A row for each field: position, probabilities, flag, expected cost, harvested class."""
    static = store.static.sel(municipality=one.rows.municipality)
    names = np.array([*one.rule.names, ""])
    p = np.round(one.probabilities[one.best], 4)
    return pd.DataFrame(
        {
            "field": static["code"].values, "part_of": static["part_of"].values,
            "latitude_deg": one.rows.latitude_deg, "longitude_deg": one.rows.longitude_deg,
            "crop": one.crop, "harvest_year": one.harvest_year, "as_of": one.as_of.isoformat(),
            "cutoff": one.rows.cutoff.astype(str),
            **{f"p_{name}": p[:, k] for k, name in enumerate(one.rule.names)},
            "flag": one.costs.flags(one.p_low).astype(int),
            "expected_cost": np.round(one.costs.expected(one.p_low), 4),
            "predicted_class": names[one.predicted[one.best]], "harvested_class": names[one.classes],
        }
    )  # fmt: skip


def _scores(results: Sequence[FieldRisk]) -> dict[str, Any]:
    return {
        one.crop: {
            "harvest_year": one.harvest_year, "as_of": one.as_of.isoformat(), "best": one.best,
            "train_years": list(one.rule.train_years), "train_rows": one.classified.trained,
            "borders_kg_ha": one.rule.borders_kg_ha.tolist(),
            "left_out": dict(one.rows.left_out),
            "chosen": {name: list(found.chosen) for name, found in one.classified.classifiers.items()},
            "classifiers": one.scores(),
        }
        for one in results
    }  # fmt: skip


def _score_rows(one: FieldRisk) -> pd.DataFrame:
    known = one.classes != UNKNOWN
    rows = one.rows.take(known)
    places = ScoredPlaces(
        one.crop, rows.municipality, rows.harvest_year, np.datetime64(one.as_of, "D"), rows.state,
        rows.yield_kg_ha, one.classes[known], one.rule.names,
    )  # fmt: skip
    return score_table(
        places,
        {
            name: Said(classes=one.predicted[name][known], probabilities=one.probabilities[name][known])
            for name in one.predicted
        },
    )


def _section(one: FieldRisk, store: Store) -> Section:
    scores = one.scores()
    low, high = one.rule.borders_kg_ha
    shown = [
        [
            name, f"{s['accuracy']:.3f}", f"{s['macro_f1']:.3f}", f"{s['low']['brier']:.3f}",
            _or_dash(s["low"]["roc_area"]), _or_dash(s["low"]["recall_at_rate"]),
        ]
        for name, s in scores.items()
    ]  # fmt: skip
    best = scores[one.best]
    confusion = [[name, *map(str, row)] for name, row in zip(one.rule.names, best["confusion"], strict=True)]
    facts = [
        f"{len(one.rows)} fields, harvest year {one.harvest_year}, as of {one.as_of}: nothing later was used",
        f"classes from harvest years {one.rule.train_years[0]} to {one.rule.train_years[-1]}: low below "
        f"{low:.0f}, high from {high:.0f} kg/ha; {one.classified.trained} training rows",
        f"classifier with the best folds: {one.best}; it uses {', '.join(one.classified.best.chosen)}",
        f"{int(one.costs.flags(one.p_low).sum())} fields are flagged at P(low) of "
        f"{one.costs.threshold:.2f} or more (a miss costs {one.costs.miss:g}, a false alarm "
        f"{one.costs.alarm:g})",
    ]
    return Section(
        one.crop, facts,
        (["classifier", "accuracy", "macro-F1", "Brier of P(low)", "ROC area", "recall at 20 % alarms"],
        shown), (["harvested \\ predicted", *one.rule.names], confusion),
        [(b["probability"], b["observed"], b["n"]) for b in best["low"]["reliability_curve"]],
        one.rows.longitude_deg, one.rows.latitude_deg, one.p_low,
    )  # fmt: skip


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
