"""Scores of the network's members, of their mean and of the reference lines, all on the same rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.evaluation.metrics import Score, _strict, score
from yieldcast.features.samples import SampleSet
from yieldcast.features.splits import check_order
from yieldcast.models.baselines import Baseline, History

Kind = Literal["network", "ensemble", "reference"]
NETWORK, ENSEMBLE = "dual_path", "ensemble_mean"


@dataclass(frozen=True)
class Row:
    """A line of the results: its score, and over the members the spread and the best (None elsewhere)."""

    model: str
    kind: Kind
    score: Score
    r_sd: float | None = None
    r_max: float | None = None
    mape_sd: float | None = None
    mape_min: float | None = None

    def to_json(self) -> dict[str, str | int | float | None]:
        """Flat and strict: what is not a number becomes null."""
        values = asdict(self)
        flat = {"model": self.model, "kind": self.kind, **values.pop("score"), **values}
        return {key: _strict(value) for key, value in flat.items()}


@dataclass(frozen=True)
class Reference:
    """The score of a reference line, the yields it read, and how many rows had none of their own."""

    score: Score
    history: History
    fallback_rows: int


@dataclass(frozen=True)
class Evaluation:
    """Everything scored on one set of rows.

    Args:
        crop: crop name.
        train_years, test_years: harvest years, ascending.
        seeds, members: seed and score of every member, in order.
        ensemble: score of the mean of the members' predictions.
        references: name -> reference line.
    """

    crop: str
    train_years: tuple[int, ...]
    test_years: tuple[int, ...]
    seeds: tuple[int, ...]
    members: tuple[Score, ...]
    ensemble: Score
    references: Mapping[str, Reference]

    @property
    def network(self) -> Row:
        """Means over the members, with their standard deviation (n - 1) and the best of them."""
        r, mape, rmse, bias = (
            np.array([getattr(m, name) for m in self.members], dtype=np.float64)
            for name in ("r", "mape_pct", "rmse_kg_ha", "bias_kg_ha")
        )
        means = (float(values.mean()) for values in (r, mape, rmse, bias))
        return Row(
            NETWORK, "network", Score(self.ensemble.n, *means),
            r_sd=_sd(r), r_max=_best(r, np.max), mape_sd=_sd(mape), mape_min=_best(mape, np.min),
        )  # fmt: skip

    @property
    def rows(self) -> tuple[Row, ...]:
        """The network, the ensemble, then the reference lines."""
        references = (Row(name, "reference", line.score) for name, line in self.references.items())
        return (self.network, Row(ENSEMBLE, "ensemble", self.ensemble), *references)

    def to_json(self) -> dict[str, Any]:
        """A document for `json.dumps(..., allow_nan=False)`; units are in the names."""
        return {
            "crop": self.crop,
            "train_years": list(self.train_years),
            "test_years": list(self.test_years),
            "rows": self.ensemble.n,
            "scores": [row.to_json() for row in self.rows],
        }

    def members_csv(self) -> str:
        """One line per member: seed, n, r, mape_pct, rmse_kg_ha, bias_kg_ha; empty where not a number."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("seed", "n", "r", "mape_pct", "rmse_kg_ha", "bias_kg_ha"))
        for seed, member in zip(self.seeds, self.members, strict=True):
            values = (_strict(value) for value in asdict(member).values())
            writer.writerow((seed, *("" if value is None else value for value in values)))
        return text.getvalue()


def evaluate(
    crop: str,
    train_years: Sequence[int],
    members: NDArray[np.floating[Any]],
    test: SampleSet,
    lines: Mapping[str, Baseline],
    seeds: Sequence[int] | None = None,
) -> Evaluation:
    """Score the members, their mean and the reference lines on the rows of `test`.

    Args:
        crop: crop name.
        train_years: harvest years the members were trained on.
        members: (member, sample) predictions in kg/ha.
        test: rows with known yields, every year later than every training year.
        lines: reference lines for the same rows.
        seeds: (member,) for the report; counted from 1 when None.

    Raises:
        LeakageError: a training year is as late as a test year; names the years.
        MissingDataError: no rows or no members.
        SchemaError: shapes that do not fit, or values that are not numbers.
    """
    check_order(train_years, test.harvest_year)
    if members.ndim != 2 or members.shape[1] != len(test):
        raise SchemaError(f"expected members of shape (member, {len(test)}), received {members.shape}")
    if len(members) == 0:
        raise MissingDataError("expected at least one member, received none", "Train one first.")
    names = tuple(range(1, len(members) + 1)) if seeds is None else tuple(int(seed) for seed in seeds)
    if len(names) != len(members):
        raise SchemaError(f"expected a seed for each of {len(members)} members, received {len(names)}")
    target = test.target_kg_ha
    return Evaluation(
        crop=crop,
        train_years=tuple(sorted({int(year) for year in train_years})),
        test_years=tuple(int(year) for year in np.unique(test.harvest_year)),
        seeds=names,
        members=tuple(score(member, target) for member in members),
        ensemble=score(members.mean(axis=0, dtype=np.float64), target),
        references={
            name: Reference(score(line.prediction, target), line.history, line.fallback_rows)
            for name, line in lines.items()
        },
    )


def evaluate_years(
    crop: str,
    train_years: Sequence[int],
    members: NDArray[np.floating[Any]],
    test: SampleSet,
    lines: Mapping[str, Baseline],
    seeds: Sequence[int] | None = None,
) -> dict[int, Evaluation]:
    """`evaluate` for every test year by itself, with the same arguments and errors."""
    evaluate(crop, train_years, members, test, lines, seeds)
    years = {}
    for year in np.unique(test.harvest_year):
        rows = test.harvest_year == year
        own = {
            name: replace(line, prediction=line.prediction[rows], fallback=line.fallback[rows])
            for name, line in lines.items()
        }
        years[int(year)] = evaluate(crop, train_years, members[:, rows], test.take(rows), own, seeds)
    return years


def _sd(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1)) if values.size > 1 else None


def _best(values: NDArray[np.float64], choose: Any) -> float | None:
    known = values[np.isfinite(values)]
    return float(choose(known)) if known.size else None
