"""What is compared in a study of transfer: a learner takes rows to train on and gives a function of rows.

`Learner` knows nothing of yields: learners of crop types can be added beside these. Those here learn yields
from a `SampleSet`; none of them sees past yields of a place, except through the rows that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from yieldcast.features.samples import SampleSet
from yieldcast.models import trees

Floats = NDArray[np.float64]
Rows = TypeVar("Rows", contravariant=True)
Predict = Callable[[SampleSet], Floats]
NEIGHBOURS = 10
# Few local rows alone must still give two leaves; from 400 rows on the trees are those of the forecast.
LEAST_LEAF, LEAF_SHARE = 5, 0.1


class Learner(Protocol[Rows]):
    """A way to learn from rows.

    A mark changes when the learner would predict something else from the same rows: results that are kept
    are used again only under the same mark.
    """

    @property
    def name(self) -> str:
        """Name in tables and files."""

    @property
    def mark(self) -> str:
        """Name, settings and version of the method, as text."""

    def fit(self, rows: Rows, local: Rows | None = None) -> Callable[[Any], Floats]:
        """Learn, and give a function of rows to predictions (row,).

        Args:
            rows: rows to learn from.
            local: further rows of the place where it will be used; None for none.
        """


def with_local(rows: SampleSet, local: SampleSet | None) -> SampleSet:
    """Rows and local rows together, as learners take them that do not treat local rows in another way."""
    return rows if local is None else SampleSet.join([rows, local])


class Climatology:
    """The mean yield of the training rows of the place; of its state where it has none; of all rows."""

    name = "climatology"
    mark = "climatology 1"

    def fit(self, rows: SampleSet, local: SampleSet | None = None) -> Predict:
        """See `Learner`."""
        known = with_local(rows, local)
        of_place = _means(known.municipality, known.target_kg_ha)
        of_state = _means(known.state, known.target_kg_ha)
        mean = float(known.target_kg_ha.mean(dtype=np.float64))

        def predict(wanted: SampleSet) -> Floats:
            pairs = zip(wanted.municipality.tolist(), wanted.state.tolist(), strict=True)
            return np.array([of_place.get(place, of_state.get(state, mean)) for place, state in pairs])

        return predict


def _means(labels: NDArray[Any], values: NDArray[Any]) -> dict[Any, float]:
    """Label -> mean of its values."""
    names, group = np.unique(labels, return_inverse=True)
    means = np.bincount(group, values.astype(np.float64)) / np.bincount(group)
    return dict(zip(names.tolist(), means.tolist(), strict=True))


class Neighbours:
    """The mean yield of the ten training rows nearest by great circle, whatever their year.

    It knows nothing but the map: what it gains in random splits comes from yields of the place itself.
    """

    name = "neighbours"
    mark = f"neighbours 1 {NEIGHBOURS}"

    def fit(self, rows: SampleSet, local: SampleSet | None = None) -> Predict:
        """See `Learner`."""
        from sklearn.neighbors import KNeighborsRegressor

        known = with_local(rows, local)
        near = KNeighborsRegressor(min(NEIGHBOURS, len(known)), metric="haversine", algorithm="ball_tree")
        near.fit(_radians(known), known.target_kg_ha.astype(np.float64))
        return lambda wanted: np.asarray(near.predict(_radians(wanted)), dtype=np.float64)


def _radians(rows: SampleSet) -> Floats:
    columns = [rows.static_names.index(name) for name in ("latitude_deg", "longitude_deg")]
    return np.asarray(np.radians(rows.static[:, columns].astype(np.float64)))


class RidgeRegression:
    """Ridge regression on all inputs, each scaled; missing soil is the training mean."""

    name = "ridge"
    mark = "ridge 1"

    def fit(self, rows: SampleSet, local: SampleSet | None = None) -> Predict:
        """See `Learner`."""
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        from yieldcast.models.baselines import Fitted

        known = with_local(rows, local)
        model = make_pipeline(SimpleImputer(), StandardScaler(), Ridge())
        fitted = Fitted(model, known.flat(), known.target_kg_ha.astype(np.float64))
        return lambda wanted: fitted.predict(wanted.flat())


class Trees:
    """Boosted trees of `models.trees` on all inputs; local rows are rows like the others."""

    name = "trees"
    mark = f"trees 1 {sorted(trees.SETTINGS.items())} {LEAST_LEAF} {LEAF_SHARE}"

    def fit(self, rows: SampleSet, local: SampleSet | None = None) -> Predict:
        """See `Learner`."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        from yieldcast.models.baselines import Fitted

        known = with_local(rows, local)
        usual = int(trees.SETTINGS["min_samples_leaf"])
        leaf = min(usual, max(LEAST_LEAF, round(LEAF_SHARE * len(known))))
        model = HistGradientBoostingRegressor(**{**trees.SETTINGS, "min_samples_leaf": leaf})
        fitted = Fitted(model, known.flat(), known.target_kg_ha.astype(np.float64))
        return lambda wanted: fitted.predict(wanted.flat())


BASELINES: tuple[Learner[SampleSet], ...] = (Climatology(), Neighbours(), RidgeRegression())
REFERENCE = Climatology.name  # what skill is measured against
