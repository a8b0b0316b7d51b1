"""Scores of the members, of their mean (the ensemble) and of the baselines, all on the same rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.evaluation.metrics import Score, finite_or_none, score
from yieldcast.features.samples import SampleSet
from yieldcast.features.splits import check_order
from yieldcast.models.baselines import Baseline, History

Kind = Literal["network", "ensemble", "reference"]
NETWORK, ENSEMBLE = "dual_path", "ensemble_mean"


@dataclass(frozen=True)
class ScoreRow:
    """One row of the table of scores; spread and best are over the members (None for other rows).

    Args:
        model, kind: name, and what it is.
        score: of the model; for the network the mean over its members.
        r_sd, mape_sd: standard deviation over the members (n - 1).
        r_max, mape_min: best member.
    """

    model: str
    kind: Kind
    score: Score
    r_sd: float | None = None
    r_max: float | None = None
    mape_sd: float | None = None
    mape_min: float | None = None

    def to_json(self) -> dict[str, str | int | float | None]:
        """All values by name; NaN becomes None."""
        values = asdict(self)
        flat = {"model": self.model, "kind": self.kind, **values.pop("score"), **values}
        return {
            key: finite_or_none(value) if isinstance(value, float) else value for key, value in flat.items()
        }


@dataclass(frozen=True)
class BaselineScore:
    """Score of a baseline, the yields it used, and how many rows had no yields of their own to use."""

    score: Score
    history: History
    fallback_rows: int


@dataclass(frozen=True)
class Evaluation:
    """Scores of all models on the same rows.

    Args:
        crop: crop name.
        train_years, test_years: harvest years, ascending.
        seeds, members: seed and score of every member, in the same order.
        ensemble: score of the mean of the members' predictions.
        baselines: name -> score of the baseline.
    """

    crop: str
    train_years: tuple[int, ...]
    test_years: tuple[int, ...]
    seeds: tuple[int, ...]
    members: tuple[Score, ...]
    ensemble: Score
    baselines: Mapping[str, BaselineScore]

    @property
    def network(self) -> ScoreRow:
        """Mean scores over the members, with their standard deviation (n - 1) and the best member."""
        r, mape, rmse, bias = (
            np.array([getattr(m, name) for m in self.members], dtype=np.float64)
            for name in ("r", "mape_pct", "rmse_kg_ha", "bias_kg_ha")
        )
        means = (float(values.mean()) for values in (r, mape, rmse, bias))
        return ScoreRow(
            NETWORK, "network", Score(self.ensemble.n, *means),
            r_sd=_sd(r), r_max=_best(r, np.max), mape_sd=_sd(mape), mape_min=_best(mape, np.min),
        )  # fmt: skip

    @property
    def rows(self) -> tuple[ScoreRow, ...]:
        """The network, the ensemble, then the baselines."""
        baselines = (ScoreRow(name, "reference", one.score) for name, one in self.baselines.items())
        return (self.network, ScoreRow(ENSEMBLE, "ensemble", self.ensemble), *baselines)

    def to_json(self) -> dict[str, Any]:
        """All scores, for `json.dumps(..., allow_nan=False)`; units are in the names."""
        return {
            "crop": self.crop,
            "train_years": list(self.train_years),
            "test_years": list(self.test_years),
            "rows": self.ensemble.n,
            "scores": [row.to_json() for row in self.rows],
        }

    def members_csv(self) -> str:
        """One row per member: seed, n, r, mape_pct, rmse_kg_ha, bias_kg_ha; empty instead of NaN."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("seed", "n", "r", "mape_pct", "rmse_kg_ha", "bias_kg_ha"))
        for seed, member in zip(self.seeds, self.members, strict=True):
            values = (finite_or_none(value) for value in asdict(member).values())
            writer.writerow((seed, *("" if value is None else value for value in values)))
        return text.getvalue()


def evaluate(
    crop: str,
    train_years: Sequence[int],
    members: NDArray[np.floating[Any]],
    test: SampleSet,
    baselines: Mapping[str, Baseline],
    seeds: Sequence[int] | None = None,
) -> Evaluation:
    """Score the members, their mean and the baselines on the rows of `test`.

    Args:
        crop: crop name.
        train_years: harvest years on which the members were trained.
        members: (member, sample) predictions in kg/ha.
        test: rows with known yields, of years later than every training year.
        baselines: name -> baseline predictions for the same rows.
        seeds: (member,) seeds to report; 1, 2, ... if None.

    Raises:
        LeakageError: a training year is not before every test year; the message lists them.
        MissingDataError: no rows or no members.
        SchemaError: shapes that do not match, or values that are not finite.
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
        baselines={
            name: BaselineScore(score(one.prediction, target), one.history, one.fallback_rows)
            for name, one in baselines.items()
        },
    )


def evaluate_years(
    crop: str,
    train_years: Sequence[int],
    members: NDArray[np.floating[Any]],
    test: SampleSet,
    baselines: Mapping[str, Baseline],
    seeds: Sequence[int] | None = None,
) -> dict[int, Evaluation]:
    """`evaluate` for each test year separately; same arguments and errors.

    Returns:
        harvest year -> scores.
    """
    evaluate(crop, train_years, members, test, baselines, seeds)
    years = {}
    for year in np.unique(test.harvest_year):
        rows = test.harvest_year == year
        own = {
            name: replace(one, prediction=one.prediction[rows], fallback=one.fallback[rows])
            for name, one in baselines.items()
        }
        years[int(year)] = evaluate(crop, train_years, members[:, rows], test.take(rows), own, seeds)
    return years


def _sd(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1)) if values.size > 1 else None


def _best(values: NDArray[np.float64], choose: Any) -> float | None:
    known = values[np.isfinite(values)]
    return float(choose(known)) if known.size else None
