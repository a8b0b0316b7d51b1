"""One plain sentence: is the difference real?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from yieldcast.comparison.bootstrap import Difference
from yieldcast.comparison.paired import MACRO_F1, Metric
from yieldcast.comparison.power import LEVEL, MOST_YEARS, POWER, years_needed
from yieldcast.language import Language, message

Outcome = Literal["identical", "one_year", "no_winner", "winner"]
METRIC_NAMES = {
    "rmse_kg_ha": "RMSE", "mae_kg_ha": message("mean absolute error"), "crps_kg_ha": "CRPS",
    "macro_f1": "macro-F1",
}  # fmt: skip
BLOCK_NAMES = {"year": message("harvest years"), "region": message("regions")}


@dataclass(frozen=True)
class Verdict:
    """What a comparison says.

    Args:
        outcome: only "winner" names one.
        metric: that decides.
        rows: that it rests on.
        better, other: names of the models; `better` has the better score, whether it wins or not.
        gain: by how much its score is better, 0 or more.
        low, high: 95 % interval of the gain; None with one block.
        by: blocks of the interval, "year" or "region"; `blocks` is their number.
        years: number of harvest years.
        years_needed: harvest years that a gain of this size would need; None where it cannot be told or is
            more than `MOST_YEARS`.
        spread_from: the blocks whose spread `years_needed` rests on, "year" or "region"; "" for none.
    """

    outcome: Outcome
    metric: str
    rows: int
    better: str
    other: str
    gain: float
    low: float | None
    high: float | None
    by: str
    blocks: int
    years: int
    years_needed: int | None
    spread_from: str


def verdict(
    names: tuple[str, str], metric: Metric, differences: Mapping[str, Difference], by: str, identical: bool
) -> Verdict:
    """Judge one metric. A winner needs two harvest years or more, and an interval that leaves out 0.

    Args:
        names: of A and B, for readers.
        metric: that decides.
        differences: "year" and, where the states are known, "region" -> difference with its intervals.
        by: blocks of the interval that decides.
        identical: whether both say the same in every row.
    """
    year, deciding = differences["year"], differences[by]
    a_is_better = (year.difference < 0) == metric.lower_is_better
    sign = 1.0 if year.difference > 0 else -1.0
    ends = sorted(sign * end for end in (deciding.low, deciding.high) if end is not None)
    low, high = ends if ends else (None, None)
    spread_from = next((name for name, one in differences.items() if one.spread is not None), "")
    spread = differences[spread_from].spread if spread_from else None
    outcome: Outcome = "winner" if deciding.excludes_zero else "no_winner"
    if year.blocks < 2:
        outcome = "one_year"
    if identical:
        outcome = "identical"
    return Verdict(
        outcome, metric.name, len(metric.rows), *(names if a_is_better else names[::-1]),
        gain=abs(year.difference), low=low, high=high, by=by, blocks=deciding.blocks, years=year.blocks,
        years_needed=None if spread is None else years_needed(year.difference, spread),
        spread_from=spread_from,
    )  # fmt: skip


def verdict_text(found: Verdict, words: Language) -> str:
    """The sentence, in a language."""
    about = {
        "a": found.better, "b": found.other, "metric": words.gettext(METRIC_NAMES[found.metric]),
        "gain": _amount(found.gain, found.metric, words), "rows": words.number(found.rows),
    }  # fmt: skip
    if found.outcome == "identical":
        return words.gettext(
            "{a} and {b} say the same in all {rows} rows: there is no difference to judge.", **about
        )
    needed = years_text(found, words)
    if found.outcome == "one_year":
        return words.gettext(
            "No winner: {a} has the better {metric} than {b}, by {gain}, but in one harvest year only, and "
            "one year says nothing of others; {needed}.",
            **about, needed=needed,
        )  # fmt: skip
    ends = [_amount(float(end), found.metric, words) for end in (found.low, found.high) if end is not None]
    about |= {"low": ends[0], "high": ends[1], "blocks": words.number(found.blocks)}
    about["kind"] = words.gettext(BLOCK_NAMES[found.by])
    if found.outcome == "no_winner":
        return words.gettext(
            "No winner: {a} has the better {metric} than {b}, by {gain}, but the 95% interval over {blocks} "
            "{kind}, {low} to {high}, holds 0; {needed}.",
            **about, needed=needed,
        )  # fmt: skip
    return words.gettext(
        "{a} is better than {b}: its {metric} is better by {gain} (95% interval over {blocks} {kind}: {low} "
        "to {high}); {needed}.",
        **about, needed=needed,
    )  # fmt: skip


def years_text(found: Verdict, words: Language) -> str:
    """How many years the gain would need, part of a sentence."""
    about = {"level": words.number(100 * LEVEL), "power": words.number(100 * POWER)}
    if not found.spread_from:
        return words.gettext("how many years it would need cannot be told from one year of one region")
    if found.years_needed is None:
        return words.gettext(
            "a difference of this size would need more than {years} harvest years (level {level}%, power "
            "{power}%)",
            years=words.number(MOST_YEARS), **about,
        )  # fmt: skip
    about["years"] = words.number(found.years_needed)
    if found.spread_from == "region":
        return words.gettext(
            "a difference of this size would need about {years} harvest years (level {level}%, power "
            "{power}%) if it varied between years as it does between regions",
            **about,
        )
    return words.gettext(
        "a difference of this size needs about {years} harvest years (level {level}%, power {power}%)",
        **about,
    )


def _amount(value: float, metric: str, words: Language) -> str:
    return words.number(value, 3) if metric == MACRO_F1 else f"{words.number(value, 1)} kg/ha"
