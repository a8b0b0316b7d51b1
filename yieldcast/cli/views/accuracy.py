"""Tables of accuracy for a terminal of 80 columns."""

from __future__ import annotations

import re

from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.scores import crop_name, scores_table
from yieldcast.evaluation.accuracy_tables import Rows, ScoreTable, tables
from yieldcast.language import Language

_DAY = re.compile(r"[01]\d-[0-3]\d")
COLUMNS = 7  # numbers beside each other on 80 columns


def accuracy_view(rows: Rows, synthetic: bool, lang: str = "en") -> Group:
    """All tables of the rows; a table of many dates is continued below.

    Args:
        rows: of one or more backtests, with the keys `yieldcast.evaluation.accuracy.KEYS`.
        synthetic: whether the data are synthetic; the titles then say so.
        lang: language; names of models are those of the files.
    """
    words = language.of(lang)
    made = tables(rows, lambda crop: crop_name(crop, words))
    return Group(*(part for one in made for part in table_parts(one, synthetic, words)))


def table_parts(
    one: ScoreTable, synthetic: bool, words: Language, columns: int = COLUMNS
) -> list[Table | Text]:
    """A table of scores, continued below where it has more columns than `columns` beside the first."""
    title = words.said(one.title)
    if synthetic:
        title = words.gettext("{title} (synthetic data)", title=title)
    heads = [_said(head, words) for head in one.heads]
    parts: list[Table | Text] = []
    for first in range(1, max(len(one.heads), 2), columns):
        chosen = slice(first, first + columns)
        table = scores_table(title if first == 1 else "", heads[0], *heads[chosen])
        for line in one.lines:
            table.add_row(_said(line[0], words), *line[chosen])
        parts += [table, Text("")]
    return parts


def _said(text: str, words: Language) -> str:
    """A text of a table; days such as 10-15 as the language writes them, except in English."""
    if words.tag != "en" and _DAY.fullmatch(text):
        return words.day_of_year(text)
    return words.said(text)
