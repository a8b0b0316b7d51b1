"""The comparison of two models: every metric with its intervals, the tests, the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from yieldcast import language
from yieldcast.comparison.bootstrap import DRAWS, Difference, block_difference
from yieldcast.comparison.diebold_mariano import DieboldMariano, diebold_mariano
from yieldcast.comparison.mcnemar import McNemar, mcnemar
from yieldcast.comparison.paired import (
    MACRO_F1,
    Block,
    Metric,
    classes_of,
    identical_share,
    labels_of,
    metrics_of,
)
from yieldcast.comparison.pairs import Pair, of_crop, pair_rows
from yieldcast.comparison.power import LEVEL, POWER
from yieldcast.comparison.sources import Source
from yieldcast.comparison.verdict import Verdict, verdict, verdict_text
from yieldcast.errors import MissingDataError
from yieldcast.evaluation.score_rows import PREDICTED


@dataclass(frozen=True)
class MetricResult:
    """One metric of both models.

    Args:
        name: see `paired`.
        rows: that it rests on.
        a, b: scores.
        differences: "year" and, where the states are known, "region" -> A minus B with intervals.
        groups: the same keys -> name of the block -> (score of A, score of B).
        diebold_mariano: of the mean losses by year (RMSE: squared errors); None for macro-F1 and for too few
            years.
    """

    name: str
    rows: int
    a: float
    b: float
    differences: Mapping[str, Difference]
    groups: Mapping[str, Mapping[str, tuple[float, float]]]
    diebold_mariano: DieboldMariano | None


@dataclass(frozen=True)
class Comparison:
    """Everything that `compare` finds.

    Args:
        names: of A and B, for readers.
        crop: name; "" if the files do not say it.
        rows, only_a, only_b: common rows, and those left out because only one has them.
        identical_share: share of the common rows for which both say the same.
        metrics: those that both have.
        mcnemar: None without classes.
        verdict: of the first metric in which the two differ: RMSE, CRPS where the points are equal, macro-F1
            where there are only classes.
        by: blocks of the verdict.
        synthetic: whether the data are.
    """

    names: tuple[str, str]
    crop: str
    rows: int
    only_a: int
    only_b: int
    identical_share: float
    metrics: tuple[MetricResult, ...]
    mcnemar: McNemar | None
    verdict: Verdict
    by: Block
    synthetic: bool

    def to_json(self) -> dict[str, Any]:
        """All of it, for `json.dumps(..., allow_nan=False)`; `result` is the sentence."""
        found = asdict(self)
        found["names"] = dict(zip("ab", self.names, strict=True))
        found["result"] = verdict_text(self.verdict, language.of("en"))
        found["bootstrap_draws"], found["level"], found["power"] = DRAWS, LEVEL, POWER
        for one in found["metrics"]:
            one["groups"] = {
                kind: {name: dict(zip("ab", scores, strict=True)) for name, scores in groups.items()}
                for kind, groups in one["groups"].items()
            }
        return found


def compare(a: Source, b: Source, by: Block = "year", crop: str = "", seed: int = 0) -> Comparison:
    """Compare two models on the rows that both have.

    Args:
        a, b: of `sources.read_source`.
        by: blocks of the interval that decides.
        crop: to compare; "" where the rows are of one crop only.
        seed: of the bootstrap.

    Raises:
        ConfigError, MissingDataError, SchemaError: see `pairs.pair_rows`; also rows without anything
            that both say, and regions that the files do not name.
    """
    names = _names(a, b)
    pair = pair_rows(of_crop(a.rows, crop, names[0]), of_crop(b.rows, crop, names[1]), names)
    metrics = metrics_of(pair)
    if not metrics:
        raise MissingDataError(
            f"{names[0]} and {names[1]} have {len(pair.a)} common rows, but no forecasts or classes in both",
            "Compare two files with forecast_kg_ha, or two with class and predicted_class.",
        )
    results = [_result(metric, pair, seed) for metric in metrics]
    if by not in results[0].differences:
        raise MissingDataError(
            "--by region needs the states of all rows", "Add the column state to the file."
        )
    deciding = next((k for k, one in enumerate(metrics) if (one.a != one.b).any()), None)
    at = deciding or 0
    judged = verdict(names, metrics[at], results[at].differences, by, identical=deciding is None)
    crop = str(pair.a["crop"].iloc[0] or pair.b["crop"].iloc[0])
    return Comparison(
        names, crop, len(pair.a), pair.only_a, pair.only_b, identical_share(pair), tuple(results),
        _mcnemar(pair), judged, by, a.synthetic or b.synthetic,
    )  # fmt: skip


def _names(a: Source, b: Source) -> tuple[str, str]:
    """Models where they differ, else the names of the paths, else A and B."""
    for one, other in ((a.model, b.model), (a.path.name, b.path.name), (str(a.path), str(b.path))):
        if one != other:
            return one, other
    return "A", "B"


def _result(metric: Metric, pair: Pair, seed: int) -> MetricResult:
    differences: dict[str, Difference] = {}
    groups: dict[str, dict[str, tuple[float, float]]] = {}
    kinds: tuple[Block, ...] = ("year", "region")
    for kind in kinds:
        labels = labels_of(pair, kind)
        if labels is not None:
            sums = metric.blocks(labels)
            differences[kind] = block_difference(sums, seed=seed)
            ours, theirs = (one.tolist() for one in sums.by_block())
            groups[kind] = dict(zip(sums.names, zip(ours, theirs, strict=True), strict=True))
    tested = None if metric.name == MACRO_F1 else _tested(metric, pair)
    return MetricResult(metric.name, len(metric.rows), *metric.whole(), differences, groups, tested)


def _tested(metric: Metric, pair: Pair) -> DieboldMariano | None:
    """Of the mean loss of each year: squared errors for RMSE, so that losses are means of rows."""
    sums = metric.blocks(pair.a["harvest_year"].to_numpy())
    return diebold_mariano(sums.a[:, 0] / sums.a[:, 1], sums.b[:, 0] / sums.b[:, 1])


def _mcnemar(pair: Pair) -> McNemar | None:
    truth, rows = classes_of(pair)
    if not len(rows):
        return None
    right = [(one[PREDICTED].to_numpy() == truth)[rows] for one in (pair.a, pair.b)]
    return mcnemar(np.asarray(right[0], dtype=bool), np.asarray(right[1], dtype=bool))
