"""Rounds of a federation as a table for a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast import language


def federation_view(report: dict[str, Any], pooled: float | None, lang: str) -> Group:
    """Score after every round, and beside it that of training on pooled data.

    Args:
        report: of `yieldcast.workspace.federated.result.report`.
        pooled: accuracy or RMSE in kg/ha of training on all data at one place; None: not trained.
        lang: language.
    """
    words = language.of(lang)
    classes = report["score"] == "accuracy"
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(words.gettext("Round"), justify="right")
    table.add_column(words.gettext("accuracy") if classes else words.gettext("RMSE kg/ha"), justify="right")
    for row in report["rounds"]:
        table.add_row(words.number(row["round"]), _score(row["score"], classes, lang))
    lines = []
    if pooled is not None:
        last = report["rounds"][-1]["score"]
        lines = [
            words.gettext("Training on all data at one place: {score}").format(
                score=_score(pooled, classes, lang)
            ),
            words.gettext("Federation less pooled training: {difference}").format(
                difference=_score(last - pooled, classes, lang)
            ),
        ]
    return Group(table, *map(Text, lines))


def _score(value: float, classes: bool, lang: str) -> str:
    return language.of(lang).number(value, 4 if classes else 1)
