"""Scores of a run and its baselines as rich tables and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast.data.summary import number_spans
from yieldcast.evaluation.scores import Evaluation, ScoreRow

HEADINGS = {
    "network": "Network",
    "none": "Weather, soil and place only",
    "hindsight": "Hindsight (yields to Y-1)",
    "public": "Public (yields public on the date)",
}
MEANING = {
    "network": "The network uses the inputs of its settings; ridge and boosted_weather use weather, soil and "
    "place only. All three were trained on the yields of every training year, whether public on the date of "
    "the forecast or not.",
    "hindsight": "Hindsight baselines use the yield of the year before the harvest, Y-1, whether it was "
    "public on the date of the forecast or not.",
    "public": "Public baselines use only yields and weather that were public on the date of the forecast. "
    "These are the baselines to beat.",
}
FALLBACK = (
    "fallback: rows whose municipality has no such value; the value of its state or of the country is used "
    "instead, and trees treat it as missing."
)
BEST = "* best of its column; the best seed is known only afterwards and is not compared."
COLUMNS = ("r", "MAPE\n%", "RMSE\nkg/ha", "bias\nkg/ha", "fallback\nrows")


def evaluation_table(evaluation: Evaluation, synthetic: bool, notes: Sequence[str] = ()) -> Group:
    """The scores of the network and the baselines, in sections, with an explanation of each section.

    Args:
        evaluation: scores of one set of rows.
        synthetic: whether the rows come from `yieldcast.data.synthetic`; the title then says so.
        notes: lines to print under the table.
    """
    table = scores_table(_title(evaluation, synthetic), "model", *COLUMNS)
    for history, rows in _sections(evaluation):
        table.add_section()
        table.add_row(Text(HEADINGS[history], style="bold"))
        for name, cells in rows:
            table.add_row(f" {name}", *(_highlight(cell) for cell in cells))
    meanings = [MEANING[history] for history, _ in _sections(evaluation) if history in MEANING]
    lines = [BEST, *meanings, *([FALLBACK] if evaluation.baselines else [])]
    return Group(table, *(Text(line, style="dim") for line in lines), *(Text(note) for note in notes))


def years_table(by_year: Mapping[int, Evaluation], synthetic: bool) -> Table:
    """RMSE (kg/ha) and r of the ensemble mean and every baseline, one column per harvest year.

    Args:
        by_year: scores by harvest year.
        synthetic: whether the rows come from `yieldcast.data.synthetic`; the title then says so.
    """
    data = ", synthetic data" if synthetic else ""
    table = scores_table(f"year by year: RMSE kg/ha (r){data}", "model", *map(str, by_year))
    rows = [evaluation.rows[1:] for evaluation in by_year.values()]
    for lines in zip(*rows, strict=True):
        scores = [line.score for line in lines]
        table.add_row(
            lines[0].model, *(f"{number_text(s.rmse_kg_ha, 0)} ({number_text(s.r, 2)})" for s in scores)
        )
    return table


def markdown(evaluation: Evaluation, synthetic: bool = False) -> str:
    """The scores as a Markdown table with title, for results files; arguments as `evaluation_table`."""
    heads = ("model", "yield history", *(" ".join(column.split()) for column in COLUMNS))
    lines = [f"### {_title(evaluation, synthetic)}", "", f"| {' | '.join(heads)} |"]
    lines.append("|---|---|" + "--:|" * len(COLUMNS))
    for history, rows in _sections(evaluation):
        for name, cells in rows:
            bold = (f"**{cell[:-1]}**" if cell.endswith("*") else cell.strip() for cell in cells)
            used = "none" if history == "network" else history
            lines.append(f"| {' | '.join((name.strip(), used, *bold))} |")
    meanings = [MEANING[history] for history, _ in _sections(evaluation) if history in MEANING]
    return "\n".join([*lines, "", *(f"- {text}" for text in meanings)]).rstrip("\n") + "\n"


def _title(evaluation: Evaluation, synthetic: bool) -> str:
    data = "synthetic data, " if synthetic else ""
    trained, tested = number_spans(evaluation.train_years), number_spans(evaluation.test_years)
    return f"{evaluation.crop} {tested}, trained on {trained} ({data}{evaluation.ensemble.n} rows)"


def _sections(evaluation: Evaluation) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Sections in the order shown, each with rows of a name and cells; "*" ends the best of a column."""
    network, ensemble, *baselines = evaluation.rows
    best = _best(evaluation.rows)
    seeds = len(evaluation.seeds)
    rows = [(f"{network.model}, mean of {seeds_text(evaluation)}", _cells(network, best))]
    if seeds > 1:
        sd = [number_text(network.r_sd, 3, "± "), number_text(network.mape_sd, 1, "± "), "", "", ""]
        most = [number_text(network.r_max, 3), number_text(network.mape_min, 1), "", "", ""]
        rows += [("  sd between seeds", _pad(sd)), ("  best seed", _pad(most))]
    sections = {"network": [*rows, (ensemble.model, _cells(ensemble, best))]}
    for history in ("none", "hindsight", "public"):
        sections[history] = [
            (row.model, _cells(row, best, evaluation.baselines[row.model].fallback_rows))
            for row in baselines
            if evaluation.baselines[row.model].history == history
        ]
    return [(history, lines) for history, lines in sections.items() if lines]


def _cells(row: ScoreRow, best: Sequence[float], fallback: int | None = None) -> list[str]:
    score = row.score
    values = (score.r, score.mape_pct, score.rmse_kg_ha, score.bias_kg_ha)
    keys = (-score.r, score.mape_pct, score.rmse_kg_ha, abs(score.bias_kg_ha))
    shown = (number_text(value, digits) for value, digits in zip(values, (3, 1, 0, 0), strict=True))
    stars = ("*" if key == least else " " for key, least in zip(keys, best, strict=True))
    cells = [text + star for text, star in zip(shown, stars, strict=True)]
    return [*cells, "" if fallback is None else str(fallback)]


def _best(rows: Sequence[ScoreRow]) -> tuple[float, ...]:
    """The lowest -r, MAPE, RMSE and absolute bias over the rows, NaN ignored."""
    scores = [row.score for row in rows]
    keys = np.array([(-s.r, s.mape_pct, s.rmse_kg_ha, abs(s.bias_kg_ha)) for s in scores])
    return tuple(np.where(np.isfinite(keys), keys, math.inf).min(axis=0).tolist())


def number_text(value: float | None, digits: int, before: str = "") -> str:
    """A number with a fixed number of decimals; "-" for None and NaN."""
    return "-" if value is None or not math.isfinite(value) else f"{before}{value:.{digits}f}"


def _pad(cells: Sequence[str]) -> list[str]:
    return [f"{cell} " if cell else "" for cell in cells]


def _highlight(cell: str) -> Text:
    return Text(cell, style="bold green" if cell.endswith("*") else "")


def seeds_text(evaluation: Evaluation) -> str:
    """Number of seeds scored, e.g. "30 seeds"."""
    count = len(evaluation.seeds)
    return f"{count} seed" if count == 1 else f"{count} seeds"


def scores_table(title: str, first: str, *columns: str) -> Table:
    """An empty table in the style of all score tables: a first column of names, then numbers."""
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column(first, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table
