"""Scores of a study of transfer: by domain and pooled, in domain and out of domain, on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.evaluation.class_metrics import score_classes
from yieldcast.evaluation.metrics import finite_or_none, score
from yieldcast.risk.classes import THREE
from yieldcast.transfer import generalise
from yieldcast.transfer.generalise import Prediction, Study, Training
from yieldcast.transfer.learners import REFERENCE

Floats = NDArray[np.float64]
Key = tuple[Training, int | None, int]  # training, k, draw
ALL = "all"  # name of the rows of all domains together
# Fewer rows say nothing of a domain by itself; they count in the pooled rows (our choice).
LEAST_ROWS = 30


@dataclass(frozen=True)
class TransferScore:
    """Scores of one model on the rows of a domain.

    Args:
        domain: what was tested; `ALL` for all domains together.
        training: see `generalise.Training`.
        k, draw: number of local rows, and number of the draw; None and 0 where there are none.
        model: name.
        n: rows scored.
        train_rows: rows trained on, a mean over fits where there are several.
        rmse_kg_ha, bias_kg_ha, r: see `metrics.Score`; r is None where it is not defined.
        skill: 1 - MSE / MSE of climatology trained on the same rows; None for an MSE of 0.
        macro_f1: of low, medium and high yields, the thirds of the yields of the rows trained on.
    """

    domain: str
    training: Training
    k: int | None
    draw: int
    model: str
    n: int
    train_rows: int
    rmse_kg_ha: float
    bias_kg_ha: float
    r: float | None
    skill: float | None
    macro_f1: float


def transfer_scores(study: Study, found: Sequence[Prediction]) -> list[TransferScore]:
    """Scores of all models, by domain, then by training.

    Domains with fewer than 30 rows are pooled only. By the protocol few-shot the pooled rows are those of the
    domains that have enough local rows for every k.

    Args:
        study: what was compared.
        found: of `generalise.predictions`.
    """
    whole = generalise.merged(found, len(study.rows.samples))
    borders = generalise.merged_borders(found, len(study.rows.samples))
    target = study.rows.samples.target_kg_ha.astype(np.float64)
    names = generalise.domain_names(study, found)
    masks = {name: generalise.rows_of_domain(study, found, name) for name in names}
    pooled = [name for name in names if _complete(study, found, name)]
    shown = {name: mask for name, mask in masks.items() if mask.sum() >= LEAST_ROWS}
    if pooled:
        shown[ALL] = np.any([masks[name] for name in pooled], axis=0)
    scores = []
    for domain, mask in shown.items():
        for key in generalise.score_keys(found):
            own = {model: v for (t, model, *rest), v in whole.items() if (t, *rest) == key}
            reference = own[REFERENCE]
            for model, values in own.items():
                if np.isfinite([values[mask], reference[mask]]).all():
                    about = (domain, *key, model, _train_rows(found, domain, key, model))
                    known = values[mask], target[mask], reference[mask], borders[key][mask]
                    scores.append(_score(about, *known))
    return scores


def _complete(study: Study, found: Sequence[Prediction], domain: str) -> bool:
    """Whether a domain has rows for every k; true for all domains of other protocols."""
    if study.protocol != "few-shot":
        return True
    return {one.k for one in found if one.domain == domain} >= set(study.ks)


def _train_rows(found: Sequence[Prediction], domain: str, key: Key, model: str) -> int:
    """Rows that a model was trained on, a mean over its fits."""
    mine = [one for one in found if ((one.training, one.k, one.draw), one.model) == (key, model)]
    return round(fmean(one.train_rows for one in mine if domain == ALL or one.domain in ("", domain)))


def _score(
    about: tuple[str, Training, int | None, int, str, int], values: Floats, target: Floats,
    reference: Floats, borders: Floats,
) -> TransferScore:  # fmt: skip
    domain, training, k, draw, model, trained = about
    found = score(values, target)
    worst = float(((reference - target) ** 2).mean())
    skill = 1.0 - found.rmse_kg_ha**2 / worst if worst > 0 else None
    truth, predicted = ((one[:, None] >= borders).sum(axis=1) for one in (target, values))
    return TransferScore(
        domain, training, k, draw, model, found.n, trained, found.rmse_kg_ha, found.bias_kg_ha,
        finite_or_none(found.r), skill, score_classes(truth, predicted, len(THREE)).macro_f1,
    )  # fmt: skip


@dataclass(frozen=True)
class Gap:
    """In domain and out of domain, on the same rows.

    Args:
        domain, model: see `TransferScore`.
        inside, outside: scores; None where the model has none.
    """

    domain: str
    model: str
    inside: TransferScore | None
    outside: TransferScore | None

    @property
    def gap_kg_ha(self) -> float | None:
        """RMSE out of domain less RMSE in domain; positive where the transfer costs accuracy."""
        if self.inside is None or self.outside is None:
            return None
        return self.outside.rmse_kg_ha - self.inside.rmse_kg_ha


def gaps(scores: Sequence[TransferScore]) -> list[Gap]:
    """A gap per domain and model, in the order of the scores."""
    keys = dict.fromkeys((one.domain, one.model) for one in scores)
    by = {(one.domain, one.model, one.training): one for one in scores}
    return [
        Gap(domain, model, by.get((domain, model, "in_domain")), by.get((domain, model, "out_of_domain")))
        for domain, model in keys
    ]


@dataclass(frozen=True)
class CurvePoint:
    """One point of a label-efficiency curve: the mean over draws.

    Args:
        domain, model: see `TransferScore`.
        training: "out_of_domain", "out_plus_k" or "k_alone".
        k: local rows.
        draws: how many draws were scored.
        rmse_kg_ha: mean over the draws.
        rmse_sd_kg_ha: standard deviation over the draws (n - 1); None for one draw.
    """

    domain: str
    model: str
    training: Training
    k: int
    draws: int
    rmse_kg_ha: float
    rmse_sd_kg_ha: float | None


def curve(scores: Sequence[TransferScore]) -> list[CurvePoint]:
    """Points of all label-efficiency curves: by domain, model, training and k."""
    groups: dict[tuple[str, str, Training, int], list[float]] = {}
    for one in scores:
        if one.k is not None:
            groups.setdefault((one.domain, one.model, one.training, one.k), []).append(one.rmse_kg_ha)
    return [
        CurvePoint(*key, len(values), fmean(values), stdev(values) if len(values) > 1 else None)
        for key, values in groups.items()
    ]


def to_json(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Fields by name, for `json.dumps(..., allow_nan=False)`; gaps as their numbers."""
    found = []
    for row in rows:
        if isinstance(row, Gap):
            sides = {"in_domain": row.inside, "out_of_domain": row.outside}
            numbers = {
                f"{side}_{key}": getattr(one, key)
                for side, one in sides.items()
                if one is not None
                for key in ("rmse_kg_ha", "r", "skill", "macro_f1")
            }
            found.append({"domain": row.domain, "model": row.model, **numbers, "gap_kg_ha": row.gap_kg_ha})
        else:
            found.append(asdict(row))
    return found
