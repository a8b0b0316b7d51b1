"""Scores of classes and of P(low) for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.scores import crop_name, scores_table
from yieldcast.evaluation.class_scores import RiskScores
from yieldcast.evaluation.skill import FORECAST_MODEL
from yieldcast.language import Language, message

CLASS_LABELS = {
    "low": message("low"), "medium": message("medium"), "high": message("high"),
    "not_low": message("not low"),
}  # fmt: skip
COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("accuracy", message("accuracy"), 2), ("macro_f1", "macro-F1", 3), ("brier", "Brier", 3),
    ("reliability_slope", message("slope"), 2), ("roc_area", "ROC", 2), ("pr_area", "PR", 2),
    ("recall_at_rate", message("recall"), 2),
)  # fmt: skip
MEANING = (
    message(
        "Brier score, slope of the reliability curve (1 is reliable), areas under the ROC and the "
        "precision-recall curve, and recall are those of P(low)."
    ),
    message(
        "recall: share of the low yields that are flagged where {rate}% of the others are flagged too. "
        "dummy: always the most frequent class of the training years. climatology: frequencies of the "
        "classes in each place's training years."
    ),
)


def risk_scores_view(found: RiskScores, synthetic: bool, lang: str = "en") -> Group:
    """Pooled scores of every model by day, by year, and what the forecast's classes were.

    Args:
        found: of `yieldcast.evaluation.class_scores.run_class_test`.
        synthetic: whether the data are; the titles then say so.
        lang: language; names of models are those of the files.
    """
    words = language.of(lang)
    parts: list[Table | Text] = []
    for day in dict.fromkeys(str(row["day"]) for row in found.scores):
        rows = [row for row in found.scores if row["day"] == day]
        title = _title(found, day, synthetic, words)
        parts += [_pooled(rows, title, words), Text("")]
        if len({row["harvest_year"] for row in rows}) > 2:
            parts += [_by_year(rows, words), Text("")]
        parts += [_confusion(rows, found.class_names, words), Text("")]
    rate = words.number(100 * next(r["false_alarm_rate"] for r in found.scores if "false_alarm_rate" in r))
    parts += [Text(words.gettext(text, rate=rate), style="dim") for text in MEANING]
    return Group(*parts)


def _title(found: RiskScores, day: str, synthetic: bool, words: Language) -> str:
    text = message("{crop}, classes as forecast on {day}: all harvest years")
    if synthetic:
        text = message("{crop}, classes as forecast on {day}: all harvest years (synthetic data)")
    written = day if words.tag == "en" else words.day_of_year(day)
    return words.gettext(text, crop=crop_name(found.crop, words), day=written)


def _pooled(rows: Sequence[dict[str, Any]], title: str, words: Language) -> Table:
    table = scores_table(title, words.gettext("model"), "n", *(words.gettext(head) for _, head, _ in COLUMNS))
    for row in rows:
        if row["harvest_year"] is None:
            cells = (_cell(row, name, digits, words) for name, _, digits in COLUMNS)
            table.add_row(row["model"], words.number(row["n"]), *cells)
    return table


def _by_year(rows: Sequence[dict[str, Any]], words: Language) -> Table:
    years = sorted({row["harvest_year"] for row in rows} - {None})
    table = scores_table(
        words.gettext("macro-F1 (Brier score) by harvest year"), words.gettext("model"), *map(str, years)
    )
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = {row["harvest_year"]: row for row in rows if row["model"] == model}
        cells = (
            f"{_cell(mine[year], 'macro_f1', 2, words)} ({_cell(mine[year], 'brier', 2, words)})"
            if year in mine else ""
            for year in years
        )  # fmt: skip
        table.add_row(model, *cells)
    return table


def _confusion(rows: Sequence[dict[str, Any]], names: tuple[str, ...], words: Language) -> Table:
    """Counts of the forecast's classes, with precision and recall."""
    row = next(r for r in rows if r["model"] == FORECAST_MODEL and r["harvest_year"] is None)
    heads = [words.gettext(CLASS_LABELS[name]) for name in names]
    table = scores_table(
        words.gettext("classes of the forecast: rows true, columns forecast"), words.gettext("class"), *heads,
        words.gettext("recall"), words.gettext("precision"),
    )  # fmt: skip
    for k, head in enumerate(heads):
        counts = (words.number(count) for count in row["confusion"][k])
        table.add_row(
            head, *counts, _number(row["recall"][k], 2, words), _number(row["precision"][k], 2, words)
        )
    return table


def _cell(row: dict[str, Any], name: str, digits: int, words: Language) -> str:
    return _number(row.get(name), digits, words)


def _number(value: float | None, digits: int, words: Language) -> str:
    return "–" if value is None else words.number(value, digits)
