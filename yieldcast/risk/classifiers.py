"""Classifiers of yields on rows of features: nested choice of variables, random search, one seed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import ConfigError, SchemaError
from yieldcast.features.feature_rows import FeatureRows
from yieldcast.risk.probabilities import with_shares
from yieldcast.risk.search_spaces import CLASSIFIERS, DUMMY, search_space

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]


def _ignore(done: int, total: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class SearchSettings:
    """How classifiers are searched; the defaults are those of Xavier et al. 2026, Section 2.4.1.

    Args:
        draws: random draws of settings, 1 or more.
        folds: of cross-validation, 2 or more; as many as there are groups where these are fewer.
        features: variables chosen by mutual information in each fold, 1 or more.
        by: groups that no fold divides: harvest years ("season") or states ("region").
        rows: most training rows of the search, drawn class by class; None for all. The classifier itself is
            then trained on all.
        seed: of every random draw.
    """

    draws: int = 30
    folds: int = 5
    features: int = 10
    by: Literal["season", "region"] = "season"
    rows: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"draws": 1, "folds": 2, "features": 1, "rows": 20}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise ConfigError(
                    f"search of classifiers: expected {name} of {low} or more, received {value}"
                )
        if self.by not in ("season", "region"):
            raise ConfigError(f"search of classifiers: expected by season or region, received {self.by!r}")


AS_THE_PAPER = SearchSettings()


@dataclass(frozen=True)
class Classifier:
    """A trained classifier.

    Args:
        name: one of `search_spaces.CLASSIFIERS`, or "dummy".
        names: of all features that a row must have, in order.
        chosen: those that the classifier uses.
        settings: that the search drew.
        score: mean macro-F1 over the folds, 0 to 1; NaN for the dummy, which is not searched.
        shares: (class,) of the training rows.
        pipeline: of scikit-learn.
    """

    name: str
    names: tuple[str, ...]
    chosen: tuple[str, ...]
    settings: Mapping[str, Any]
    score: float
    shares: Floats
    pipeline: Any

    def classes(self, rows: FeatureRows) -> NDArray[np.int8]:
        """(row,) the class that the classifier chooses; each class counts the same in its training."""
        with _one_thread():
            return np.asarray(self.pipeline.predict(self._inputs(rows)), dtype=np.int8)

    def probabilities(self, rows: FeatureRows) -> Floats:
        """(row, class) probabilities, each row adding up to 1, see `with_shares`."""
        with _one_thread():
            found = np.asarray(self.pipeline.predict_proba(self._inputs(rows)), dtype=np.float64)
        return found if self.name == DUMMY else with_shares(found, self.shares)

    def _inputs(self, rows: FeatureRows) -> Floats:
        if rows.names != self.names:
            lost = sorted(set(self.names) ^ set(rows.names)) or ["another order"]
            raise SchemaError(
                f"classifier {self.name}: expected the {len(self.names)} features of its training, received "
                f"others: {', '.join(lost[:5])}",
                "Build the rows with the same settings and tables as those of the training.",
            )
        return rows.values


def check_features(rows: FeatureRows) -> FeatureRows:
    """The training rows without features that cannot tell anything: unknown in every row, or always 0.

    A count that never occurs (heat days in a cool country) is always 0 and is left out; any other value that
    is the same in every row is most likely a column that was filled in, and is refused.

    Raises:
        SchemaError: a feature with one and the same value other than 0, or no feature that varies.
    """
    known = np.isfinite(rows.values)
    high = np.where(known, rows.values, -np.inf).max(axis=0, initial=-np.inf)
    low = np.where(known, rows.values, np.inf).min(axis=0, initial=np.inf)
    same, unknown = low == high, ~known.any(axis=0)
    filled = [k for k in np.flatnonzero(same) if low[k] != 0]
    if filled:
        listed = ", ".join(f"{rows.names[k]} = {low[k]:g}" for k in filled[:5])
        raise SchemaError(
            f"features of classifiers: expected values that differ between places or seasons, received one "
            f"value in all {len(rows)} rows: {listed}",
            "Check the column in the table that was imported; leave it out if it is not measured.",
        )
    kept = ~(same | unknown)
    if not kept.any():
        raise SchemaError(
            f"features of classifiers: expected one that varies over the {len(rows)} rows, received none",
            "Import weather, soil or vegetation of the training years.",
        )
    return rows.choose(kept)


def fit_classifiers(
    rows: FeatureRows,
    classes: NDArray[np.int8],
    names: Sequence[str] = (*CLASSIFIERS, DUMMY),
    settings: SearchSettings = AS_THE_PAPER,
    progress: Progress = _ignore,
    *,
    count: int,
) -> dict[str, Classifier]:
    """Train classifiers: the search first, then on all rows with what it found.

    Within each fold the pipeline fills missing values with medians, scales, and chooses the variables with
    the largest mutual information with the class: the left-out rows take part in none of it. (Xavier et al.
    2026, Section 2.4.1, choose once on all rows and name the bias.)

    Args:
        rows: training rows; none of the season to forecast.
        classes: (row,) from `ClassRule.classes`; rows with `UNKNOWN` are left out.
        names: of `CLASSIFIERS` and "dummy".
        settings: of the search.
        progress: called with the number of fits done and of all fits.
        count: of classes, ``len(rule.names)``.

    Returns:
        name -> classifier, in the order of `names`.

    Raises:
        ConfigError: an unknown name.
        SchemaError: a class without rows, or one season (or region) only.
    """
    if unknown := [name for name in names if name not in (*CLASSIFIERS, DUMMY)]:
        raise ConfigError(
            f"expected classifiers of {', '.join((*CLASSIFIERS, DUMMY))}, received {', '.join(unknown)}"
        )
    known = classes >= 0
    rows, classes = rows.take(known), classes[known]
    check_classes(classes, count)
    search = _Search(rows, classes, settings, progress, sum(name != DUMMY for name in names))
    with _one_thread(), _quiet_fits(), TemporaryDirectory() as cache:
        return {name: search.fit(name, cache) for name in names}


class _Search:
    """Searches of several classifiers on the same rows and folds."""

    def __init__(
        self, rows: FeatureRows, classes: NDArray[np.int8], settings: SearchSettings, progress: Progress,
        searches: int,
    ) -> None:  # fmt: skip
        self.rows, self.classes, self.settings = rows, classes, settings
        drawn = _draw_rows(classes, settings.rows, settings.seed)
        self.drawn, self.groups = drawn, groups_of(rows, settings.by)[drawn]
        self.folds = min(settings.folds, len(np.unique(self.groups)))
        self.progress, self.done = progress, 0
        self.total = searches * (settings.draws * self.folds + 1)

    def fit(self, name: str, cache: str) -> Classifier:
        """The trained classifier of a name; `cache` is a folder for what the fits share."""
        with warnings.catch_warnings():
            # joblib says that a busy disk is slow; the results are the same
            warnings.filterwarnings("ignore", "Persisting input arguments", UserWarning)
            return self._trained(name, cache)

    def _trained(self, name: str, cache: str) -> Classifier:
        space, count = search_space(name), np.bincount(self.classes)
        pipeline = _pipeline(space.make(self.settings.seed), self.settings, self.rows.values.shape[1], cache)
        best, score = ({}, float("nan")) if space.draws is None else self._search(pipeline, space.draws)
        pipeline = pipeline.set_params(**best).fit(self.rows.values, self.classes)
        pipeline.memory = None  # the cache ends with the training
        if space.draws is not None:
            self._count()
        mask = pipeline.named_steps["choose"].get_support()
        chosen = tuple(feature for feature, kept in zip(self.rows.names, mask, strict=True) if kept)
        settings = {key.removeprefix("model__"): value for key, value in best.items()}
        return Classifier(name, self.rows.names, chosen, settings, score, count / count.sum(), pipeline)

    def _search(self, pipeline: Any, draws: Any) -> tuple[dict[str, Any], float]:
        from sklearn.metrics import f1_score
        from sklearn.model_selection import RandomizedSearchCV, StratifiedGroupKFold

        def macro_f1(model: Any, inputs: Floats, truth: NDArray[np.int8]) -> float:
            self._count()
            every = np.arange(self.classes.max() + 1)
            return float(
                f1_score(truth, model.predict(inputs), labels=every, average="macro", zero_division=0)
            )

        spaces = [{f"model__{key}": value for key, value in one.items()} for one in np.atleast_1d(draws)]
        search = RandomizedSearchCV(
            pipeline, spaces, n_iter=self.settings.draws, scoring=macro_f1, refit=False, error_score="raise",
            random_state=self.settings.seed, n_jobs=1,
            cv=StratifiedGroupKFold(self.folds, shuffle=True, random_state=self.settings.seed),
        )  # fmt: skip
        search.fit(self.rows.values[self.drawn], self.classes[self.drawn], groups=self.groups)
        found = search.cv_results_
        best = int(np.argmax(found["mean_test_score"]))  # of equal scores the first draw
        return found["params"][best], float(found["mean_test_score"][best])

    def _count(self) -> None:
        self.done += 1
        self.progress(self.done, self.total)


def groups_of(rows: FeatureRows, by: str) -> NDArray[np.intp]:
    """(row,) number of the season or region of each row, whose rows are all on one side of a fold.

    Raises:
        SchemaError: one season or region only.
    """
    labels = rows.harvest_year if by == "season" else rows.state
    different, groups = np.unique(labels, return_inverse=True)
    if len(different) < 2:
        kind, other = ("harvest year", "region") if by == "season" else ("state", "season")
        raise SchemaError(
            f"classifiers: expected training rows of two {kind}s or more, received "
            f"{', '.join(map(str, different.tolist())) or 'none'}",
            f"Add training rows of other {kind}s, or divide the folds by {other}.",
        )
    return np.asarray(groups, dtype=np.intp)


def _pipeline(model: Any, settings: SearchSettings, width: int, cache: str) -> Any:
    from functools import partial

    from sklearn.feature_selection import SelectKBest, mutual_info_classif
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    information = partial(mutual_info_classif, random_state=settings.seed)
    return Pipeline(
        [
            ("fill", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("scale", StandardScaler()),
            ("choose", SelectKBest(information, k=min(settings.features, width))),
            ("model", model),
        ],
        memory=cache,  # the same for all draws and classifiers of a fold
    )


def _draw_rows(classes: NDArray[np.int8], most: int | None, seed: int) -> NDArray[np.intp]:
    """Positions of at most about `most` rows, ascending, with the shares of the classes kept."""
    if most is None or most >= len(classes):
        return np.arange(len(classes))
    random, share = np.random.default_rng(seed), most / len(classes)
    drawn = []
    for one in np.unique(classes):
        mine = np.flatnonzero(classes == one)
        drawn.append(random.choice(mine, max(round(share * len(mine)), 1), replace=False))
    return np.sort(np.concatenate(drawn))


def check_classes(classes: NDArray[np.int8], count: int) -> None:
    """Raise SchemaError unless every one of `count` classes has a row."""
    counts = np.bincount(classes, minlength=count)
    if counts.all():
        return
    empty = ", ".join(map(str, np.flatnonzero(counts == 0).tolist()))
    raise SchemaError(
        f"classifiers: expected training rows of every class, received none of class {empty} among "
        f"{len(classes)} rows",
        "Give a threshold between the training yields, or more training rows.",
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for trees and matrices: small tables are faster so, and results do not depend on load."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


@contextmanager
def _quiet_fits() -> Iterator[None]:
    """Without warnings of draws that did not converge (the folds judge them) and of folds without a class."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        yield
