"""Scores of a run and its baselines as rich tables and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast import language
from yieldcast.data.summary import number_spans
from yieldcast.evaluation.scores import Evaluation, ScoreRow
from yieldcast.language import Language, message
from yieldcast.reporting import labels

HEADINGS = {
    "network": message("Network"),
    "none": message("Weather, soil and place only"),
    "hindsight": message("Hindsight (yields to Y-1)"),
    "public": message("Public (yields public on the date)"),
}
MEANING = {
    "network": message(
        "The network uses the inputs of its settings; ridge and boosted_weather use weather, soil and "
        "place only. All three were trained on the yields of every training year, whether public on the date "
        "of the forecast or not."
    ),
    "hindsight": message(
        "Hindsight baselines use the yield of the year before the harvest, Y-1, whether it was "
        "public on the date of the forecast or not."
    ),
    "public": message(
        "Public baselines use only yields and weather that were public on the date of the forecast. "
        "These are the baselines to beat."
    ),
}
FALLBACK = message(
    "fallback: rows whose municipality has no such value; the value of its state or of the country is used "
    "instead, and trees treat it as missing."
)
BEST = message("* best of its column; the best seed is known only afterwards and is not compared.")
COLUMNS = ("r", "MAPE\n%", "RMSE\nkg/ha", message("bias\nkg/ha"), message("fallback\nrows"))


def evaluation_table(
    evaluation: Evaluation, synthetic: bool, notes: Sequence[str] = (), lang: str = "en"
) -> Group:
    """The scores of the network and the baselines, in sections, with an explanation of each section.

    Args:
        evaluation: scores of one set of rows.
        synthetic: whether the rows come from `yieldcast.data.synthetic`; the title then says so.
        notes: lines to print under the table.
        lang: language; names of models are those of the files.
    """
    words = language.of(lang)
    heads = (words.gettext(one) for one in (message("model"), *COLUMNS))
    table = scores_table(_title(evaluation, synthetic, words), *heads)
    for history, rows in _sections(evaluation, words):
        table.add_section()
        table.add_row(Text(words.gettext(HEADINGS[history]), style="bold"))
        for name, cells in rows:
            table.add_row(f" {name}", *(_highlight(cell) for cell in cells))
    meanings = [MEANING[history] for history, _ in _sections(evaluation, words) if history in MEANING]
    lines = [BEST, *meanings, *([FALLBACK] if evaluation.baselines else [])]
    below = (Text(words.gettext(line), style="dim") for line in lines)
    return Group(table, *below, *(Text(words.said(note)) for note in notes))


def years_table(by_year: Mapping[int, Evaluation], synthetic: bool, lang: str = "en") -> Table:
    """RMSE (kg/ha) and r of the ensemble mean and every baseline, one column per harvest year.

    Args:
        by_year: scores by harvest year.
        synthetic: whether the rows come from `yieldcast.data.synthetic`; the title then says so.
        lang: language.
    """
    words = language.of(lang)
    title = message("year by year: RMSE kg/ha (r)")
    if synthetic:
        title = message("year by year: RMSE kg/ha (r), synthetic data")
    table = scores_table(words.gettext(title), words.gettext("model"), *map(str, by_year))
    rows = [evaluation.rows[1:] for evaluation in by_year.values()]
    for lines in zip(*rows, strict=True):
        scores = [line.score for line in lines]
        texts = ((_number(s.rmse_kg_ha, 0, words), _number(s.r, 2, words)) for s in scores)
        table.add_row(lines[0].model, *(f"{rmse} ({r})" for rmse, r in texts))
    return table


def markdown(evaluation: Evaluation, synthetic: bool = False) -> str:
    """The scores as a Markdown table with title, for results files; arguments as `evaluation_table`."""
    heads = ("model", "yield history", *(" ".join(column.split()) for column in COLUMNS))
    words = language.of("en")
    lines = [f"### {_title(evaluation, synthetic, words)}", "", f"| {' | '.join(heads)} |"]
    lines.append("|---|---|" + "--:|" * len(COLUMNS))
    for history, rows in _sections(evaluation, words):
        for name, cells in rows:
            bold = (f"**{cell[:-1]}**" if cell.endswith("*") else cell.strip() for cell in cells)
            used = "none" if history == "network" else history
            lines.append(f"| {' | '.join((name.strip(), used, *bold))} |")
    meanings = [MEANING[history] for history, _ in _sections(evaluation, words) if history in MEANING]
    return "\n".join([*lines, "", *(f"- {text}" for text in meanings)]).rstrip("\n") + "\n"


def _title(evaluation: Evaluation, synthetic: bool, words: Language) -> str:
    text = message("{crop} {tested}, trained on {trained} ({n} rows)")
    if synthetic:
        text = message("{crop} {tested}, trained on {trained} (synthetic data, {n} rows)")
    trained, tested = number_spans(evaluation.train_years), number_spans(evaluation.test_years)
    crop = crop_name(evaluation.crop, words)
    return words.gettext(text, crop=crop, tested=tested, trained=trained, n=evaluation.ensemble.n)


def crop_name(name: str, words: Language) -> str:
    """The name of a crop in tables for a terminal; in English its key, which options take."""
    return name if words.tag == "en" else labels.crop(name, words.tag)


def _sections(evaluation: Evaluation, words: Language) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Sections in the order shown, each with rows of a name and cells; "*" ends the best of a column."""
    network, ensemble, *baselines = evaluation.rows
    best = _best(evaluation.rows)
    seeds = len(evaluation.seeds)
    seeds_mean = words.ngettext(
        "{model}, mean of {n} seed", "{model}, mean of {n} seeds", seeds, model=network.model
    )
    rows = [(seeds_mean, _cells(network, best, words))]
    if seeds > 1:
        sd = [_number(network.r_sd, 3, words, "± "), _number(network.mape_sd, 1, words, "± "), "", "", ""]
        most = [_number(network.r_max, 3, words), _number(network.mape_min, 1, words), "", "", ""]
        between, top = words.gettext("sd between seeds"), words.gettext("best seed")
        rows += [(f"  {between}", _pad(sd)), (f"  {top}", _pad(most))]
    sections = {"network": [*rows, (ensemble.model, _cells(ensemble, best, words))]}
    for history in ("none", "hindsight", "public"):
        sections[history] = [
            (row.model, _cells(row, best, words, evaluation.baselines[row.model].fallback_rows))
            for row in baselines
            if evaluation.baselines[row.model].history == history
        ]
    return [(history, lines) for history, lines in sections.items() if lines]


def _cells(row: ScoreRow, best: Sequence[float], words: Language, fallback: int | None = None) -> list[str]:
    score = row.score
    values = (score.r, score.mape_pct, score.rmse_kg_ha, score.bias_kg_ha)
    keys = (-score.r, score.mape_pct, score.rmse_kg_ha, abs(score.bias_kg_ha))
    shown = (_number(value, digits, words) for value, digits in zip(values, (3, 1, 0, 0), strict=True))
    stars = ("*" if key == least else " " for key, least in zip(keys, best, strict=True))
    cells = [text + star for text, star in zip(shown, stars, strict=True)]
    return [*cells, "" if fallback is None else str(fallback)]


def _best(rows: Sequence[ScoreRow]) -> tuple[float, ...]:
    """The lowest -r, MAPE, RMSE and absolute bias over the rows, NaN ignored."""
    scores = [row.score for row in rows]
    keys = np.array([(-s.r, s.mape_pct, s.rmse_kg_ha, abs(s.bias_kg_ha)) for s in scores])
    return tuple(np.where(np.isfinite(keys), keys, math.inf).min(axis=0).tolist())


def _number(value: float | None, digits: int, words: Language, before: str = "") -> str:
    """As `number_text`, with the language's decimal sign."""
    known = value is not None and math.isfinite(value)
    return f"{before}{words.number(value, digits, group=False)}" if value is not None and known else "-"


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
