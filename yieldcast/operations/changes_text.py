"""A comparison of two bulletins as a few sentences, in the language of the reader."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from yieldcast import language
from yieldcast.language import message
from yieldcast.operations.changes import AggregateChange, Comparison, MunicipalityChange, NewData
from yieldcast.operations.changes_parts import PartChanges, SHOWN_kg_ha
from yieldcast.reporting import labels

_TABLES = {"weather": message("weather"), "yields": message("yields"), "places": message("places")}


def summary(comparison: Comparison, lang: str = "en") -> str:
    """What changed, where, and the weather of the season so far, in a few lines.

    Args:
        comparison: result of `changes.compare`.
        lang: language of the text.

    Raises:
        ConfigError: an unknown language.
    """
    texts, words = _Texts(lang), language.of(lang)
    country, *states = comparison.aggregates
    about = {
        "crop": comparison.crop, "harvest_year": comparison.harvest_year, "as_of": comparison.now,
        "synthetic": comparison.synthetic, "season": comparison.season,
    }  # fmt: skip
    before = words.date(dt.date.fromisoformat(comparison.before))
    lines = [
        f"{labels.title(about, lang)}.",
        words.gettext("Compared with the bulletin as of {date}.", date=before),
        texts.new_data(comparison.new_data),
        texts.country(country, comparison.country),
        *([texts.parts(comparison.parts.of_aggregate(country.name))] if comparison.parts else []),
        texts.count(comparison.municipalities["median_change_kg_ha"].values.tolist()),
    ]
    if len(states) > 1:
        lines.append(words.gettext("States, kg/ha: {what}.", what=texts.states(states)))
    heads = {1: words.gettext("Raised the total most:"), -1: words.gettext("Lowered the total most:")}
    for direction, head in heads.items():
        if changes := comparison.largest_changes(direction):
            lines += [head, *(f"  {texts.municipality(change, comparison.parts)}" for change in changes)]
    return "\n".join(lines)


class _Texts:
    """The sentences of one language."""

    def __init__(self, lang: str) -> None:
        self.lang, self.words = lang, language.of(lang)

    def signed(self, value: float) -> str:
        return self.words.number(value, signed=True)

    def share(self, percent: float | None, digits: int = 0, signed: bool = False) -> str:
        return "–" if percent is None else self.words.percent(percent / 100, digits, signed=signed)

    def new_data(self, new: NewData) -> str:
        words, parts = self.words, []
        if new.weather:
            parts.append(self.weather(list(new.weather), [share > 0 for share in new.weather.values()]))
        if new.yields:
            years = labels.years_in_words(new.yields, self.lang)
            parts.append(words.gettext("yields of {years}", years=years))
        if new.estimates:
            months = words.months(new.estimates[0], new.estimates[-1])
            parts.append(words.gettext("official estimates of {months}", months=months))
        if new.run:
            parts.append(words.gettext("another trained run"))
        if new.scenarios:
            before, now = (labels.scenario(name, self.lang) for name in new.scenarios)
            parts.append(words.gettext("other scenarios: {now}, before {before}", now=now, before=before))
        if new.revised:
            tables = ", ".join(words.gettext(_TABLES[table]) for table in new.revised)
            parts.append(words.gettext("revised {what}", what=tables))
        if not parts:
            return words.gettext("No new data in between.")
        return words.gettext("New data: {what}.", what="; ".join(parts))

    def weather(self, months: list[str], inside: list[bool]) -> str:
        words, count = self.words, len(months)
        span = words.months(months[0], months[-1])
        if all(inside):
            return words.ngettext(
                "weather of {months} ({n} month, in the season)",
                "weather of {months} ({n} months, all in the season)",
                count, months=span,
            )  # fmt: skip
        return words.ngettext(
            "weather of {months} ({n} month, not in the season)",
            "weather of {months} ({inside} of {n} months in the season)",
            count, months=span, inside=sum(inside),
        )  # fmt: skip

    def country(self, change: AggregateChange, country: str) -> str:
        words = self.words
        return words.gettext(
            "{country}: median {median} kg/ha ({change}; {percent}), {level} interval {width} kg/ha wide "
            "({width_change}), {share} of the season observed.",
            country=labels.aggregate(change.name, self.lang, country),
            median=words.number(change.median_kg_ha), change=self.signed(change.change_kg_ha),
            percent=self.share(change.change_pct, 1, signed=True), level=words.percent(0.9),
            width=words.number(change.width_kg_ha), width_change=self.signed(change.width_change_kg_ha),
            share=words.percent(change.observed_share),
        )  # fmt: skip

    def count(self, changes: Sequence[float]) -> str:
        rounded = [round(change) for change in changes if change == change]  # without NaN
        up, down = sum(change > 0 for change in rounded), sum(change < 0 for change in rounded)
        numbers = {"up": up, "down": down, "same": len(rounded) - up - down}
        return self.words.gettext(
            "Municipalities: {up} up, {down} down, {same} unchanged.",
            **{key: self.words.number(number) for key, number in numbers.items()},
        )

    def states(self, states: Sequence[AggregateChange]) -> str:
        """Change of every state; of more than ten, only the five highest and the five lowest."""
        order = sorted(states, key=lambda row: -row.change_kg_ha)
        shown = order if len(order) <= 10 else [*order[:5], *order[-5:]]
        return ", ".join(f"{row.name} {self.signed(row.change_kg_ha)}" for row in shown)

    def parts(self, changes: Sequence[tuple[str, float]]) -> str:
        words = self.words
        none = words.gettext("no part by {limit} or more", limit=words.number(SHOWN_kg_ha, 1))
        what = ", ".join(self.part_list(changes)) or none
        return words.gettext("What moved the median of the country, kg/ha: {what}.", what=what)

    def part_list(self, changes: Sequence[tuple[str, float]]) -> list[str]:
        return [f"{labels.part(name, self.lang)} {self.signed(value)}" for name, value in changes]

    def municipality(self, change: MunicipalityChange, parts: PartChanges | None) -> str:
        """One line; of the parts that moved the median the two largest."""
        why = self.part_list(parts.of_municipality(change.code)[:2]) if parts else []
        why += [text for text in (self.rain(*change.rain_pct), self.tmax(*change.tmax_degC)) if text]
        return self.words.gettext(
            "{name} ({state}) {change} to {median} kg/ha",
            name=change.name, state=change.state, change=self.signed(change.change_kg_ha),
            median=self.words.number(change.median_kg_ha),
        ) + (f": {', '.join(why)}" if why else "")  # fmt: skip

    def rain(self, before: float | None, now: float | None) -> str:
        if now is None:
            return ""
        text = self.words.gettext("rain so far {now} of normal", now=self.share(now))
        return text + self.was(None if before is None else self.share(before))

    def tmax(self, before: float | None, now: float | None) -> str:
        if now is None:
            return ""
        shown = self.words.number(now, 1, signed=True)
        text = self.words.gettext("maximum temperature {now} °C from normal", now=shown)
        return text + self.was(None if before is None else self.words.number(before, 1, signed=True))

    def was(self, before: str | None) -> str:
        if before is None:
            return ""
        text = self.words.gettext("before {before}", before=before)
        return f" ({text})"
