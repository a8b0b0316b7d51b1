"""What a pipeline rests on: skill without each group of features, and permutation importance by variable and
month; and whether two different learners tell the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from yieldcast.features.feature_rows import Group
from yieldcast.language import Sentence, sentence
from yieldcast.probing.pipeline import Floats, Learner, Pipeline

REPEATS = 3  # permutations of each feature
MOST_VALUES, LEAST_ROWS = 40_000_000, 100  # numbers in memory: 320 MB; fewer test rows are permuted then
LARGE_SHARE = 0.40  # of all importance (Xavier et al. 2026, Section 2.4: 47-64 % was a leak)
_WINDOW = re.compile(r"_month_(\d+)$")


@dataclass(frozen=True)
class Ablation:
    """Skill without one group.

    Args:
        group: of features; "all" for none left out.
        features: number of features in it.
        skill: without it.
        change: of the skill.
    """

    group: str
    features: int
    skill: float
    change: float


@dataclass(frozen=True)
class Importance:
    """Permutation importance (Breiman 2001, Mach. Learn. 45, 5, Section 10) of one variable and window.

    Args:
        variable: name of the feature without its month.
        window: month of the season window or window of days, empty for a value of the whole season.
        group: of the feature.
        loss: by how much the mean squared error of the test rows grows, over that of the training mean.
    """

    variable: str
    window: str
    group: str
    loss: float


def ablation(pipeline: Pipeline) -> list[Ablation]:
    """Skill with all features, and without each group, taught again."""
    whole = pipeline.skill()
    found = [Ablation("all", len(pipeline.rows.features), whole, 0.0)]
    for group in get_args(Group):
        kept = np.array([feature.group != group for feature in pipeline.rows.features])
        if kept.all() or not kept.any():
            continue
        left = pipeline.with_rows(pipeline.rows.choose(kept)).skill()
        found.append(Ablation(group, int((~kept).sum()), left, left - whole))
    return found


def importance(pipeline: Pipeline, seed: int = 0) -> list[Importance]:
    """Of every feature, largest first; the learner is taught once, and test rows are permuted.

    All copies are told in one call: each holds the test rows with one feature permuted.
    """
    rng, rows, test = np.random.default_rng(seed), pipeline.rows, np.flatnonzero(pipeline.test)
    most = MOST_VALUES // (len(rows.features) * (REPEATS * len(rows.features) + 1))
    if len(test) > most:
        test = np.sort(rng.permutation(test)[: max(most, LEAST_ROWS)])
    truth, train = pipeline.truth, pipeline.train
    teachers = np.flatnonzero(train)
    blocks = [rows.values[test]]
    for k in range(len(rows.features)):
        for _ in range(REPEATS):
            block = rows.values[test].copy()
            block[:, k] = rng.permutation(block[:, k])
            blocks.append(block)
    order = np.concatenate([teachers, np.tile(test, len(blocks))])
    many = replace(rows.take(order), values=np.concatenate([rows.values[teachers], *blocks]))
    teach = np.arange(len(order)) < len(teachers)
    told = pipeline.learner.predict(many, truth[order], teach)[len(teachers) :]
    errors = np.mean((told.reshape(len(blocks), len(test)) - truth[test]) ** 2, axis=1)
    reference = float(np.mean((truth[test] - truth[train].mean()) ** 2)) or 1.0
    loss = (errors[1:].reshape(len(rows.features), REPEATS).mean(axis=1) - errors[0]) / reference
    found = [
        Importance(*_split(feature.name, feature.window), feature.group, float(one))
        for feature, one in zip(rows.features, loss, strict=True)
    ]
    return sorted(found, key=lambda one: -one.loss)


def _split(name: str, window: str) -> tuple[str, str]:
    """Variable and window of a feature."""
    month = _WINDOW.search(name)
    return (name[: month.start()], sentence("month {n}", n=month[1])) if month else (name, window)


def share_by_variable(found: Sequence[Importance]) -> dict[str, float]:
    """Share of each variable in the sum of the positive losses, largest first."""
    total = sum(max(one.loss, 0.0) for one in found)
    shares: dict[str, float] = {}
    for one in found:
        shares[one.variable] = shares.get(one.variable, 0.0) + max(one.loss, 0.0) / (total or 1.0)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def warnings(found: Sequence[Importance], told: dict[str, Floats], pipeline: Pipeline) -> list[Sentence]:
    """Signs of a leak that are no proof: one variable carries much, or different models tell the same.

    Args:
        found: of `importance`.
        told: learner -> (test row,) predictions.
        pipeline: under test.
    """
    texts = [
        sentence("{variable} carries {share} % of the importance", variable=name, share=round(100 * share))
        for name, share in share_by_variable(found).items()
        if share > LARGE_SHARE
    ]
    names = list(told)
    for at, first in enumerate(names):
        texts += [
            sentence("{first} and {second} give the same class to every row", first=first, second=second)
            for second in names[at + 1 :]
            if same_classes(told[first], told[second], pipeline)
        ]
    return texts


def same_classes(first: Floats, second: Floats, pipeline: Pipeline) -> bool:
    """Whether two models put every test row into the same third of the yields that teach, and use two."""
    truth = pipeline.truth[pipeline.train]
    thirds = np.quantile(truth, (1 / 3, 2 / 3))
    a, b = (np.digitize(told, thirds) for told in (first, second))
    return bool((a == b).all() and len(np.unique(a)) > 1)


def as_json(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Dataclasses as plain values."""
    return [dict(vars(row)) for row in rows]


def predictions_of(pipeline: Pipeline, learners: Sequence[Learner]) -> dict[str, Floats]:
    """Learner -> (test row,) predictions."""
    return {one.name: pipeline.with_learner(one).predictions()[pipeline.test] for one in learners}
