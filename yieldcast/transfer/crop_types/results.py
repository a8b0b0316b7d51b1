"""The result of a study of crop types: scores, what a reader must know of them, and their files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yieldcast import language
from yieldcast.language import Sentence, message, sentence
from yieldcast.transfer.crop_types import study as studies
from yieldcast.transfer.crop_types.advice import advice
from yieldcast.transfer.crop_types.learners import BOTH
from yieldcast.transfer.crop_types.scores import (
    CropTypeScore,
    Paired,
    block_labels,
    domains,
    gap,
    paired,
    scores,
    to_json,
)
from yieldcast.transfer.crop_types.study import CropTypeStudy, Predicted, Progress
from yieldcast.transfer.results import KEPT, write_scores
from yieldcast.transfer.scores import ALL, LEAST_ROWS


@dataclass(frozen=True)
class CropTypeResult:
    """Scores of one study.

    Args:
        study: what was compared.
        scores: by domain, training, k and model.
        pairs: differences of two models.
        notes: what a reader must know, one sentence each.
    """

    study: CropTypeStudy
    scores: tuple[CropTypeScore, ...]
    pairs: tuple[Paired, ...]
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """How the names of the files begin: protocol, and what was held out."""
        study = self.study
        held = f"-{study.hold_out}" if study.protocol in ("geographic", "few-shot") else ""
        return f"crop-types-{study.protocol}{held}"

    def advice(self, words: language.Language) -> list[Sentence]:
        """What to map with, see `advice.advice`; `words` is the language of the numbers."""
        return advice(self.scores, self.pairs, words)

    def to_json(self) -> dict[str, Any]:
        """All of it, for `json.dumps(..., allow_nan=False)`."""
        study = self.study
        held = study.protocol in ("geographic", "few-shot")
        models = list(dict.fromkeys(one.model for one in self.scores))
        names = list(dict.fromkeys(one.domain for one in self.scores))
        gaps = [
            {"domain": domain, "model": model, "gap": found}
            for domain in names
            for model in models
            if (found := gap(self.scores, domain, model)) is not None
        ]
        return {
            "protocol": study.protocol, "hold_out": study.hold_out if held else None,
            "test_seasons": list(study.test_seasons), "classes": list(study.rows.classes),
            "series": len(study.rows), "block_degrees": study.block_deg,
            "k": list(study.few.ks) if study.protocol == "few-shot" else [],
            "k_of": study.few.counted, "draws": study.few.draws, "seed": study.seed, "models": models,
            "advice": self.advice(language.of("en")), "notes": list(self.notes), "gaps": gaps,
            "differences": to_json(self.pairs), "scores": to_json(self.scores),
        }  # fmt: skip


def run_study(
    study: CropTypeStudy, folder: Path, progress: Progress = lambda done, total: None
) -> CropTypeResult:
    """Fit what the folder does not keep yet, and score everything.

    Args:
        study: what to compare.
        folder: of the study; made if it does not exist.
        progress: called with the number of fits done and of all fits.

    Raises:
        YieldcastError: no split is possible, or a learner cannot be trained.
    """
    found = studies.predictions(study, folder / KEPT, progress)
    return CropTypeResult(
        study, tuple(scores(study, found)), tuple(paired(study, found)), tuple(_notes(study, found))
    )


def _notes(study: CropTypeStudy, found: Sequence[Predicted]) -> list[str]:
    notes: list[str] = []
    if study.protocol == "temporal":
        notes.append(message("Out of domain, a season is trained on the seasons before it only."))
    else:
        notes.append(
            message("No place is on both sides of a split. Later seasons of other places are trained on.")
        )
    own = domains(study, found)
    if ALL in own:
        labels, side = block_labels(study, own[ALL])
        count = len(np.unique(labels[own[ALL]]))
        if side is None:
            notes.append(sentence("Intervals draw whole places, {n} of them.", n=count))
        else:
            text = format(side, "g")
            notes.append(
                sentence(
                    "Intervals draw whole squares with sides of {side}°, {n} of them.", side=text, n=count
                )
            )
    if BOTH in {one.model for one in found}:
        notes.append(message("encoder + trees is the mean of their probabilities."))
    names = {name for name in np.unique(study.domain).tolist() if name}
    small = sorted(names - set(own))
    if small and len(names) > 1 and study.protocol != "temporal":
        notes.append(
            sentence(
                "By itself is shown what has {least} tested series or more, not {names}.", least=LEAST_ROWS,
                names=_shortened(small),
            )
        )  # fmt: skip
    if study.protocol == "few-shot":
        notes += _few_labels(study, found)
    return notes


def _few_labels(study: CropTypeStudy, found: Sequence[Predicted]) -> list[str]:
    """Which k are lost because a domain has too few labels."""
    lost: dict[str, list[int]] = {}
    for k in sorted(set(study.few.ks) - {0}):
        tested = np.zeros(len(study.rows), dtype=bool)
        for one in found:
            if one.k == k:
                tested |= one.tested
        for name in np.unique(study.domain).tolist():
            if not tested[study.domain == name].any():
                lost.setdefault(name, []).append(k)
    return [
        sentence("{domain} has too few labels for k = {k}.", domain=name, k=", ".join(map(str, ks)))
        for name, ks in lost.items()
    ]


def _shortened(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" + {len(names) - most}" if len(names) > most else "")


def write_result(result: CropTypeResult, folder: Path, file: Path | None = None) -> list[Path]:
    """Write scores as JSON and CSV into the folder of the study.

    Args:
        result: of `run_study`.
        folder: of the study.
        file: a second file for the JSON.

    Returns:
        the files written.

    Raises:
        MissingDataError: a file cannot be written.
    """
    return write_scores(folder, result.name, result.to_json(), _csv(result), file)


def _csv(result: CropTypeResult) -> str:
    """A row for each score, with a column for F1 of each class."""
    rows = []
    for row in to_json(result.scores):
        f1, counts = row.pop("f1"), row.pop("counts")
        columns = {f"{what}_{name}": of.get(name) for what, of in (("f1", f1), ("n", counts))
                   for name in result.study.rows.classes}  # fmt: skip
        rows.append({**row, **columns})
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
