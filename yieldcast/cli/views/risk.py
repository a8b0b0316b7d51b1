"""The risk of a season as a short table for a terminal."""

from __future__ import annotations

import numpy as np
import xarray as xr
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast import language
from yieldcast.reporting import labels, risk_tables
from yieldcast.risk.forecast import Risk

_SHOWN = 10  # places with the largest P(low)


def risk_view(risk: Risk, forecast: xr.Dataset, lang: str) -> Group:
    """Flags by state, the places most at risk, and what the classes and costs are.

    Args:
        risk: of the municipalities of the forecast.
        forecast: a checked table.
        lang: language.
    """
    words = language.of(lang)
    heading = Text(risk_tables.title(risk, forecast, lang), style="bold")
    facts = [f"{name}: {text}" for name, text in risk_tables.facts(risk, lang).items()]
    if not np.isfinite(risk.p_low).any():
        facts.append(words.gettext("No place has a probability: too few public yields, or no features."))
    return Group(heading, _areas(risk, forecast, lang), _places(risk, forecast, lang), *map(Text, facts))


def _areas(risk: Risk, forecast: xr.Dataset, lang: str) -> Table:
    words, areas = language.of(lang), risk_tables.area_table(risk, forecast)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(words.gettext("Flags by state"))
    for head in (
        words.gettext("places"), words.gettext("flagged"), words.gettext("mean p_low"),
        words.gettext("flagged ha"), words.gettext("expected cost"),
    ):  # fmt: skip
        table.add_column(head, justify="right")
    country = str(forecast.attrs["country"])
    for k, name in enumerate(areas["aggregate"].tolist()):
        table.add_row(
            labels.aggregate(name, lang, country), words.number(int(areas["municipalities"][k])),
            words.number(int(areas["places_flagged"][k])), _share(areas["mean_p_low"][k], lang),
            words.number(areas["area_flagged_ha"][k]), words.number(areas["expected_cost"][k], 1),
        )  # fmt: skip
    return table


def _places(risk: Risk, forecast: xr.Dataset, lang: str) -> Table:
    words, places = language.of(lang), risk_tables.place_table(risk, forecast)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(words.gettext("Most at risk"))
    table.add_column(words.gettext("state"))
    for head in ("p_low", words.gettext("class"), words.gettext("flag"), words.gettext("median kg/ha")):
        table.add_column(words.gettext(head), justify="right")
    order = np.argsort(-np.nan_to_num(places["p_low"], nan=-1.0), kind="stable")[:_SHOWN]
    for k in order.tolist():
        table.add_row(
            places["name"][k], places["state"][k], _share(places["p_low"][k], lang),
            words.gettext(risk_tables.CLASS_NAMES[places["class"][k]]),
            words.gettext("yes") if places["flag"][k] else words.gettext("no"),
            words.number(places["yield_p50_kg_ha"][k]),
        )  # fmt: skip
    return table


def _share(value: float, lang: str) -> str:
    return "–" if np.isnan(value) else language.of(lang).number(float(value), 2)
