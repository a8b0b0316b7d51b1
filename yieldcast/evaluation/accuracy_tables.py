"""Tables of the rows of accuracy.json: by date, year, level and ingredient, for a terminal or a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from yieldcast.evaluation.skill import FORECAST_MODEL, LEVEL_TREND
from yieldcast.language import message, sentence

Rows = Sequence[Mapping[str, Any]]
PROTOCOL_TEXTS = {
    "forward": sentence("forward"),
    "leave_year_out": sentence("leave-year-out (later years teach it too)"),
}


@dataclass(frozen=True)
class ScoreTable:
    """A table of English texts, see `yieldcast.language.Language.said`.

    Args:
        title: what it shows, with its unit.
        heads: of the columns; the first one is of the names of the lines.
        lines: cells of each line.
    """

    title: str
    heads: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def tables(rows: Rows, name: Callable[[str], str] = str) -> list[ScoreTable]:
    """All tables of the rows, crop by crop and protocol by protocol.

    Args:
        rows: with the keys `accuracy.KEYS`.
        name: gives the name of a crop.
    """
    found = []
    for crop, protocol in dict.fromkeys((row["crop"], row["protocol"]) for row in rows):
        mine = [row for row in rows if (row["crop"], row["protocol"]) == (crop, protocol)]
        found += _tables(
            mine, sentence("{crop}, {protocol}", crop=name(crop), protocol=PROTOCOL_TEXTS[protocol])
        )
    return found


def _tables(rows: Rows, subject: str) -> list[ScoreTable]:
    """Tables of one crop and protocol."""
    years = sorted({int(row["harvest_year"]) for row in rows})
    mean = str(years[0])
    if len(years) > 1:
        mean = sentence("mean of {first}-{last}", first=years[0], last=years[-1])
    about = {"subject": subject, "mean": mean}
    found = [
        by_date(
            _level(rows, "municipality"), "rmse",
            sentence("{subject}, municipalities, RMSE kg/ha, {mean}", **about),
        ),
        by_date(
            _level(rows, "municipality"), "rmse_area_weighted",
            sentence("{subject}, municipalities, RMSE weighted by area, kg/ha, {mean}", **about),
        ),
        by_date(
            _level(rows, "state"), "rmse_area_weighted",
            sentence("{subject}, states, RMSE weighted by area, kg/ha, {mean}", **about),
        ),
        by_date(
            _level(rows, "country"), "rmse", sentence("{subject}, country, RMSE kg/ha, {mean}", **about)
        ),
    ]  # fmt: skip
    if len(years) > 1:
        title = sentence("{subject}, municipalities, RMSE kg/ha of the forecast", subject=subject)
        found.append(by_year(rows, FORECAST_MODEL, title))
        low = lowest_year(rows)
        if low is not None:
            alone = [row for row in _level(rows, "municipality") if row["harvest_year"] == low]
            title = sentence(
                "{subject}, municipalities, RMSE kg/ha, {year} alone: furthest below level and trend",
                subject=subject, year=low,
            )  # fmt: skip
            found.append(by_date(alone, "rmse", title))
    title = sentence("{subject}, municipalities, 90 % intervals of the forecast", subject=subject)
    return [*found, intervals(rows, title)]


def by_date(rows: Rows, score: str, title: str) -> ScoreTable:
    """Mean over the harvest years of a score: a line per model, a column per date.

    Args:
        rows: of one crop, protocol and level.
        score: one of `accuracy.KEYS`.
        title: of the table.
    """
    dates = _dates(rows)
    lines = []
    for model in dict.fromkeys(row["model"] for row in rows):
        found = [[r[score] for r in rows if r["model"] == model and _date(r) == date] for date in dates]
        lines.append((str(model), *(_number(_mean(values)) for values in found)))
    return ScoreTable(title, (message("model"), *(date[1] for date in dates)), tuple(lines))


def by_year(rows: Rows, model: str, title: str) -> ScoreTable:
    """RMSE of a model at municipal level: a line per harvest year and their mean, a column per date."""
    mine = [row for row in _level(rows, "municipality") if row["model"] == model]
    dates = _dates(mine)
    years = sorted({int(row["harvest_year"]) for row in mine})
    lines = []
    for name, chosen in [*((str(year), [year]) for year in years), (message("mean"), years)]:
        found = [
            [r["rmse"] for r in mine if r["harvest_year"] in chosen and _date(r) == date] for date in dates
        ]
        lines.append((name, *(_number(_mean(values)) for values in found)))
    return ScoreTable(title, (message("harvest year"), *(date[1] for date in dates)), tuple(lines))


def intervals(rows: Rows, title: str) -> ScoreTable:
    """Coverage of the forecast's 90 % interval by year and by third of scatter, mean width, share below the
    median: a line a date."""
    mine = [row for row in _level(rows, "municipality") if row["model"] == FORECAST_MODEL]
    lines = []
    for date in _dates(mine):
        own = [row for row in mine if _date(row) == date]
        covered = " / ".join(_number(_percent(row["coverage_90"])) for row in own)
        thirds = [row.get("coverage_90_by_scatter") for row in own]
        by_scatter = " / ".join(
            _number(_percent(_mean(third))) for third in zip(*filter(None, thirds), strict=True)
        )
        width, below = (_mean([row[key] for row in own]) for key in ("width_90", "below_median"))
        lines.append((date[1], covered, by_scatter or "-", _number(width), _number(_percent(below))))
    years = sorted({int(row["harvest_year"]) for row in mine})
    span = (
        sentence("{first} to {last}", first=years[0], last=years[-1])
        if len(years) > 1
        else "".join(map(str, years))
    )
    heads = (
        message("date"),
        sentence("covered, % ({span})", span=span),
        message("by third of scatter (low to high), %"),
        message("mean width, kg/ha"),
        message("below the median, %"),
    )
    return ScoreTable(title, heads, tuple(lines))


def lowest_year(rows: Rows) -> int | None:
    """The harvest year whose yields were furthest below level and trend: in most records a drought.

    By the mean bias of the baseline `level_trend` over the dates; None if no year was below it.
    """
    mine = [row for row in _level(rows, "municipality") if row["model"] == LEVEL_TREND]
    years = sorted({int(row["harvest_year"]) for row in mine})
    bias = {year: np.mean([row["bias"] for row in mine if row["harvest_year"] == year]) for year in years}
    year = max(bias, key=lambda one: bias[one], default=None)
    return year if year is not None and bias[year] > 0 else None


def _level(rows: Rows, level: str) -> Rows:
    return [row for row in rows if row["level"] == level]


def _date(row: Mapping[str, Any]) -> tuple[int, str]:
    """Years from the date to the harvest year, negative before it, and month and day as MM-DD."""
    return int(row["as_of"][:4]) - int(row["harvest_year"]), row["as_of"][5:]


def _dates(rows: Rows) -> list[tuple[int, str]]:
    return sorted({_date(row) for row in rows})


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
