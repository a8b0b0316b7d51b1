"""Submissions as their contributor reads them: progress, scores, learning curve, confusion matrix."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from markupsafe import Markup

from yieldcast.language import Language, message
from yieldcast.workspace.disclosure.views import ClassRow, Phase, SubmissionDetail, SubmissionRow
from yieldcast.workspace.scoring.history import Score
from yieldcast.workspace.scoring.ladder import Looks
from yieldcast.workspace.server import charts, wording
from yieldcast.workspace.server.render import money

_LOSSES = {"loss": message("training"), "validation_loss": message("validation")}
_CURVE = {
    **_LOSSES,
    "accuracy": message("accuracy, training"),
    "validation_accuracy": message("accuracy, validation"),
}
_SHADES = 4


@dataclass(frozen=True)
class RowView:
    """A line of a list.

    Args:
        id, name, contributor: of the submission.
        ended: whether nothing more happens to it.
        look: class in the style sheet.
        state, reason: in words.
        step, done: how far it is, in words and as a share; None where that is not known.
        received: UTC.
        baseline, tuned, price: as they are read.
    """

    id: str
    name: str
    contributor: str
    ended: bool
    look: str
    state: str
    reason: str
    step: str
    done: float | None
    received: dt.datetime
    baseline: str
    tuned: str
    price: str


def row_view(row: SubmissionRow, headline: str, currency: str, words: Language) -> RowView:
    """A line of a list.

    Args:
        row: of `disclosure`.
        headline: measure of its scores.
        currency: of the licence.
        words: of the reader.
    """
    return RowView(
        row.id, row.model, row.contributor, row.state in wording.ENDED, wording.LOOKS.get(row.state, ""),
        words.gettext(wording.STATES[row.state]), words.said(row.reason) if row.reason else "",
        step_text(row.progress, words), _done(row.progress), row.received,
        _told(row, row.baseline, headline, words), _told(row, row.tuned, headline, words),
        money(row.price_per_km2, currency, words),
    )  # fmt: skip


def _told(row: SubmissionRow, score: Score | None, headline: str, words: Language) -> str:
    if score is None and row.state == "done":
        return words.gettext("not told")
    return _value(score, headline, words)


def step_text(progress: Mapping[str, Any], words: Language) -> str:
    """How far a training is: "fine-tuning · epoch 7 of 20 · validation loss 0.312"; "" if not known."""
    parts = []
    if progress.get("stage") in wording.STAGES:
        parts.append(words.gettext(wording.STAGES[progress["stage"]]))
    elif progress.get("phase") in wording.PHASES:
        parts.append(words.gettext(wording.PHASES[progress["phase"]]))
    if "epoch" in progress and "epochs" in progress:
        epoch, epochs = (words.number(progress[key]) for key in ("epoch", "epochs"))
        parts.append(words.gettext("epoch {epoch} of {epochs}", epoch=epoch, epochs=epochs))
    if "validation_loss" in progress:
        loss = wording.three_digits(progress["validation_loss"], words)
        parts.append(words.gettext("validation loss {loss}", loss=loss))
    return " · ".join(parts)


def _done(progress: Mapping[str, Any]) -> float | None:
    if "share" in progress:
        return min(max(float(progress["share"]), 0.0), 1.0)
    if progress.get("epochs"):
        return min(float(progress.get("epoch", 0)) / float(progress["epochs"]), 1.0)
    return None


def _value(score: Score | None, measure: str, words: Language) -> str:
    return wording.score_text(score.value if score else None, measure, words)


@dataclass(frozen=True)
class Card:
    """A number in a card."""

    label: str
    value: str
    below: str = ""


@dataclass(frozen=True)
class ScoreCell:
    """A score of one phase: as told, with its interval, and the best one that is known."""

    text: str
    below: str
    drawing: Markup
    published: str
    margin: str


@dataclass(frozen=True)
class ScoreLine:
    """One measure, or one class, in both phases."""

    name: str
    unit: str
    rare: bool
    cells: tuple[ScoreCell, ...]


@dataclass(frozen=True)
class ConfusionCell:
    """A share of the rows of a class; an empty text where it is hidden."""

    text: str
    shade: int
    right: bool


@dataclass(frozen=True)
class ConfusionView:
    """A confusion matrix: classes, and a line of cells for each."""

    caption: str
    classes: tuple[str, ...]
    lines: tuple[tuple[str, tuple[ConfusionCell, ...]], ...]


@dataclass(frozen=True)
class CurveView:
    """The learning curve, drawn and in numbers."""

    drawing: Markup
    lines: tuple[str, ...]
    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class DetailView:
    """A submission ready for the template."""

    row: RowView
    cards: tuple[Card, ...]
    note: str
    phases: tuple[str, ...]
    measures: tuple[ScoreLine, ...]
    classes: tuple[ScoreLine, ...]
    confusions: tuple[ConfusionView, ...]
    curve: CurveView | None
    declared: tuple[tuple[str, str], ...]
    used: tuple[tuple[str, str], ...]


def detail_view(
    detail: SubmissionDetail, headline: str, outputs: Sequence[str], currency: str, words: Language
) -> DetailView:
    """A submission ready for the template.

    Args:
        detail: of `disclosure`.
        headline: measure that ranks.
        outputs: classes of the task.
        currency: of the licence.
        words: of the reader.
    """
    names = tuple(
        _capital(words.gettext(wording.PHASES[key])) for key in [one.phase for one in detail.phases]
    )
    lines = list(dict.fromkeys(line.measure for one in detail.phases for line in one.lines))
    return DetailView(
        row_view(detail.row, headline, currency, words),
        _cards(detail, headline, words), _note(detail.row, words), names,
        tuple(_score_line(measure, detail.phases, words) for measure in lines),
        tuple(_class_line(k, detail.phases, words) for k in range(len(detail.phases[0].classes)))
        if detail.phases else (),
        tuple(_confusion(one, outputs, words) for one in detail.phases if one.confusion),
        _curve(detail.curve, words), _declared(detail, outputs, currency, words), _used(detail, words),
    )  # fmt: skip


def _cards(detail: SubmissionDetail, headline: str, words: Language) -> tuple[Card, ...]:
    row = detail.row
    cards = []
    name = wording.measure_name(headline, words)
    unit = words.gettext(wording.unit(headline))
    for score, label in (
        (row.tuned, words.gettext("After fine-tuning: {measure}", measure=name)),
        (row.baseline, words.gettext("As submitted: {measure}", measure=name)),
    ):
        if score is not None:
            value = " ".join(filter(None, (_value(score, headline, words), unit)))
            cards.append(Card(label, value, _interval(score, headline, words)))
    if row.tuned is not None and row.baseline is not None:
        gain = row.tuned.value - row.baseline.value
        text = wording.difference_text(gain, headline, words)
        cards.append(
            Card(
                words.gettext("Change by fine-tuning"),
                text,
                words.gettext(wording.unit(headline, difference=True)),
            )
        )
    cards.append(
        Card(
            words.gettext("Your looks at the holdout"),
            words.number(detail.looks.looks),
            looks_text(detail.looks, words),
        )
    )
    return tuple(cards)


def looks_text(looks: Looks, words: Language) -> str:
    """What the looks may add to a published score, in words."""
    if looks.looks == 0 or looks.fixed is None:
        return words.gettext("each scored phase is one")
    points = words.number(100 * looks.fixed, 1)
    return words.gettext(
        "with 95 % probability no score is off by more than {points} percentage points", points=points
    )


def _note(row: SubmissionRow, words: Language) -> str:
    if row.state != "done" or row.released:
        return ""
    return words.gettext(
        "This submission is not better than your best one by more than its standard error. Only the scores "
        "that rose are told; the leaderboard keeps the earlier submission."
    )


def _score_line(measure: str, phases: Sequence[Phase], words: Language) -> ScoreLine:
    found = [next((line for line in one.lines if line.measure == measure), None) for one in phases]
    axis = _axis([line.score for line in found if line is not None])
    cells = tuple(
        _cell(line.score, line.published, measure, axis, words, line.margin)
        if line else _cell(None, None, measure, axis, words)
        for line in found
    )  # fmt: skip
    name = _capital(wording.measure_name(measure, words))
    return ScoreLine(name, words.gettext(wording.unit(measure)), False, cells)


def _class_line(k: int, phases: Sequence[Phase], words: Language) -> ScoreLine:
    rows = [one.classes[k] for one in phases]
    axis = _axis([row.recall for one in phases for row in one.classes])
    return ScoreLine(rows[0].name, "", rows[0].rare, tuple(_class_cell(row, axis, words) for row in rows))


def _class_cell(row: ClassRow, axis: tuple[float, float], words: Language) -> ScoreCell:
    if row.hidden:
        return ScoreCell("–", words.gettext("too few rows"), Markup(""), "", "")
    return _cell(row.recall, row.published, "recall", axis, words)


def _cell(
    score: Score | None,
    published: Decimal | None,
    measure: str,
    axis: tuple[float, float],
    words: Language,
    margin: Decimal | None = None,
) -> ScoreCell:
    best = wording.score_text(published, measure, words)
    needed = ""
    if margin is not None:
        needed = words.gettext(
            "had to be better by {margin}", margin=wording.difference_text(margin, measure, words).lstrip("+")
        )
    if score is None:
        return ScoreCell("–", words.gettext("not told"), Markup(""), best, needed)
    drawing = charts.whisker(float(score.value), float(score.low), float(score.high), axis)
    return ScoreCell(_value(score, measure, words), _interval(score, measure, words), drawing, best, needed)


def _interval(score: Score, measure: str, words: Language) -> str:
    low, high = (wording.score_text(end, measure, words) for end in (score.low, score.high))
    return words.gettext("{low} to {high}", low=low, high=high)


def _axis(scores: Sequence[Score | None]) -> tuple[float, float]:
    return charts.axis_of((float(one.low), float(one.high)) for one in scores if one is not None)


def _confusion(phase: Phase, outputs: Sequence[str], words: Language) -> ConfusionView:
    where = words.gettext(wording.PHASES[phase.phase])
    lines = tuple(
        (name, tuple(_confusion_cell(share, k == j, words) for j, share in enumerate(row)))
        for k, (name, row) in enumerate(zip(outputs, phase.confusion, strict=True))
    )
    caption = words.gettext("Share of the rows of each class by prediction, {phase}", phase=where)
    return ConfusionView(caption, tuple(outputs), lines)


def _confusion_cell(share: Decimal | None, right: bool, words: Language) -> ConfusionCell:
    if share is None:
        return ConfusionCell("", 0, right)
    shade = min(_SHADES, math.ceil(float(share) * _SHADES))
    return ConfusionCell(wording.score_text(share, "recall", words), shade, right)


def _curve(points: Sequence[Mapping[str, Any]], words: Language) -> CurveView | None:
    lines = {
        key: [float(point.get(key, math.nan)) for point in points]
        for key in _CURVE
        if any(key in point for point in points)
    }
    losses = [charts.Line(words.gettext(_LOSSES[key]), lines[key]) for key in _LOSSES if key in lines]
    if not losses:
        return None
    validation = lines.get("validation_loss", [])
    known = [k for k, value in enumerate(validation) if math.isfinite(value)]
    best = min(known, key=validation.__getitem__) + 1 if known else None
    caption = words.gettext("Loss by epoch.")
    if best is not None:
        kept = words.gettext(
            "The weights of epoch {epoch}, the lowest validation loss, were kept.", epoch=best
        )
        caption = f"{caption} {kept}"
    drawing = charts.learning_curve(losses, caption, words, best)
    headings = (words.gettext("Epoch"), *(_capital(words.gettext(_CURVE[key])) for key in lines))
    rows = tuple(
        (words.number(k + 1), *(wording.three_digits(values[k], words) for values in lines.values()))
        for k in range(len(points))
    )
    return CurveView(drawing, tuple(line.name for line in losses), caption, headings, rows)


def _declared(
    detail: SubmissionDetail, outputs: Sequence[str], currency: str, words: Language
) -> tuple[tuple[str, str], ...]:
    options = detail.options
    yes_no = {True: words.gettext("yes"), False: words.gettext("no")}
    frozen = options.get("frozen_layers", 0)
    names = detail.outputs or tuple(outputs)
    augmentation = [
        words.gettext(wording.AUGMENTATIONS.get(one, one)) for one in options.get("augmentation", ())
    ]
    facts = [
        (words.gettext("Licence per km² and year"), money(detail.row.price_per_km2, currency, words)),
        (words.gettext("Outputs of the model"), ", ".join(names)),
        (words.gettext("Epochs"), _plain(options.get("epochs"), words)),
        (words.gettext("Learning rate"), _plain(options.get("learning_rate"), words)),
        (words.gettext("Batch size"), _plain(options.get("batch_size"), words)),
        (words.gettext("Patience, epochs"), _plain(options.get("patience"), words)),
        (
            words.gettext("Frozen layers"),
            words.number(frozen) if isinstance(frozen, int) else ", ".join(frozen),
        ),
        (words.gettext("Augmentation"), ", ".join(augmentation) or words.gettext("none")),
        (words.gettext("Class weights"), yes_no[bool(options.get("class_weights"))]),
        (words.gettext("New last layer"), yes_no[bool(options.get("new_head"))]),
    ]
    return tuple(facts)


def _plain(value: float | None, words: Language) -> str:
    return (
        "–"
        if value is None
        else wording.three_digits(value, words)
        if isinstance(value, float)
        else str(value)
    )


def _used(detail: SubmissionDetail, words: Language) -> tuple[tuple[str, str], ...]:
    parameters = "–" if detail.parameters is None else words.number(detail.parameters)
    minutes = words.ngettext("{n} minute", "{n} minutes", detail.minutes)
    return (
        (words.gettext("Compute"), wording.compute_text(detail.pflop, words)),
        (words.gettext("Time, at most"), minutes),
        (words.gettext("Weights of the model"), parameters),
        (words.gettext("SHA-256 of the file"), detail.sha256),
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
