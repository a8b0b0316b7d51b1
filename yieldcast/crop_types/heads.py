"""Heads: classifiers of crop types on embeddings or on raw series, and calibrated probabilities."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import ConfigError, SchemaError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
HeadName = Literal["linear", "mlp", "boosted", "catboost"]
HEADS: tuple[HeadName, ...] = ("linear", "mlp", "boosted", "catboost")
# Inverse strength of the ridge penalty: stronger where one series has over a thousand columns (found on the
# shared samples; 0.003 to 0.1 differ by less than a standard error).
_FEW_C, _MANY_C, _MANY = 0.1, 0.01, 512
# Logistic regression on thousands of correlated columns needs about 700 rounds of its optimiser, minutes on
# thousands of series. On their first 512 principal components (over 99.9 % of the variance of embeddings) it
# needs seconds: components are a rotation, which leaves the ridge penalty and the optimum as they are.
# Whitened components converge sooner, but fitted random weights as well as trained ones, and raw series of
# other places worse.
_COMPONENTS, _LINEAR_ROUNDS = 512, 1000
_MLP_ROUNDS = 200  # more change no score
# Thresholds of a column that CatBoost tries; its 254 score the same and take ten times as long.
_BORDERS = 32
_LEAF = 10  # samples of a leaf of boosted trees; fewer where there are fewer than a hundred samples
_SMALLEST = 1e-7  # probability, before its logarithm


def make_head(name: HeadName, shape: tuple[int, int], seed: int, equal: bool = True) -> Any:
    """A head that is not trained: fills gaps with medians, scales, classifies.

    Args:
        name: linear (logistic regression), mlp (64 hidden units), boosted or catboost (trees).
        shape: of the inputs, (sample, column).
        seed: of the random draws of all but linear.
        equal: whether all classes have the same weight in the training, or all samples.

    Raises:
        ConfigError: another name, or CatBoost is not installed.
    """
    from sklearn.decomposition import PCA
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    weight = "balanced" if equal else None
    fill = SimpleImputer(strategy="median", keep_empty_features=True)
    if name == "linear":
        many = shape[1] > _MANY
        c = _MANY_C if many else _FEW_C
        model: Any = LogisticRegression(C=c, class_weight=weight, max_iter=_LINEAR_ROUNDS)
        steps = [PCA(min(_COMPONENTS, *shape), random_state=0)] if many else []
        return make_pipeline(fill, StandardScaler(), *steps, model)
    if name == "mlp":
        model = MLPClassifier((64,), alpha=1.0, max_iter=_MLP_ROUNDS, random_state=seed)
        return make_pipeline(fill, StandardScaler(), model)
    if name == "boosted":
        model = HistGradientBoostingClassifier(
            max_iter=100, max_depth=4, min_samples_leaf=min(_LEAF, max(2, shape[0] // 10)), max_features=0.3,
            class_weight=weight, early_stopping=False, random_state=seed,
        )  # fmt: skip
        return make_pipeline(fill, model)
    if name == "catboost":
        return _catboost(seed, equal)
    raise ConfigError(f"expected a head of {', '.join(HEADS)}, received {name}")


def has_catboost() -> bool:
    """Whether CatBoost, an extra, is installed."""
    return importlib.util.find_spec("catboost") is not None


def _catboost(seed: int, equal: bool) -> Any:
    """CatBoost's trees, which take gaps as they are; one thread and one seed give the same bits."""
    if not has_catboost():
        raise ConfigError(
            "the head catboost needs CatBoost, which is not installed",
            "Install it: pip install 'yieldcast[catboost]'; or take another head: boosted.",
        )
    from catboost import CatBoostClassifier

    return CatBoostClassifier(
        iterations=150, depth=4, auto_class_weights="Balanced" if equal else None, border_count=_BORDERS,
        random_seed=seed, thread_count=1, verbose=False, allow_writing_files=False,
    )  # fmt: skip


def fit_head(name: HeadName, inputs: NDArray[Any], classes: Ints, seed: int = 0, equal: bool = True) -> Any:
    """A trained head.

    Args:
        name, seed, equal: see `make_head`.
        inputs: (sample, column), NaN where missing.
        classes: (sample,) 0 to the number of classes less 1, each at least once.
    """
    with _quiet():
        return _fit(name, inputs, classes, seed, equal)


def _fit(name: HeadName, inputs: NDArray[Any], classes: Ints, seed: int, equal: bool) -> Any:
    head = make_head(name, inputs.shape, seed, equal)
    weights = {}
    if name == "mlp" and equal:  # it has no class weights
        share = np.bincount(classes)[classes]
        weights = {"mlpclassifier__sample_weight": len(classes) / (len(np.unique(classes)) * share)}
    with one_thread():
        return head.fit(inputs, classes, **weights)


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of optimisers that were stopped; filters belong to the process, not to a thread."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def probabilities(heads: list[Any], inputs: NDArray[Any], count: int) -> Floats:
    """(sample, class) mean of the heads, one for each seed; 0 for a class that a head has not seen."""
    total = np.zeros((len(inputs), count))
    with one_thread():
        for head in heads:
            total[:, head.classes_] += head.predict_proba(inputs)
    mean: Floats = total / len(heads)
    return mean


def spatial_folds(classes: Ints, units: NDArray[Any], folds: int = 5, seed: int = 0) -> Ints:
    """(sample,) number of the fold of each sample; no unit (place, region) is in two of them.

    Raises:
        SchemaError: fewer than two units, or a class that one fold has alone.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    _, codes = np.unique(units, return_inverse=True)
    count = min(folds, int(codes.max()) + 1)
    if count < 2:
        raise SchemaError(
            f"expected samples of two places or groups or more, received {int(codes.max()) + 1}",
            "Folds leave whole places (or groups) out; give more of them.",
        )
    found = np.empty(len(classes), np.int64)
    split = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for k, (_, test) in enumerate(split.split(codes, classes, codes)):
            found[test] = k
    return found


def out_of_fold(
    name: HeadName,
    inputs: NDArray[Any],
    classes: Ints,
    folds: Ints,
    count: int,
    seeds: int = 1,
    equal: bool = True,
) -> Floats:
    """(sample, class) probabilities by heads that were trained on the other folds.

    Args:
        name, inputs, classes: see `fit_head`.
        folds: (sample,) number of the fold.
        count: of classes.
        seeds: heads whose probabilities are averaged; one is enough for linear, which draws nothing.
        equal: see `make_head`.
    """
    from joblib import cpu_count

    made = np.zeros((len(classes), count))

    def one(fold: np.int64) -> None:
        test = folds == fold
        taught = inputs[~test], classes[~test]
        heads = [_fit(name, *taught, seed, equal) for seed in range(_draws(name, seeds))]
        made[test] = probabilities(heads, inputs[test], count)

    # scikit-learn finds the weighted thresholds of its trees in Python: threads would wait for one another.
    with _quiet(), one_thread(), ThreadPoolExecutor(1 if name == "boosted" else cpu_count()) as pool:
        list(pool.map(one, np.unique(folds)))
    return made


def fit_heads(
    name: HeadName, inputs: NDArray[Any], classes: Ints, seeds: int, equal: bool = True
) -> list[Any]:
    """Heads of all seeds, trained on all samples."""
    return [fit_head(name, inputs, classes, seed, equal) for seed in range(_draws(name, seeds))]


def _draws(name: HeadName, seeds: int) -> int:
    return 1 if name == "linear" else seeds


def temperature(probability: Floats, classes: Ints) -> float:
    """The number by which logits are divided so that held-out probabilities tell the truth best.

    Guo, Pleiss, Sun & Weinberger 2017, "On Calibration of Modern Neural Networks", ICML, Section 4.2. The
    order of the classes, and with it every predicted class, stays.

    Args:
        probability: (sample, class), out of fold.
        classes: (sample,).
    """
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(classes))

    def loss(log_t: float) -> float:
        made = calibrated(probability, float(np.exp(log_t)))
        return float(-np.log(np.maximum(made[rows, classes], _SMALLEST)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.1), np.log(10.0)), method="bounded").x))


def calibrated(probability: Floats, heat: float) -> Floats:
    """Probabilities with their logits divided by a temperature."""
    logits = np.log(np.maximum(probability, _SMALLEST)) / heat
    made = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Floats = made / made.sum(axis=1, keepdims=True)
    return result


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for trees and matrices: small tables are faster so, and results do not depend on load."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield
