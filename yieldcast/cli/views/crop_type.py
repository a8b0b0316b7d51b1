"""Training and prediction of crop types for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.scores import scores_table
from yieldcast.crop_types.classifier import FROZEN, RAW, RAW_HEADS, CropTypeModel
from yieldcast.crop_types.heads import Floats
from yieldcast.crop_types.scores import CropTypeScores, standard_error
from yieldcast.language import Language, message
from yieldcast.pixels.legends import Merging
from yieldcast.pixels.series_tables import PixelTable

NAMES = {
    "head": message("this run"), RAW: message("trees on raw series"),
    "raw_catboost": message("CatBoost"), FROZEN: message("frozen encoder"),
}  # fmt: skip


def training_view(
    model: CropTypeModel, read: PixelTable, merging: Merging, encoder: dict[str, Any] | None, lang: str = "en"
) -> Group:
    """Scores of the run and of trees on the raw series, and everything that was changed in the table.

    Args:
        model: trained.
        read: the table.
        merging: what became of rare classes.
        encoder: what the run keeps of its encoder.
        lang: language.
    """
    words = language.of(lang)
    parts: list[RenderableType] = [_scores(model.scores, words)]
    head = model.scores["head"]
    best = model.best_raw
    error = words.number(standard_error(head.macro_f1, head.samples), 3)
    parts.append(Text(words.gettext("standard error of macro-F1: about {error}", error=error), style="dim"))
    if best is not None and model.raw_is_better:
        text = message("Trees on the raw series are better here: train with --encoder none --head {head}.")
        parts.append(Text(words.gettext(text, head=RAW_HEADS[best]), style="bold yellow"))
    elif best is not None:
        gain = head.macro_f1 - model.scores[best].macro_f1
        text = message("Against trees on the raw series: {gain} macro-F1.")
        parts.append(Text(words.gettext(text, gain=words.number(gain, 3, signed=True))))
    if FROZEN in model.scores:
        gain = head.macro_f1 - model.scores[FROZEN].macro_f1
        text = message("Against the frozen encoder: {gain} macro-F1.")
        parts.append(Text(words.gettext(text, gain=words.number(gain, 3, signed=True))))
    parts += [Text(one, style="yellow") for one in _changes(read, merging, words)]
    if encoder:
        parts.append(Text(words.gettext("weights: {licence}", licence=encoder["licence"])))
    return Group(*parts)


def prediction_view(
    probability: Floats, classes: Sequence[str], scores: CropTypeScores | None, lang: str = "en"
) -> Group:
    """How many series each class has, and the scores where classes are known."""
    words = language.of(lang)
    table = scores_table(
        words.gettext("Predicted classes"),
        *(words.gettext(one) for one in (message("class"), message("series"), message("mean probability"))),
    )
    best = probability.argmax(axis=1)
    for k, name in enumerate(classes):
        mine = probability[best == k, k]
        mean = words.number(float(mine.mean()), 2) if mine.size else "–"
        table.add_row(name, words.number(int(np.sum(best == k))), mean)
    return Group(table, *([_scores({"head": scores}, words)] if scores else []))


def _scores(scores: dict[str, CropTypeScores], words: Language) -> RenderableType:
    head = scores["head"]
    title = words.gettext("F1 of {n} series", n=words.number(head.samples))
    names = [words.gettext(NAMES[name]) for name in scores]
    table = scores_table(title, words.gettext("class"), words.gettext("series"), *names)
    for name, count in head.counts.items():
        table.add_row(name, words.number(count), *(words.number(one.f1[name], 3) for one in scores.values()))
    rows = (
        (message("macro-F1"), "macro_f1"), (message("accuracy"), "accuracy"),
        (message("calibration error"), "calibration_error"),
    )  # fmt: skip
    for text, key in rows:
        cells = [words.number(getattr(one, key), 3) for one in scores.values()]
        table.add_row(words.gettext(text), "", *cells, style="bold" if key == "macro_f1" else "")
    return table


def _changes(read: PixelTable, merging: Merging, words: Language) -> list[str]:
    made = []
    for name, (target, count) in merging.merged.items():
        if target:
            text = message("rare class {name} ({n} series) is now {target}")
            made.append(words.gettext(text, name=name, n=words.number(count), target=target))
        else:
            text = message("rare class {name} ({n} series) is left out")
            made.append(words.gettext(text, name=name, n=words.number(count)))
    unlabelled = int((merging.labels == "").sum()) - sum(n for t, n in merging.merged.values() if not t)
    if unlabelled:
        made.append(words.gettext("series without a class: {n}, left out", n=words.number(unlabelled)))
    for name, count in read.faults:
        text = message("impossible values of {band}: {n}, now gaps")
        made.append(words.gettext(text, band=name, n=words.number(count)))
    if read.cloudy:
        made.append(words.gettext("cloudy observations: {n}, now gaps", n=words.number(read.cloudy)))
    if read.ignored:
        names = ", ".join(sorted({column.rpartition("_")[0] for column in read.ignored}))
        made.append(words.gettext("unknown bands, not read: {names}", names=names))
    return made
