"""The result of a study of transfer: scores, what a reader must know of them, and their files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yieldcast.data.files import atomic_text, make_folder
from yieldcast.evaluation.score_rows import Said, ScoredPlaces, score_table, write_rows
from yieldcast.language import message, sentence
from yieldcast.transfer import generalise
from yieldcast.transfer.generalise import Prediction, Progress, Study
from yieldcast.transfer.scores import CurvePoint, Gap, TransferScore, curve, gaps, to_json, transfer_scores

KEPT = "fits"  # folder of the predictions of each fit, in the folder of the study


@dataclass(frozen=True)
class TransferResult:
    """Scores of one study.

    Args:
        study: what was compared.
        scores: by domain, training, k, draw and model.
        notes: what a reader must know, one sentence each.
        found: predictions that the scores are of.
    """

    study: Study
    scores: tuple[TransferScore, ...]
    notes: tuple[str, ...]
    found: tuple[Prediction, ...]

    @property
    def gaps(self) -> list[Gap]:
        """In domain and out of domain; of all protocols but few-shot."""
        return [] if self.study.protocol == "few-shot" else gaps(self.scores)

    @property
    def curve(self) -> list[CurvePoint]:
        """Label-efficiency curves of the protocol few-shot."""
        return curve(self.scores)

    @property
    def name(self) -> str:
        """How the names of the files begin: synthetic or not, crop, protocol, what was held out, date."""
        study = self.study
        held = f"-{study.hold_out}" if study.protocol in ("geographic", "few-shot") else ""
        mark = "synthetic-" if study.rows.synthetic else ""
        day = f"-{study.rows.day}" if study.rows.day else ""
        return f"{mark}{study.rows.crop}-{study.protocol}{held}{day}"

    def to_json(self) -> dict[str, Any]:
        """Everything but the predictions, for `json.dumps(..., allow_nan=False)`."""
        study = self.study
        return {
            "crop": study.rows.crop,
            "protocol": study.protocol,
            "hold_out": study.hold_out if study.protocol in ("geographic", "few-shot") else None,
            "test_years": list(study.test_years),
            "as_of": study.rows.day,
            "forecast": study.protocol == "temporal" and study.rows.day is not None,
            "synthetic": study.rows.synthetic,
            "notes": list(self.notes),
            "gaps": to_json(self.gaps),
            "curve": to_json(self.curve),
            "scores": to_json(self.scores),
        }


def run_study(study: Study, folder: Path, progress: Progress = lambda done, total: None) -> TransferResult:
    """Fit what the folder does not keep yet, and score everything.

    Args:
        study: what to compare.
        folder: of the study; made if it does not exist.
        progress: called with the number of fits done and of all fits.

    Raises:
        YieldcastError: no split is possible, or a learner cannot be trained.
    """
    found = generalise.predictions(study, folder / KEPT, progress)
    scores = transfer_scores(study, found)
    return TransferResult(study, tuple(scores), tuple(_notes(study, found)), tuple(found))


def _notes(study: Study, found: Sequence[Prediction]) -> list[str]:
    rows = study.rows
    notes: list[str] = []
    if study.later_years:
        notes.append(message("Not a forecast: rows of later harvest years are trained on, on purpose."))
    else:
        notes.append(
            message(
                "Out of domain, each test year is trained on the harvest years whose yields were public on "
                "its date. In domain is not a forecast: random folds, later harvest years among them."
            )
        )
    if rows.day is None:
        notes.append(
            message(
                "Inputs are the weather of the whole season window, part of which is published after it "
                "(use --as-of MM-DD to avoid this)."
            )
        )
    notes.append(message("Inputs are weather, soil and position. Past yields of a place are no input."))
    if generalise.OWN_RECORD in {one.model for one in found}:
        notes.append(message("mean_5y_public is not learnt: it is the place's own public record."))
    if study.protocol in ("geographic", "few-shot"):
        notes.append(_shared(study))
    if study.protocol == "few-shot":
        notes += _short_domains(study, found)
    if rows.left_out:
        notes.append(sentence("{n} rows left out: weather of the season window incomplete", n=rows.left_out))
    return notes


def _shared(study: Study) -> str:
    places, first = np.unique(study.rows.samples.municipality, return_index=True)
    series = len(np.unique(study.rows.keys[first, 2]))
    return sentence(
        "{places} places have {series} weather series. Places that share one, or lie in the same block, are "
        "never on both sides of a split.",
        places=len(places),
        series=series,
    )


def _short_domains(study: Study, found: Sequence[Prediction]) -> list[str]:
    """Domains with too few local rows for some k, and those that are pooled."""
    names = generalise.domain_names(study, found)
    lost = {name: sorted(set(study.ks) - {one.k for one in found if one.domain == name}) for name in names}
    notes: list[str] = [
        sentence("{domain} has too few local rows for k = {k}.", domain=name, k=", ".join(map(str, ks)))
        for name, ks in lost.items()
        if ks
    ]
    if notes:
        whole = ", ".join(name for name, ks in lost.items() if not ks) or "-"
        notes.append(sentence("Rows of all are those of: {domains}.", domains=whole))
    return notes


def write_result(result: TransferResult, folder: Path, file: Path | None = None) -> list[Path]:
    """Write scores as JSON and CSV, and the predictions row by row, into the folder of the study.

    Args:
        result: of `run_study`.
        folder: of the study.
        file: a second file for the JSON.

    Returns:
        the files written.

    Raises:
        MissingDataError: a file cannot be written.
    """
    written = write_scores(folder, result.name, result.to_json(), _csv(to_json(result.scores)), file)
    return [*written, *_write_rows(result, folder)]


def write_scores(
    folder: Path, name: str, document: dict[str, Any], table: str, file: Path | None = None
) -> list[Path]:
    """Write the scores of a study of any kind as JSON and CSV.

    Args:
        folder: of the study; made if needed.
        name: of the files.
        document: content of the JSON, without NaN.
        table: content of the CSV.
        file: a second file for the JSON.

    Returns:
        the files written.

    Raises:
        MissingDataError: a file cannot be written.
    """
    make_folder(folder)
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    files = {**({file: text} if file else {}), folder / f"{name}.json": text, folder / f"{name}.csv": table}
    for path, content in files.items():
        atomic_text(path, content)
    return list(files)


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write_rows(result: TransferResult, folder: Path) -> list[Path]:
    """A file of rows per training and k, on the rows that are tested out of domain; the first draw."""
    study, samples = result.study, result.study.rows.samples
    whole = generalise.merged(result.found, len(samples))
    outside = [one.rows for one in result.found if one.domain]
    scored = np.unique(np.concatenate(outside)) if outside else np.flatnonzero(study.tested)
    written = []
    for training, k, draw in generalise.score_keys(result.found):
        if draw > 1:
            continue
        own = {key[1]: v[scored] for key, v in whole.items() if (key[0], *key[2:]) == (training, k, draw)}
        known = np.all([np.isfinite(values) for values in own.values()], axis=0)
        rows = scored[known]
        if not rows.size:
            continue
        places = ScoredPlaces(
            study.rows.crop, samples.municipality[rows], samples.harvest_year[rows], study.rows.as_of[rows],
            samples.state[rows], samples.target_kg_ha[rows].astype(np.float64),
        )  # fmt: skip
        of_k = f"-{k}" if k else ""
        path = folder / f"{result.name}-rows-{training.replace('_', '-')}{of_k}.csv.gz"
        write_rows(path, [score_table(places, {name: Said(values[known]) for name, values in own.items()})])
        written.append(path)
    return written
