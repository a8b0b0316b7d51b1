"""Forecasts and skill by lead time as rich tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.scores import crop_name
from yieldcast.evaluation import skill
from yieldcast.evaluation.skill import CLIMATOLOGY, FORECAST_MODEL
from yieldcast.forecasting.table import QUANTILES
from yieldcast.language import Language, message
from yieldcast.reporting import labels

_ENDS = QUANTILES.index(0.05), QUANTILES.index(0.5), QUANTILES.index(0.95)
_WORDS = message(
    "lead: months before the end of harvest. *: lowest at that lead. "
    "worst year: the harvest year whose 90 % intervals covered the fewest yields."
)


def forecast_view(forecast: xr.Dataset, lang: str) -> Group:
    """The country and its states: median, interval, five-year mean, area, observed share of the season.

    Args:
        forecast: a forecast that passes `yieldcast.forecasting.table.check_forecast`.
        lang: language.
    """
    words = language.of(lang)
    title = labels.title(labels.facts(forecast), lang)
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("kg/ha")
    for head in (
        words.gettext("median"), words.gettext("{share} interval", share=words.percent(0.9)),
        words.gettext("five-year mean"), words.gettext("planted ha"), words.gettext("observed %"),
    ):  # fmt: skip
        table.add_column(head, justify="right")

    def number(value: Any) -> str:
        return words.number(float(value))

    for k, name in enumerate(forecast["aggregate"].values.tolist()):
        low, median, high = (forecast["aggregate_yield_kg_ha"].values[k, i] for i in _ENDS)
        table.add_row(
            labels.aggregate(name, lang, str(forecast.attrs["country"])), number(median),
            f"{number(low)}–{number(high)}", number(forecast["aggregate_mean_5y_public_kg_ha"].values[k]),
            number(forecast["aggregate_area_planted_ha"].values[k]),
            number(100 * forecast["aggregate_observed_share"].values[k]),
        )  # fmt: skip
    return Group(table)


def skill_view(rows: Sequence[Mapping[str, Any]], synthetic: bool, lang: str = "en") -> Group:
    """RMSE, CRPS and interval coverage of every model by lead, pooled over harvest years.

    One row per lead and one column per model, which fits on 80 columns.

    Args:
        rows: scores of a backtest, one crop.
        synthetic: whether the data are synthetic; the title then says so.
        lang: language; names of models are those of the files.
    """
    words = language.of(lang)
    crop = str(rows[0]["crop"])
    pooled = skill.pool_by_lead(rows, crop)
    models = sorted({row["model"] for row in pooled}, key=lambda model: (model != FORECAST_MODEL, model))
    leads = sorted({row["lead_months"] for row in pooled}, reverse=True)
    years = sorted({int(row["harvest_year"]) for row in rows})
    subject = words.gettext(
        "{crop}, harvest years {first}-{last}",
        crop=crop_name(crop, words), first=years[0], last=years[-1],
    )  # fmt: skip
    title = f"{subject}{_mark(rows, synthetic, words)}: "
    found = {(row["model"], row["lead_months"]): row for row in pooled}
    parts: list[Any] = []
    names = {
        "rmse_kg_ha": "RMSE kg/ha",
        "crps_kg_ha": words.gettext("CRPS kg/ha (absolute error of baselines)"),
    }
    for score, name in names.items():
        table = _by_lead(title + name, models, words)
        for lead in leads:
            table.add_row(str(lead), *_scores([found.get((model, lead)) for model in models], score))
        parts += [table, Text(_sentence(skill.winning_leads(pooled, score), words) + "\n")]
    parts.append(Text(_own_line_sentence(skill.beside_own_line(pooled), words) + "\n"))
    spread = [model for model in (FORECAST_MODEL, CLIMATOLOGY) if model in models]
    heads = [head for model in spread for head in (model, words.gettext("worst year"))]
    table = _by_lead(title + words.gettext("coverage of the 90 % interval"), heads, words)
    for lead in leads:
        ours = [found.get((model, lead)) for model in spread]
        table.add_row(str(lead), *(cell for row in ours for cell in _coverage(row, words)))
    return Group(*parts, table, Text(words.gettext(_WORDS) + "\n", style="dim"))


def _mark(rows: Sequence[Mapping[str, Any]], synthetic: bool, words: Language) -> str:
    """What a title must say of the data and of the protocol."""
    left_out = any(skill.protocol_of(row) != "forward" for row in rows)
    made_up, taught = words.gettext("synthetic data"), words.gettext("leave-year-out")
    return (f", {made_up}" if synthetic else "") + (f", {taught}" if left_out else "")


def _own_line_sentence(beside: skill.BesideOwnLine, words: Language) -> str:
    """Whether the forecast is worse than its own baseline; nothing without that baseline."""
    if not beside.compared:
        return ""
    if not beside.worse:
        return words.ngettext(
            "RMSE: the forecast is nowhere worse than its own level_trend ({n} lead).",
            "RMSE: the forecast is nowhere worse than its own level_trend ({n} leads).",
            len(beside.compared),
        )
    leads = ", ".join(map(str, beside.worse))
    return words.gettext(
        "RMSE: the forecast is worse than its own level_trend at {leads} months (at most {most} %).",
        leads=leads, most=words.number(beside.most_pct, 1),
    )  # fmt: skip


def _by_lead(title: str, heads: Sequence[str], words: Language) -> Table:
    table = Table(
        title=Text(title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for head in (words.gettext("lead"), *heads):
        # break names at underscores: rich would cut them on 80 columns
        broken = Text(head.replace("_", "_\n"), style="bold" if head == FORECAST_MODEL else "")
        table.add_column(broken, justify="right", vertical="bottom")
    return table


def _scores(rows: Sequence[Mapping[str, Any] | None], score: str) -> list[Text]:
    """A score of each model at one lead; the lowest is marked with a star."""
    values = [None if row is None else row[score] for row in rows]
    best = min((value for value in values if value is not None), default=None)
    return [
        Text("- " if value is None else f"{value:.0f}{'*' if value == best else ' '}",
             style="bold green" if value is not None and value == best else "")
        for value in values
    ]  # fmt: skip


def _coverage(row: Mapping[str, Any] | None, words: Language) -> tuple[str, str]:
    """Interval coverage at one lead, and in the worst year; "-" for a model without intervals."""
    if row is None or row["coverage90"] is None:
        return "-", "-"
    sign = " %" if words.tag == "en" else "%"
    all_years, worst = (f"{100 * row[key]:.0f}{sign}" for key in ("coverage90", "worst_coverage90"))
    return all_years, f"{worst} ({row['worst_year']})"


def _sentence(leads: skill.WinningLeads, words: Language) -> str:
    name = leads.score.split("_", maxsplit=1)[0].upper()
    # CRPS compares only with baselines that have intervals, see `skill.longest_winning_lead`
    baseline = words.gettext("best baseline")
    if leads.score == "crps_kg_ha":
        baseline = words.gettext("best baseline that has intervals")
    if leads.from_lead is None:
        won = ", ".join(map(str, leads.won))
        some = " " + words.gettext("It does at {leads} months.", leads=won) if leads.won else ""
        lost = message("{score}: the forecast does not beat the {baseline} at the shortest lead.")
        return words.gettext(lost, score=name, baseline=baseline) + some
    beaten = message("{score}: the forecast beats the {baseline} at all leads up to {lead} months.")
    return words.gettext(beaten, score=name, baseline=baseline, lead=leads.from_lead)


def states_view(rows: Sequence[Mapping[str, Any]], synthetic: bool, lang: str = "en") -> Table:
    """For each state: up to which lead the forecast beats the best baseline by RMSE.

    Args:
        rows: scores of a backtest by state.
        synthetic: whether the data are synthetic; the title then says so.
        lang: language.
    """
    words = language.of(lang)
    title = words.gettext("by state") + _mark(rows, synthetic, words) + ": "
    title += words.gettext("RMSE kg/ha at the longest and the shortest lead, forecast / best baseline")
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column(words.gettext("state"))
    for head in (
        words.gettext("rows"), words.gettext("longest"), words.gettext("shortest"),
        words.gettext("better up to lead (months)"),
    ):  # fmt: skip
        table.add_column(head, justify="right")
    for state in skill.skill_by_state(rows):
        ends = (f"{ours:.0f} / {best:.0f}" for ours, best in (state.longest, state.shortest))
        lead = state.leads.from_lead
        table.add_row(state.state, str(state.rows), *ends, "-" if lead is None else str(lead))
    return table
