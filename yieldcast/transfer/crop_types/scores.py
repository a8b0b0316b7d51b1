"""Scores of a study of crop types with intervals: by model, domain and class, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.comparison.bootstrap import FEW_BLOCKS, Difference, block_interval
from yieldcast.comparison.paired import BlockSums, confusion_parts, f1_of_confusion
from yieldcast.crop_types.scores import CropTypeScores, crop_type_scores
from yieldcast.transfer.crop_types.learners import (
    BOTH,
    CATBOOST,
    RANDOM,
    RUN,
    RUN_WITH,
    RUN_WITHOUT,
    TREES,
)
from yieldcast.transfer.crop_types.study import CropTypeStudy, Predicted
from yieldcast.transfer.crop_types.tuned import TUNED
from yieldcast.transfer.generalise import Training
from yieldcast.transfer.scores import ALL, LEAST_ROWS

Mask = NDArray[np.bool_]
Key = tuple[Training, int | None]
_ORDER: dict[str, int] = {"in_domain": 0, "out_of_domain": 1, "out_plus_k": 2, "k_alone": 3}
_HALVINGS = 8  # from 1 degree to 1/128, less than a kilometre
_score = partial(f1_of_confusion, only_true=True)  # as `crop_type_scores`


@dataclass(frozen=True)
class CropTypeScore:
    """Scores of one model on the rows of a domain, trained in one way.

    Args:
        domain: group, block or season; `ALL` for all together.
        training, k: see `study.Predicted`.
        model: name.
        draws: how many draws of local labels the means are of; 1 where nothing is drawn.
        n: rows scored.
        train_rows: rows trained on, a mean over fits.
        macro_f1, accuracy: means over the draws.
        macro_f1_sd: standard deviation over the draws (n - 1); None for one.
        low, high: 95 % interval of macro-F1 by blocks of tested rows, see `block_labels`; None with one.
        f1: class -> F1, a mean over the draws.
        counts: class -> rows tested.
    """

    domain: str
    training: Training
    k: int | None
    model: str
    draws: int
    n: int
    train_rows: int
    macro_f1: float
    accuracy: float
    macro_f1_sd: float | None
    low: float | None
    high: float | None
    f1: dict[str, float]
    counts: dict[str, int]


@dataclass(frozen=True)
class Paired:
    """The macro-F1 of one model less that of another, on the same rows of all domains.

    Args:
        training, k: how both were trained.
        a, b: names.
        difference: A less B with its interval.
    """

    training: Training
    k: int | None
    a: str
    b: str
    difference: Difference


def block_labels(study: CropTypeStudy, mask: Mask) -> tuple[NDArray[np.int64], float | None]:
    """Blocks that intervals draw whole: squares, halved until ten of them have rows; else places.

    Args:
        study: of the rows; `block_deg` is the side of the largest squares.
        mask: (row,) rows that are scored.

    Returns:
        (row,) numbers; the side in degrees, None for places.
    """
    side = study.block_deg
    for _ in range(_HALVINGS):
        block = study.rows.block(side)
        if len(np.unique(block[mask])) >= FEW_BLOCKS:
            return block, side
        side /= 2
    return study.rows.location, None


def scores(study: CropTypeStudy, found: Sequence[Predicted]) -> list[CropTypeScore]:
    """Scores of all models: of all domains together, then of each with 30 rows or more.

    With few labels, the rows of all domains are those of the domains that have every k.

    Args:
        study: what was compared.
        found: of `study.predictions`.
    """
    made = []
    for domain, mask in domains(study, found).items():
        for key in keys(found):
            for model in dict.fromkeys(one.model for one in found):
                own = [one for one in found if ((one.training, one.k), one.model) == (key, model)]
                if own and all((one.tested | ~mask).all() for one in own):
                    made.append(_scored(study, domain, mask, own))
    return made


def keys(found: Sequence[Predicted]) -> list[Key]:
    """How the predictions were trained, each once: training and k."""
    every = {(one.training, one.k) for one in found}
    return sorted(every, key=lambda one: (_ORDER[one[0]], one[1] or 0))


def domains(study: CropTypeStudy, found: Sequence[Predicted]) -> dict[str, Mask]:
    """Name -> (row,) tested rows; `ALL` first."""
    tested = np.any([one.tested for one in found], axis=0)
    names = [name for name in np.unique(study.domain[tested]).tolist() if name]
    of_name = {name: tested & (study.domain == name) for name in names}
    # a domain with few labels has no rows in draws of a k that it has not
    whole = [name for name, mask in of_name.items() if all((one.tested | ~mask).all() for one in found)]
    if study.protocol == "few-shot":
        kept = np.any([of_name[name] for name in whole], axis=0) if whole else np.zeros_like(tested)
    else:
        kept = tested
    shown = {ALL: kept} if kept.any() else {}
    if len(names) < 2:
        return shown or of_name
    return shown | {name: mask for name, mask in of_name.items() if mask.sum() >= LEAST_ROWS}


def _scored(study: CropTypeStudy, domain: str, mask: Mask, own: Sequence[Predicted]) -> CropTypeScore:
    rows, first = study.rows, own[0]
    every = [crop_type_scores(one.values[mask], rows.truth[mask], rows.classes) for one in own]
    interval = _interval(study, mask, own)
    macro = [one.macro_f1 for one in every]
    return CropTypeScore(
        domain, first.training, first.k, first.model, len(own), int(mask.sum()),
        round(fmean(float(one.train_rows[mask].mean()) for one in own)), fmean(macro),
        fmean(one.accuracy for one in every), stdev(macro) if len(macro) > 1 else None,
        interval.low, interval.high, _mean_f1(every), every[0].counts,
    )  # fmt: skip


def _mean_f1(every: Sequence[CropTypeScores]) -> dict[str, float]:
    return {name: fmean(one.f1[name] for one in every) for name in every[0].f1}


def _sums(study: CropTypeStudy, mask: Mask, a: Sequence[Predicted], b: Sequence[Predicted]) -> BlockSums:
    """Confusion of two models by block, summed over the draws."""
    labels, _ = block_labels(study, mask)
    names, at = np.unique(labels[mask], return_inverse=True)
    truth, count = study.rows.truth[mask], len(study.rows.classes)
    sums = []
    for own in (a, b):
        total = np.zeros((len(names), count * count))
        for one in own:
            np.add.at(total, at, confusion_parts(truth, one.values[mask].argmax(axis=1), count))
        sums.append(total)
    return BlockSums(tuple(map(str, names)), sums[0], sums[1], _score)


def _interval(study: CropTypeStudy, mask: Mask, own: Sequence[Predicted]) -> Difference:
    sums = _sums(study, mask, own, ())
    return block_interval(lambda weights: _score(weights @ sums.a), len(sums.names))


def paired(study: CropTypeStudy, found: Sequence[Predicted]) -> list[Paired]:
    """The differences that a reader asks for, of all domains, for each way of training.

    The run against trees, its mean with trees against trees, the run against random weights, and the two
    settings of the location.

    Args:
        study: what was compared.
        found: of `study.predictions`.
    """
    mask = domains(study, found).get(ALL)
    if mask is None:
        return []
    names = [one.name for one in study.learners]
    other = RUN_WITHOUT if RUN_WITHOUT in names else RUN_WITH
    pairs = [(other, RUN), (RUN, RANDOM), *((name, RUN) for name in TUNED.values())]
    pairs += [(name, trees) for trees in (TREES, CATBOOST) for name in (*names, BOTH) if name != trees]
    made = []
    for key in keys(found):
        of_model: dict[str, list[Predicted]] = {}
        for one in found:
            if (one.training, one.k) == key and (one.tested | ~mask).all():
                of_model.setdefault(one.model, []).append(one)
        for a, b in dict.fromkeys(pairs):
            if a in of_model and b in of_model:
                sums = _sums(study, mask, of_model[a], of_model[b])
                made.append(Paired(*key, a, b, block_interval(sums.difference, len(sums.names))))
    return made


def gap(found: Sequence[CropTypeScore], domain: str, model: str) -> float | None:
    """Macro-F1 in domain less that out of domain, on the same rows; None without both."""
    by = {one.training: one.macro_f1 for one in found if (one.domain, one.model) == (domain, model)}
    if not {"in_domain", "out_of_domain"} <= set(by):
        return None
    return by["in_domain"] - by["out_of_domain"]


def to_json(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Fields by name, for `json.dumps(..., allow_nan=False)`."""
    return [asdict(row) for row in rows]
