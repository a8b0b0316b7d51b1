"""Scores for readers: rich tables, the paper's tables beside ours, Markdown.

Everything is returned, nothing is printed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast.errors import ConfigError
from yieldcast.evaluation import Evaluation, Row

PAPER = "Cunha & Silva 2020"
# Cunha & Silva (2020), ISPRS Annals IV-3/W2-2020, doi 10.5194/isprs-annals-IV-3-W2-2020-59-2020; thirty
# executions, harvest year 2018. Tables 3 and 4: mean and sd of the correlation, mean and sd of MAPE (%).
TABLE_3: Mapping[str, tuple[float, float, float, float]] = {
    "corn": (0.881, 0.003, 47.855, 4.197),
    "cotton": (0.924, 0.003, 29.238, 1.516),
    "rice": (0.874, 0.004, 31.484, 1.194),
    "soybean": (0.300, 0.047, 16.015, 0.969),
    "sugarcane": (0.710, 0.012, 40.877, 1.656),
}
TABLE_4: Mapping[str, tuple[float, float, float, float]] = {
    "corn": (0.865, 0.005, 51.716, 6.114),
    "cotton": (0.920, 0.004, 30.502, 1.586),
    "rice": (0.864, 0.005, 32.826, 1.220),
    "soybean": (0.288, 0.025, 14.755, 0.565),
    "sugarcane": (0.708, 0.012, 42.081, 2.092),
}
# Table 5: highest correlation and lowest MAPE (%) over the executions. Table 1: rows in the test set.
TABLE_5: Mapping[str, tuple[float, float]] = {
    "corn": (0.886, 41.596),
    "cotton": (0.929, 26.648),
    "rice": (0.881, 29.624),
    "soybean": (0.348, 13.704),
    "sugarcane": (0.739, 37.304),
}
TABLE_1_TEST: Mapping[str, int] = {
    "corn": 5054, "cotton": 223, "rice": 1914, "soybean": 2315, "sugarcane": 3339,
}  # fmt: skip

HEADINGS = {
    "network": "Network",
    "none": "No yield history",
    "hindsight": "Hindsight (yields to Y-1)",
    "public": "Public (yields then out)",
}
MEANING = {
    "network": "Network, ridge and boosted_weather read weather, soil and place, no yield history; they "
    "learned from the yields of every training year, public on the date of the forecast or not.",
    "hindsight": "Hindsight lines use the yield of the year before the harvest, Y-1. PAM publishes it only "
    "in September or October of Y, so no forecaster has it before the harvest.",
    "public": "Public lines use only what was out on the date of the forecast, yields and weather. These "
    "are the lines to beat.",
}
FALLBACK = (
    "fallback: rows whose municipality lacks that value; state or nation stands in, trees go on without."
)
BEST = "* best of its column; the best seed, known only afterwards, does not take part."
COLUMNS = ("r", "MAPE\n%", "RMSE\nkg/ha", "bias\nkg/ha", "fallback\nrows")


def evaluation_table(evaluation: Evaluation, synthetic: bool, notes: Sequence[str] = ()) -> Group:
    """The scores of the network beside its reference lines, in sections, with what each one means.

    Args:
        evaluation: scores of one set of rows.
        synthetic: whether the rows come from `yieldcast.synthetic`; the title then says so.
        notes: lines for the reader to stand under the table.
    """
    table = _table(_title(evaluation, synthetic), "model", *COLUMNS)
    for history, rows in _sections(evaluation):
        table.add_section()
        table.add_row(Text(HEADINGS[history], style="bold"))
        for name, cells in rows:
            table.add_row(f" {name}", *(_highlight(cell) for cell in cells))
    told = [MEANING[history] for history, _ in _sections(evaluation) if history in MEANING]
    lines = [BEST, *told, *([FALLBACK] if evaluation.references else [])]
    return Group(table, *(Text(line, style="dim") for line in lines), *(Text(note) for note in notes))


def years_table(by_year: Mapping[int, Evaluation], synthetic: bool) -> Table:
    """RMSE (kg/ha) and r of the ensemble mean and every reference line, a column per harvest year.

    Args:
        by_year: of `evaluation.evaluate_years`.
        synthetic: whether the rows come from `yieldcast.synthetic`; the title then says so.
    """
    data = ", synthetic data" if synthetic else ""
    table = _table(f"year by year: RMSE kg/ha (r){data}", "model", *map(str, by_year))
    rows = [evaluation.rows[1:] for evaluation in by_year.values()]
    for lines in zip(*rows, strict=True):
        scores = [line.score for line in lines]
        table.add_row(lines[0].model, *(f"{_number(s.rmse_kg_ha, 0)} ({_number(s.r, 2)})" for s in scores))
    return table


def paper_tables(with_noise: Evaluation, without_noise: Evaluation | None, synthetic: bool = False) -> Group:
    """Tables 3, 4 and 5 of Cunha & Silva (2020) with our numbers under theirs.

    Args:
        with_noise: a run with the noise layer (Table 3, and the best members for Table 5).
        without_noise: the same without noise (Table 4), or None to leave Table 4 out.
        synthetic: whether the rows come from `yieldcast.synthetic`; the titles then say so.

    Raises:
        ConfigError: the two runs are of different crops.
    """
    crop = with_noise.crop
    if without_noise is not None and without_noise.crop != crop:
        raise ConfigError(f"expected two runs of one crop, received {crop} and {without_noise.crop}")
    ours = "yieldcast, synthetic data" if synthetic else "yieldcast"
    tables = [_spread_table("Table 3: with noise layer", ours, crop, TABLE_3, with_noise)]
    if without_noise is not None:
        tables.append(_spread_table("Table 4: without noise layer", ours, crop, TABLE_4, without_noise))
    best = _table(f"Table 5: best of the executions, {crop}", "", "max r", "min MAPE %")
    r, mape = TABLE_5.get(crop, (math.nan, math.nan))
    best.add_row(PAPER, _number(r, 3), _number(mape, 3))
    network = with_noise.network
    best.add_row(ours, _number(network.r_max, 3), _number(network.mape_min, 3))
    rows = TABLE_1_TEST.get(crop)
    theirs = f"{rows} test rows of 2018 (Table 1)" if rows else f"no {crop}"
    years = _span(with_noise.test_years)
    note = (
        f"Paper: thirty executions, {theirs}. "
        f"Here: {_executions(with_noise)}, {network.score.n} rows of {years}."
    )
    return Group(*tables, best, Text(note, style="dim"))


def markdown(evaluation: Evaluation, synthetic: bool = False) -> str:
    """The scores as a Markdown table with title, for results files; arguments as `evaluation_table`."""
    heads = ("model", "yield history", *(" ".join(column.split()) for column in COLUMNS))
    lines = [f"### {_title(evaluation, synthetic)}", "", f"| {' | '.join(heads)} |"]
    lines.append("|---|---|" + "--:|" * len(COLUMNS))
    for history, rows in _sections(evaluation):
        for name, cells in rows:
            bold = (f"**{cell[:-1]}**" if cell.endswith("*") else cell.strip() for cell in cells)
            told = "none" if history == "network" else history
            lines.append(f"| {' | '.join((name.strip(), told, *bold))} |")
    told_of = [MEANING[history] for history, _ in _sections(evaluation) if history in MEANING]
    return "\n".join([*lines, "", *(f"- {text}" for text in told_of)]).rstrip("\n") + "\n"


def _title(evaluation: Evaluation, synthetic: bool) -> str:
    data = "synthetic data, " if synthetic else ""
    trained, tested = _span(evaluation.train_years), _span(evaluation.test_years)
    return f"{evaluation.crop} {tested}, trained on {trained} ({data}{evaluation.ensemble.n} rows)"


def _span(years: Sequence[int]) -> str:
    """2011-2015 or 2011-2013, 2015: runs of years joined."""
    runs: list[list[int]] = []
    for year in sorted(years):
        if runs and year == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], year]
        else:
            runs.append([year])
    return ", ".join("-".join(map(str, run)) for run in runs)


def _sections(evaluation: Evaluation) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Section -> names and cells, in the order shown; the best cell of a column ends with a star."""
    network, ensemble, *references = evaluation.rows
    best = _best(evaluation.rows)
    seeds = len(evaluation.seeds)
    rows = [(f"{network.model}, mean of {_executions(evaluation)}", _cells(network, best))]
    if seeds > 1:
        sd = [_number(network.r_sd, 3, "± "), _number(network.mape_sd, 1, "± "), "", "", ""]
        most = [_number(network.r_max, 3), _number(network.mape_min, 1), "", "", ""]
        rows += [("  sd between seeds", _pad(sd)), ("  best seed", _pad(most))]
    sections = {"network": [*rows, (ensemble.model, _cells(ensemble, best))]}
    for history in ("none", "hindsight", "public"):
        sections[history] = [
            (row.model, _cells(row, best, evaluation.references[row.model].fallback_rows))
            for row in references
            if evaluation.references[row.model].history == history
        ]
    return [(history, lines) for history, lines in sections.items() if lines]


def _cells(row: Row, best: Sequence[float], fallback: int | None = None) -> list[str]:
    score = row.score
    values = (score.r, score.mape_pct, score.rmse_kg_ha, score.bias_kg_ha)
    keys = (-score.r, score.mape_pct, score.rmse_kg_ha, abs(score.bias_kg_ha))
    shown = (_number(value, digits) for value, digits in zip(values, (3, 1, 0, 0), strict=True))
    stars = ("*" if key == least else " " for key, least in zip(keys, best, strict=True))
    cells = [text + star for text, star in zip(shown, stars, strict=True)]
    return [*cells, "" if fallback is None else str(fallback)]


def _best(rows: Sequence[Row]) -> tuple[float, ...]:
    """The least of -r, MAPE, RMSE and absolute bias over the rows that have them."""
    scores = [row.score for row in rows]
    keys = np.array([(-s.r, s.mape_pct, s.rmse_kg_ha, abs(s.bias_kg_ha)) for s in scores])
    return tuple(np.where(np.isfinite(keys), keys, math.inf).min(axis=0).tolist())


def _number(value: float | None, digits: int, before: str = "") -> str:
    return "-" if value is None or not math.isfinite(value) else f"{before}{value:.{digits}f}"


def _pad(cells: Sequence[str]) -> list[str]:
    return [f"{cell} " if cell else "" for cell in cells]


def _highlight(cell: str) -> Text:
    return Text(cell, style="bold green" if cell.endswith("*") else "")


def _executions(evaluation: Evaluation) -> str:
    count = len(evaluation.seeds)
    return f"{count} seed" if count == 1 else f"{count} seeds"


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column(first, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _spread_table(
    title: str, ours: str, crop: str, paper: Mapping[str, tuple[float, ...]], evaluation: Evaluation
) -> Table:
    """Mean and standard deviation of correlation and MAPE, the paper's and ours."""
    network = evaluation.network
    own = (network.score.r, network.r_sd, network.score.mape_pct, network.mape_sd)
    table = _table(f"{title}, {crop}", "", "mean r", "sd r", "mean MAPE %", "sd MAPE %")
    for name, values in ((PAPER, paper.get(crop, (None,) * 4)), (ours, own)):
        table.add_row(name, *(_number(value, 3) for value in values))
    return table
