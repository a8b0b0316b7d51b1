"""Tables of accuracy for a terminal of 80 columns."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast.cli.views.scores import scores_table
from yieldcast.evaluation.accuracy_tables import Rows, ScoreTable, tables

COLUMNS = 7  # numbers beside each other on 80 columns


def accuracy_view(rows: Rows, synthetic: bool) -> Group:
    """All tables of the rows; a table of many dates is continued below.

    Args:
        rows: of one or more backtests, with the keys `yieldcast.evaluation.accuracy.KEYS`.
        synthetic: whether the data are synthetic; the titles then say so.
    """
    mark = " (synthetic data)" if synthetic else ""
    return Group(*(part for one in tables(rows) for part in _parts(one, mark)))


def _parts(one: ScoreTable, mark: str) -> list[Table | Text]:
    parts: list[Table | Text] = []
    for first in range(1, max(len(one.heads), 2), COLUMNS):
        chosen = slice(first, first + COLUMNS)
        table = scores_table(f"{one.title}{mark}" if first == 1 else "", one.heads[0], *one.heads[chosen])
        for line in one.lines:
            table.add_row(line[0], *line[chosen])
        parts += [table, Text("")]
    return parts
