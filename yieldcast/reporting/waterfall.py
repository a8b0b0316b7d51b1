"""A waterfall of one median: from the level of recent years, part by part, to the forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from yieldcast import language
from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.forecasting.parts import aggregate_parts, municipal_parts
from yieldcast.forecasting.table import QUANTILES, check_forecast
from yieldcast.language import Language
from yieldcast.reporting import labels
from yieldcast.reporting.figures import new_figure, put_footer, put_title
from yieldcast.reporting.tables import parts_in_digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours of Okabe and Ito (2008); the signs of the numbers say the same.
_TOTAL, _RISE, _FALL = "0.25", "#0072B2", "#D55E00"
_P50 = QUANTILES.index(0.50)


def position(forecast: xr.Dataset, municipality: int | str) -> int:
    """Row of a municipality.

    Args:
        forecast: a checked table.
        municipality: its code, or its name where only one municipality of the forecast has it.

    Raises:
        ConfigError: no such municipality in the forecast, or several of this name.
    """
    wanted = str(municipality)
    codes, numbers = forecast["code"].values.astype(str), forecast["municipality"].values.astype(str)
    found = np.flatnonzero((codes == wanted) | (numbers == wanted))
    if not found.size:
        found = np.flatnonzero(forecast["name"].values.astype(str) == wanted)
    if found.size != 1:
        several = [f"{codes[k]} ({forecast['state'].values[k]})" for k in found[:5]]
        raise ConfigError(
            f"expected a municipality of the forecast, received {wanted!r}"
            + (f", the name of {', '.join(several)}" if several else ""),
            "Give its code; forecast['code'] and forecast['name'] list all.",
        )
    return int(found[0])


def waterfall(forecast: xr.Dataset, place: int | str = "all", lang: str = "en") -> Figure:
    """What a median is made of: the level of recent years, and what each part adds to it, in kg/ha.

    Each bar begins where the one above ends; the axis does not begin at 0. Parts of 0 kg/ha are left out.

    Args:
        forecast: of `yieldcast.forecast`, by the method "posterior".
        place: "all" (the country), a state, or a municipality as in `yieldcast.plot.place`.
        lang: language.

    Raises:
        ConfigError: no such place, another language, or matplotlib is not installed.
        MissingDataError: the forecast has no parts.
        SchemaError: a table that is not a forecast.
    """
    words = language.of(lang)
    name, names, values, median = _parts(check_forecast(forecast), place, lang)
    figure = new_figure((7.2, 0.9 + 0.45 * (len(names) + 1)))
    axes = figure.add_subplot()
    _draw(axes, values, median, words)
    heads = [*(labels.part(part, lang) for part in names), words.gettext("median of the forecast")]
    axes.set_yticks(range(len(heads)), [head[:1].upper() + head[1:] for head in heads])
    axes.set(xlabel="kg/ha")
    axes.xaxis.set_major_formatter(lambda number, _: words.number(number))
    put_title(figure, f"{name}\n{labels.title(labels.facts(forecast), lang)}")
    put_footer(figure, [str(forecast.attrs["attribution"])])
    return figure


def _parts(forecast: xr.Dataset, place: int | str, lang: str) -> tuple[str, list[str], list[float], float]:
    """Name of a place for readers, its parts, their whole kg/ha, and its median."""
    aggregates = forecast["aggregate"].values.astype(str).tolist()
    if str(place) in aggregates:
        row, parts = aggregates.index(str(place)), aggregate_parts(forecast)
        quantiles = forecast["aggregate_yield_kg_ha"].values
        name = labels.aggregate(str(place), lang, str(forecast.attrs["country"]))
    else:
        row, parts = position(forecast, place), municipal_parts(forecast)
        quantiles = forecast["yield_kg_ha"].values
        name = f"{forecast['name'].values[row]} ({forecast['state'].values[row]})"
    if not parts.sizes["part"]:
        raise MissingDataError(
            "the forecast has no parts: it was made by the network alone",
            'Train a run with [forecast] method = "posterior" in its config file.',
        )
    whole = parts_in_digits(parts, quantiles[:, _P50], 0)[:, row]
    kept = {
        str(part): float(value)
        for k, (part, value) in enumerate(zip(whole["part"].values, whole.values, strict=True))
        if value or not k
    }
    return name, list(kept), list(kept.values()), float(np.round(quantiles[row, _P50]))


def _draw(axes: Axes, values: list[float], median: float, words: Language) -> None:
    """Bars from top to bottom: a mark for the level, a bar for every other part, a mark for the median."""
    ends = np.cumsum(values)
    low, high = min(ends.min(), median), max(ends.max(), median)
    room = max(0.12 * (high - low), 10.0)
    for row, (value, end) in enumerate(zip(values, ends, strict=True)):
        if row:
            axes.barh(row, value, 0.6, end - value, color=_RISE if value > 0 else _FALL)
        axes.vlines(end, row + 0.3 * (row > 0), row + 1, color="0.6", linewidth=0.8)
        text = words.number(value, signed=row > 0)
        beside = max(end, end - value) if row else end
        axes.annotate(text, (beside, row), (4, 0), va="center",
                      textcoords="offset points", fontsize=9)  # fmt: skip
    for row, at in ((0, ends[0]), (len(values), median)):
        axes.vlines(at, row - 0.3, row + 0.3, color=_TOTAL, linewidth=3)
    axes.annotate(words.number(median), (median, len(values)), (4, 0), va="center",
                  textcoords="offset points", fontsize=9, fontweight="bold")  # fmt: skip
    axes.set(xlim=(low - room, high + 1.5 * room), ylim=(len(values) + 0.5, -0.5))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
