"""The four classifiers with the settings that a search may draw, and the dummy; all of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CLASSIFIERS = ("logistic", "forest", "boosting", "mlp")
DUMMY = "dummy"


@dataclass(frozen=True)
class SearchSpace:
    """One classifier before its search.

    Args:
        make: an estimator from a random seed; without draws it is used as it is.
        draws: name of a setting -> its values or distribution, or a list of such dictionaries.
    """

    make: Callable[[int], Any]
    draws: Any


def search_space(name: str) -> SearchSpace:
    """The classifier of a name: its estimator, and what the search draws from.

    Ranges of the forest, of boosting and of the logistic regression are those of Xavier et al. 2026
    (AgriEngineering 8:203, Section 2.4.1); boosting is by histograms, whose `max_features` is a share. Those
    of the perceptron, which the paper does not have, are common ones (our choice). Every class weighs the
    same in training (`class_weight="balanced"`); scikit-learn's perceptron has no such setting, so it is
    trained with sample weights (release 1.7 on).

    Args:
        name: one of `CLASSIFIERS`, or `DUMMY`.
    """
    return {
        "logistic": _logistic, "forest": _forest, "boosting": _boosting, "mlp": _mlp, DUMMY: _dummy
    }[name]()  # fmt: skip


def _logistic() -> SearchSpace:
    from scipy.stats import loguniform
    from sklearn.linear_model import LogisticRegression

    strength = loguniform(0.01, 100)
    return SearchSpace(
        lambda seed: LogisticRegression(
            class_weight="balanced", max_iter=500, tol=1e-3, random_state=seed
        ),
        [
            {"C": strength, "l1_ratio": [0.0], "solver": ["lbfgs"]},
            {"C": strength, "l1_ratio": [1.0], "solver": ["saga"]},
        ],
    )  # fmt: skip


def _forest() -> SearchSpace:
    from scipy.stats import randint
    from sklearn.ensemble import RandomForestClassifier

    return SearchSpace(
        lambda seed: RandomForestClassifier(class_weight="balanced", random_state=seed, n_jobs=1),
        {
            "n_estimators": randint(100, 501), "max_depth": [5, 10, 15, 20, None],
            "min_samples_split": [2, 5, 10], "min_samples_leaf": [1, 2, 4],
            "max_features": ["sqrt", "log2", 0.5],
        },
    )  # fmt: skip


def _boosting() -> SearchSpace:
    from scipy.stats import randint
    from sklearn.ensemble import HistGradientBoostingClassifier

    return SearchSpace(
        lambda seed: HistGradientBoostingClassifier(
            class_weight="balanced", early_stopping=False, random_state=seed
        ),
        {
            "max_iter": randint(100, 301), "learning_rate": [0.05, 0.1, 0.2], "max_depth": [3, 5, 7],
            "max_features": [0.33, 0.7, 1.0], "min_samples_leaf": [5, 10, 20],
        },
    )  # fmt: skip


def _mlp() -> SearchSpace:
    from scipy.stats import loguniform
    from sklearn.neural_network import MLPClassifier
    from sklearn.utils.class_weight import compute_sample_weight

    class BalancedPerceptron(MLPClassifier):  # type: ignore[misc]  # scikit-learn has no types
        """A perceptron whose classes weigh the same, as by ``class_weight="balanced"`` of the others."""

        def fit(self, X: Any, y: Any) -> Any:
            """Fit with the weights of these rows, which in a search are those of the fold."""
            return super().fit(X, y, sample_weight=compute_sample_weight("balanced", y))

    return SearchSpace(
        lambda seed: BalancedPerceptron(max_iter=200, random_state=seed),
        {
            "hidden_layer_sizes": [(8,), (16,), (32,), (32, 16)], "alpha": loguniform(1e-4, 1.0),
            "learning_rate_init": loguniform(1e-3, 1e-2),
        },
    )  # fmt: skip


def _dummy() -> SearchSpace:
    from sklearn.dummy import DummyClassifier

    return SearchSpace(lambda seed: DummyClassifier(strategy="prior"), None)
