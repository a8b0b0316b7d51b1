"""Boosted trees on tables of places and years.

scikit-learn's histogram gradient boosting (Friedman 2001, Ann. Stat. 29, 1189-1232; histograms as in Ke et
al. 2017, NeurIPS 30), small trees with strong shrinkage, because yields are noisy. One thread,
so that results do not depend on the machine's load.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Predict = Callable[[Floats], Floats]

LEAST_ROWS = 200  # below this no tree has two leaves that say anything
# Rates and sizes of the public recipes for such tables, not tuned on these yields.
SETTINGS = {
    "learning_rate": 0.1, "max_iter": 100, "max_leaf_nodes": 15, "min_samples_leaf": 40,
    "l2_regularization": 10.0, "max_features": 0.5, "early_stopping": False, "random_state": 0,
}  # fmt: skip


def fit_trees(inputs: Floats, targets: Floats) -> Predict | None:
    """Trees for one record; None with fewer than 200 rows.

    Args:
        inputs: (row, input), NaN = unknown.
        targets: (row,) kg/ha, finite.

    Returns:
        (row, input) -> (row,) kg/ha.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    if len(targets) < LEAST_ROWS:
        return None
    with threadpool_limits(1):
        fitted = HistGradientBoostingRegressor(**SETTINGS).fit(inputs, targets)

    def predict(rows: Floats) -> Floats:
        with threadpool_limits(1):
            return np.asarray(fitted.predict(rows), dtype=np.float64)

    return predict
