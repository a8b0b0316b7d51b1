"""What is probed: rows of features, years to test, a learner, and what the learner is to tell.

A learner is handed all rows at once, those to test with their yields too, and told which may teach. So a
fault is possible here as it is in practice, and the probes find out whether there is one: they change what a
learner must not read and look for a difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from yieldcast.features.feature_rows import Feature, FeatureRows
from yieldcast.models.trees import SETTINGS

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEAST_LEAF = 3  # rows of a leaf where there are few rows


class Learner(Protocol):
    """Anything that learns from rows and tells the outcome of all of them."""

    @property
    def name(self) -> str:
        """For readers."""
        ...

    def predict(self, rows: FeatureRows, outcome: Floats, train: Bools) -> Floats:
        """(row,) outcome of every row, taught by some.

        An honest learner reads, of the rows that do not teach, nothing but the features of the row itself.

        Args:
            rows: all rows.
            outcome: (row,) what to learn, finite.
            train: (row,) the rows that teach.
        """
        ...


@dataclass(frozen=True)
class Trees:
    """Boosted trees with the settings of the forecast's trees (`models.trees`)."""

    name: str = "trees"

    def predict(self, rows: FeatureRows, outcome: Floats, train: Bools) -> Floats:
        """See `Learner`."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        leaf = int(np.clip(train.sum() // 20, LEAST_LEAF, SETTINGS["min_samples_leaf"]))
        return _taught(
            HistGradientBoostingRegressor(**{**SETTINGS, "min_samples_leaf": leaf}), rows, outcome, train
        )


@dataclass(frozen=True)
class Ridge:
    """A linear model: mean for unknown values, scaling and ridge regression, all fitted where rows teach."""

    name: str = "ridge"

    def predict(self, rows: FeatureRows, outcome: Floats, train: Bools) -> Floats:
        """See `Learner`."""
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import Ridge as Linear
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(SimpleImputer(), StandardScaler(), Linear(10.0))
        return _taught(model, rows, outcome, train)


def _taught(model: Any, rows: FeatureRows, outcome: Floats, train: Bools) -> Floats:
    """Predictions of a scikit-learn model fitted to the rows that teach, on one thread."""
    from threadpoolctl import threadpool_limits

    known = np.isfinite(rows.values[train]).any(axis=0)  # a column without a value cannot be binned
    if not known.any():
        return np.full(len(rows), outcome[train].mean())
    with threadpool_limits(1):
        model.fit(rows.values[train][:, known], outcome[train])
        return np.asarray(model.predict(rows.values[:, known]), dtype=np.float64)


def forward(rows: FeatureRows, test_years: tuple[int, ...]) -> Bools:
    """(row,) the rows that teach: all harvest years before the first one to test."""
    return np.asarray(rows.harvest_year < min(test_years))


def yields(rows: FeatureRows, train: Bools) -> Floats:
    """(row,) the yield in kg/ha, the usual outcome."""
    return rows.yield_kg_ha


def low_class(rows: FeatureRows, train: Bools) -> Floats:
    """(row,) 1 where the yield is below the lowest third of the rows that teach, else 0."""
    return np.asarray(rows.yield_kg_ha < np.quantile(rows.yield_kg_ha[train], 1 / 3), dtype=np.float64)


def high_class(rows: FeatureRows, train: Bools) -> Floats:
    """(row,) 1 where the yield is in the highest third of the rows that teach, else 0."""
    return np.asarray(rows.yield_kg_ha > np.quantile(rows.yield_kg_ha[train], 2 / 3), dtype=np.float64)


@dataclass(frozen=True)
class Pipeline:
    """A pipeline under test.

    Args:
        rows: with known yields, of the years that teach and of those to test.
        test_years: harvest years to test.
        learner: learns and tells.
        split: (rows, test years) -> (row,) those that teach.
        outcome: (rows, those that teach) -> (row,) what is told: a yield, or 0 and 1 of a class.
    """

    rows: FeatureRows
    test_years: tuple[int, ...]
    learner: Learner = field(default_factory=Trees)
    split: Callable[[FeatureRows, tuple[int, ...]], Bools] = forward
    outcome: Callable[[FeatureRows, Bools], Floats] = yields

    @property
    def train(self) -> Bools:
        """(row,) the rows that teach."""
        return self.split(self.rows, self.test_years)

    @property
    def test(self) -> Bools:
        """(row,) the rows that are scored."""
        return np.isin(self.rows.harvest_year, self.test_years) & ~self.train

    @property
    def truth(self) -> Floats:
        """(row,) the outcome."""
        return self.outcome(self.rows, self.train)

    def predictions(self) -> Floats:
        """(row,) of all rows."""
        return self.learner.predict(self.rows, self.truth, self.train)

    def with_rows(self, rows: FeatureRows) -> Pipeline:
        """The same with other rows."""
        return replace(self, rows=rows)

    def with_learner(self, learner: Learner) -> Pipeline:
        """The same with another learner."""
        return replace(self, learner=learner)

    def with_values(self, values: Floats) -> Pipeline:
        """The same rows with other values of the same features."""
        return self.with_rows(replace(self.rows, values=values))

    def only(self, values: Floats, name: str) -> Pipeline:
        """The same rows with one feature in place of all."""
        feature = Feature(name, "place", "1", "", name)
        return self.with_rows(replace(self.rows, values=values[:, None], features=(feature,)))

    def skill(self, predictions: Floats | None = None) -> float:
        """1 less the squared error over that of the training mean, on the rows to test; 0 knows nothing."""
        told = self.predictions() if predictions is None else predictions
        truth, test = self.truth, self.test
        return skill(told[test], truth[test], float(truth[self.train].mean()))


def skill(told: Floats, truth: Floats, mean: float) -> float:
    """Skill score of squared errors (Murphy 1988, Mon. Wea. Rev. 116, 2417, eq. 4): 1 - MSE / MSE of a mean.

    Args:
        told, truth: (row,).
        mean: what knows nothing, the mean of the rows that teach.
    """
    reference = float(np.mean((truth - mean) ** 2))
    return 1.0 - float(np.mean((told - truth) ** 2)) / reference if reference > 0 else 0.0
