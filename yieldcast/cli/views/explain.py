"""An explanation as a table of variables and months, for a terminal of 80 columns."""

from __future__ import annotations

import datetime as dt

from rich.console import Group, RenderableType
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.scores import crop_name, scores_table
from yieldcast.language import Language, message
from yieldcast.operations.explanation import Explained
from yieldcast.reporting.weather_words import LEAST_KG_HA, NOT_SPLIT, sentence_of, variable

COLUMNS = 6  # months beside each other on 80 columns


def explain_view(found: Explained, lang: str = "en") -> Group:
    """What each variable of each month adds, what is not split, and the sum.

    Args:
        found: of `yieldcast.operations.explanation.explain_bulletin`.
        lang: language.
    """
    words = language.of(lang)
    one, about = found.explanation, found.about
    text = message("{name} ({state}), {crop} {year} as of {date}: what the weather adds, kg/ha")
    if about["synthetic"]:
        text = message(
            "{name} ({state}), {crop} {year} as of {date}: what the weather adds, kg/ha (synthetic data)"
        )
    title = words.gettext(
        text, name=about["name"], state=about["state"], crop=crop_name(about["crop"], words),
        year=about["harvest_year"], date=dt.date.fromisoformat(about["as_of"]),
    )  # fmt: skip
    parts: list[RenderableType] = [*_months(found, title, words), _sum(found, words)]
    parts.append(Text(sentence_of(one, about["name"], lang), style="bold"))
    return Group(*parts)


def _months(found: Explained, title: str, words: Language) -> list[RenderableType]:
    """Tables of variables and months that move the forecast; the last column is the sum of all months."""
    values = found.explanation.by_variable_and_month()
    months = sorted({month for (_, month), value in values.items() if abs(value) >= LEAST_KG_HA})
    names = list(dict.fromkeys(name for name, _ in values))
    sums = {name: sum(value for (one, _), value in values.items() if one == name) for name in names}
    shown = [name for name in names if any(abs(values.get((name, m), 0.0)) >= LEAST_KG_HA for m in months)]
    parts: list[RenderableType] = []
    for first in range(0, max(len(months), 1), COLUMNS):
        chosen = months[first : first + COLUMNS]
        last = first + COLUMNS >= len(months)
        heads = [words.short_month(month) for month in chosen] + ([words.gettext("sum")] if last else [])
        table = scores_table("" if first else title, words.gettext("variable"), *heads)
        for name in shown:
            cells = [words.number(values.get((name, month), 0.0), signed=True) for month in chosen]
            table.add_row(
                variable(name, words), *cells, *([words.number(sums[name], signed=True)] if last else [])
            )
        parts += [table, Text("")]
    return parts


def _sum(found: Explained, words: Language) -> RenderableType:
    one = found.explanation
    table = scores_table("", words.gettext("from usual weather to the forecast"), "kg/ha")
    table.add_row(words.gettext("forecast with usual weather so far"), words.number(one.usual_kg_ha))
    split = sum(one.by_variable_and_month().values())
    table.add_row(words.gettext("weather of the months above"), words.number(split, signed=True))
    for part, value in one.not_split().items():
        table.add_row(words.gettext(NOT_SPLIT[part]), words.number(value, signed=True))
    table.add_section()
    table.add_row(words.gettext("forecast"), words.number(one.forecast_kg_ha))
    if one.network is not None and found.about["statistic"] == "median":
        text = words.gettext(
            "network alone, against usual weather (share in the forecast: {share})",
            share=words.percent(one.network_share),
        )
        table.add_row(text, words.number(one.network.difference, signed=True))
    return table
