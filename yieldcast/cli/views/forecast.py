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
from yieldcast.evaluation import skill
from yieldcast.evaluation.skill import CLIMATOLOGY, FORECAST_MODEL
from yieldcast.forecasting.table import QUANTILES
from yieldcast.reporting import labels

_ENDS = QUANTILES.index(0.05), QUANTILES.index(0.5), QUANTILES.index(0.95)
_WORDS = (
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


def skill_view(rows: Sequence[Mapping[str, Any]], synthetic: bool) -> Group:
    """RMSE, CRPS and interval coverage of every model by lead, pooled over harvest years.

    One row per lead and one column per model, which fits on 80 columns.

    Args:
        rows: scores of a backtest, one crop.
        synthetic: whether the data are synthetic; the title then says so.
    """
    crop = str(rows[0]["crop"])
    pooled = skill.pool_by_lead(rows, crop)
    models = sorted({row["model"] for row in pooled}, key=lambda model: (model != FORECAST_MODEL, model))
    leads = sorted({row["lead_months"] for row in pooled}, reverse=True)
    years = sorted({int(row["harvest_year"]) for row in rows})
    title = f"{crop}, harvest years {years[0]}-{years[-1]}{_mark(rows, synthetic)}: "
    found = {(row["model"], row["lead_months"]): row for row in pooled}
    parts: list[Any] = []
    names = {"rmse_kg_ha": "RMSE kg/ha", "crps_kg_ha": "CRPS kg/ha (absolute error of baselines)"}
    for score, name in names.items():
        table = _by_lead(title + name, models)
        for lead in leads:
            table.add_row(str(lead), *_scores([found.get((model, lead)) for model in models], score))
        parts += [table, Text(_sentence(skill.winning_leads(pooled, score)) + "\n")]
    parts.append(Text(_own_line_sentence(skill.beside_own_line(pooled)) + "\n"))
    spread = [model for model in (FORECAST_MODEL, CLIMATOLOGY) if model in models]
    heads = [head for model in spread for head in (model, "worst year")]
    table = _by_lead(title + "coverage of the 90 % interval", heads)
    for lead in leads:
        ours = [found.get((model, lead)) for model in spread]
        table.add_row(str(lead), *(cell for row in ours for cell in _coverage(row)))
    return Group(*parts, table, Text(_WORDS + "\n", style="dim"))


def _mark(rows: Sequence[Mapping[str, Any]], synthetic: bool) -> str:
    """What a title must say of the data and of the protocol."""
    left_out = any(skill.protocol_of(row) != "forward" for row in rows)
    return (", synthetic data" if synthetic else "") + (", leave-year-out" if left_out else "")


def _own_line_sentence(beside: skill.BesideOwnLine) -> str:
    """Whether the forecast is worse than its own baseline; nothing without that baseline."""
    if not beside.compared:
        return ""
    if not beside.worse:
        return f"RMSE: the forecast is nowhere worse than its own level_trend ({len(beside.compared)} leads)."
    leads = ", ".join(map(str, beside.worse))
    return (
        f"RMSE: the forecast is worse than its own level_trend at {leads} months "
        f"(at most {beside.most_pct:.1f} %)."
    )


def _by_lead(title: str, heads: Sequence[str]) -> Table:
    table = Table(
        title=Text(title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for head in ("lead", *heads):
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


def _coverage(row: Mapping[str, Any] | None) -> tuple[str, str]:
    """Interval coverage at one lead, and in the worst year; "-" for a model without intervals."""
    if row is None or row["coverage90"] is None:
        return "-", "-"
    return f"{100 * row['coverage90']:.0f} %", f"{100 * row['worst_coverage90']:.0f} % ({row['worst_year']})"


def _sentence(leads: skill.WinningLeads) -> str:
    name = leads.score.split("_", maxsplit=1)[0].upper()
    # CRPS compares only with baselines that have intervals, see `skill.longest_winning_lead`
    baseline = "best baseline" + (" that has intervals" if leads.score == "crps_kg_ha" else "")
    if leads.from_lead is None:
        some = f" It does at {', '.join(map(str, leads.won))} months." if leads.won else ""
        return f"{name}: the forecast does not beat the {baseline} at the shortest lead.{some}"
    return f"{name}: the forecast beats the {baseline} at all leads up to {leads.from_lead} months."


def states_view(rows: Sequence[Mapping[str, Any]], synthetic: bool) -> Table:
    """For each state: up to which lead the forecast beats the best baseline by RMSE.

    Args:
        rows: scores of a backtest by state.
        synthetic: whether the data are synthetic; the title then says so.
    """
    title = f"by state{_mark(rows, synthetic)}: "
    title += "RMSE kg/ha at the longest and the shortest lead, forecast / best baseline"
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for head in ("state", "rows", "longest", "shortest", "better up to lead (months)"):
        table.add_column(head, justify="left" if head == "state" else "right")
    for state in skill.skill_by_state(rows):
        ends = (f"{ours:.0f} / {best:.0f}" for ours, best in (state.longest, state.shortest))
        lead = state.leads.from_lead
        table.add_row(state.state, str(state.rows), *ends, "-" if lead is None else str(lead))
    return table
