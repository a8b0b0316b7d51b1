"""The page of the data: shares with bars and statistics of the inputs, from what `disclosure` gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from yieldcast.language import Language
from yieldcast.workspace.server import charts, wording


@dataclass(frozen=True)
class Share:
    """A line with a count: a class, a bin of yields, a harvest year.

    Args:
        name: as it is read.
        rows, share: as they are read; an empty `share` where the count is hidden.
        bar: as long as the share.
        rare: whether it is a rare class.
    """

    name: str
    rows: str
    share: str
    bar: Markup
    rare: bool = False


@dataclass(frozen=True)
class Statistic:
    """Mean, spread and quantiles of one input in one class, as they are read."""

    name: str
    mean: str
    sd: str
    quantiles: tuple[str, ...]
    spark: Markup


@dataclass(frozen=True)
class StatisticTable:
    """Statistics of one variable, one line for each class."""

    variable: str
    levels: tuple[str, ...]
    lines: tuple[Statistic, ...]
    with_steps: bool


def class_shares(classes: Sequence[Mapping[str, Any]], words: Language) -> tuple[Share, ...]:
    """Lines of the classes in their order; a hidden count is said to be hidden."""
    largest = max((one["share"] or 0.0 for one in classes), default=1.0)
    return tuple(
        _share(str(one["name"]), one["rows"], one["share"], largest, words, bool(one["rare"]))
        for one in classes
    )


def yield_shares(bins: Sequence[Mapping[str, Any]], words: Language) -> tuple[Share, ...]:
    """Lines of bins of yields."""
    total = sum(one["rows"] for one in bins)
    largest = max((one["rows"] / total for one in bins), default=1.0)
    return tuple(
        _share(_bin_name(one, words), one["rows"], one["rows"] / total, largest, words) for one in bins
    )


def year_shares(years: Sequence[Mapping[str, Any]], words: Language) -> tuple[Share, ...]:
    """Lines of harvest years."""
    total = sum(one["rows"] or 0 for one in years) or 1
    shares = [None if one["rows"] is None else one["rows"] / total for one in years]
    largest = max((share or 0.0 for share in shares), default=1.0)
    return tuple(
        _share(str(one["year"]), one["rows"], share, largest, words)
        for one, share in zip(years, shares, strict=True)
    )


def _share(
    name: str, rows: int | None, share: float | None, largest: float, words: Language, rare: bool = False
) -> Share:
    if rows is None or share is None:
        return Share(name, words.gettext("not shown"), "", Markup(""), rare)
    return Share(name, words.number(rows), words.percent(share, 1), charts.share_bar(share, largest), rare)


def _bin_name(one: Mapping[str, Any], words: Language) -> str:
    low, high = one["from_kg_ha"], one["below_kg_ha"]
    if low is None:
        return words.gettext("below {value} kg/ha", value=words.number(high or 0.0))
    if high is None:
        return words.gettext("{value} kg/ha and more", value=words.number(low))
    return words.gettext("{low} to {high} kg/ha", low=words.number(low), high=words.number(high))


def statistic_tables(statistics: Sequence[Mapping[str, Any]], words: Language) -> tuple[StatisticTable, ...]:
    """One table for each variable, as in the file, with a line for each class."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in statistics:
        found.setdefault(str(one["name"]), []).append(one)
    return tuple(_table(name, lines, words) for name, lines in found.items())


def _table(variable: str, lines: Sequence[Mapping[str, Any]], words: Language) -> StatisticTable:
    levels = sorted({level for one in lines for level in one["quantiles"]}, key=float)
    steps = [value for one in lines for value in one.get("steps", ())]
    axis = (min(steps), max(steps)) if steps else (0.0, 1.0)
    return StatisticTable(
        variable,
        tuple(words.percent(float(level)) for level in levels),
        tuple(_statistic(one, levels, axis, words) for one in lines),
        bool(steps),
    )


def _statistic(
    one: Mapping[str, Any], levels: Sequence[str], axis: tuple[float, float], words: Language
) -> Statistic:
    quantiles = one["quantiles"]
    return Statistic(
        words.gettext("all rows") if one["class"] is None else str(one["class"]),
        wording.three_digits(one["mean"], words),
        wording.three_digits(one["sd"], words),
        tuple(
            wording.three_digits(quantiles[level], words) if level in quantiles else "–" for level in levels
        ),
        charts.spark(one["steps"], axis) if one.get("steps") else Markup(""),
    )
