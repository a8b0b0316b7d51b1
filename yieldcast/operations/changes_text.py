"""A comparison of two bulletins as a few sentences, in English or Portuguese."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from yieldcast.operations.changes import AggregateChange, Comparison, MunicipalityChange, NewData
from yieldcast.operations.changes_parts import PartChanges
from yieldcast.reporting import labels
from yieldcast.reporting.labels import Lang

_TABLES = {"weather": "meteorologia", "yields": "rendimentos", "places": "municípios"}
_TEXTS: dict[Lang, dict[str, str]] = {
    "en": {
        "before": "Compared with the bulletin as of {date}.",
        "new": "New data: {what}.",
        "nothing": "No new data in between.",
        "weather": "weather of {months} ({inside} of {count} months in the season)",
        "yields": "yields of {years}",
        "estimates": "official estimates of {months}",
        "run": "another trained run",
        "scenarios": "other scenarios: {1}, before {0}",
        "revised": "revised {what}",
        "country": "Country: median {median} kg/ha ({change}; {percent}), 90 % interval {width} kg/ha wide "
        "({width_change}), {share} of the season observed.",
        "parts": "What moved the median of the country, kg/ha: {what}.",
        "no_part": "no part by 0.5 or more",
        "count": "Municipalities: {up} up, {down} down, {same} unchanged.",
        "states": "States, kg/ha: {what}.",
        "up": "Raised the total most:",
        "down": "Lowered the total most:",
        "municipality": "{name} ({state}) {change} to {median} kg/ha{why}",
        "rain": "rain so far {now} of normal",
        "tmax": "maximum temperature {now} °C from normal",
        "was": " (before {before})",
        "to": "to",
    },
    "pt": {
        "before": "Em comparação com o boletim de {date}.",
        "new": "Dados novos: {what}.",
        "nothing": "Nenhum dado novo entre os dois.",
        "weather": "meteorologia de {months} ({inside} de {count} meses dentro da safra)",
        "yields": "rendimentos de {years}",
        "estimates": "estimativas oficiais de {months}",
        "run": "outro modelo treinado",
        "scenarios": "outros cenários: {1}, antes {0}",
        "revised": "dados revisados: {what}",
        "country": "País: mediana {median} kg/ha ({change}; {percent}), amplitude do intervalo de 90 %: "
        "{width} kg/ha ({width_change}), {share} da safra observada.",
        "parts": "O que mudou a mediana do país, em kg/ha: {what}.",
        "no_part": "nenhum componente em 0,5 ou mais",
        "count": "Municípios: {up} em alta, {down} em baixa, {same} sem mudança.",
        "states": "UF, kg/ha: {what}.",
        "up": "Maiores contribuições de alta:",
        "down": "Maiores contribuições de baixa:",
        "municipality": "{name} ({state}) {change}, agora {median} kg/ha{why}",
        "rain": "chuva até agora {now} da média histórica",
        "tmax": "temperatura máxima {now} °C em relação à média histórica",
        "was": " (antes {before})",
        "to": "a",
    },
}


def summary(comparison: Comparison, lang: Lang = "en") -> str:
    """What changed, where, and the weather of the season so far, in a few lines.

    Args:
        comparison: result of `changes.compare`.
        lang: language of the text.

    Raises:
        ConfigError: an unknown language.
    """
    texts = _Texts(lang)
    country, *states = comparison.aggregates
    about = {
        "crop": comparison.crop, "harvest_year": comparison.harvest_year, "as_of": comparison.now,
        "synthetic": comparison.synthetic,
    }  # fmt: skip
    lines = [
        f"{labels.title(about, lang)}.",
        texts("before", date=texts.date(comparison.before)),
        texts.new_data(comparison.new_data),
        texts.country(country),
        *([texts.parts(comparison.parts.of_aggregate(country.name))] if comparison.parts else []),
        texts.count(comparison.municipalities["median_change_kg_ha"].values.tolist()),
    ]
    if len(states) > 1:
        lines.append(texts("states", what=texts.states(states)))
    for direction, key in ((1, "up"), (-1, "down")):
        if changes := comparison.largest_changes(direction):
            lines += [
                texts(key),
                *(f"  {texts.municipality(change, comparison.parts)}" for change in changes),
            ]
    return "\n".join(lines)


class _Texts:
    """The sentences of one language, with its numbers and dates."""

    def __init__(self, lang: Lang) -> None:
        self.lang = lang
        labels.check(lang)
        self.texts = _TEXTS[lang]

    def __call__(self, key: str, *values: object, **named: object) -> str:
        return self.texts[key].format(*values, **named)

    def number(self, value: float, digits: int = 0, signed: bool = False) -> str:
        text = labels.number(value, digits, self.lang)
        return f"+{text}" if signed and round(value, digits) > 0 else text

    def percent(self, value: float | None, digits: int = 0, signed: bool = False) -> str:
        return "–" if value is None else f"{self.number(value, digits, signed)} %"

    def date(self, iso: str) -> str:
        return labels.date(dt.date.fromisoformat(iso), self.lang)

    def span(self, items: Sequence[str]) -> str:
        return items[0] if len(items) == 1 else f"{items[0]} {self('to')} {items[-1]}"

    def new_data(self, new: NewData) -> str:
        parts = []
        if new.weather:
            months = [labels.month(iso, self.lang) for iso in new.weather]
            inside = sum(share > 0 for share in new.weather.values())
            parts.append(self("weather", months=self.span(months), inside=inside, count=len(months)))
        if new.yields:
            parts.append(self("yields", years=self.span([str(year) for year in new.yields])))
        if new.estimates:
            months = [labels.month(iso, self.lang) for iso in new.estimates]
            parts.append(self("estimates", months=self.span(months)))
        if new.run:
            parts.append(self("run"))
        if new.scenarios:
            parts.append(self("scenarios", *(labels.scenario(name, self.lang) for name in new.scenarios)))
        if new.revised:
            names = [_TABLES[table] if self.lang == "pt" else table for table in new.revised]
            parts.append(self("revised", what=", ".join(names)))
        return self("new", what="; ".join(parts)) if parts else self("nothing")

    def country(self, change: AggregateChange) -> str:
        return self(
            "country", median=self.number(change.median_kg_ha),
            change=self.number(change.change_kg_ha, signed=True),
            percent=self.percent(change.change_pct, 1, signed=True), width=self.number(change.width_kg_ha),
            width_change=self.number(change.width_change_kg_ha, signed=True),
            share=self.percent(100 * change.observed_share),
        )  # fmt: skip

    def count(self, changes: Sequence[float]) -> str:
        rounded = [round(change) for change in changes if change == change]  # without NaN
        up, down = sum(change > 0 for change in rounded), sum(change < 0 for change in rounded)
        numbers = {"up": up, "down": down, "same": len(rounded) - up - down}
        return self("count", **{key: self.number(number) for key, number in numbers.items()})

    def states(self, states: Sequence[AggregateChange]) -> str:
        """Change of every state; of more than ten, only the five highest and the five lowest."""
        order = sorted(states, key=lambda row: -row.change_kg_ha)
        shown = order if len(order) <= 10 else [*order[:5], *order[-5:]]
        return ", ".join(f"{row.name} {self.number(row.change_kg_ha, signed=True)}" for row in shown)

    def parts(self, changes: Sequence[tuple[str, float]]) -> str:
        return self("parts", what=", ".join(self.part_list(changes)) or self("no_part"))

    def part_list(self, changes: Sequence[tuple[str, float]]) -> list[str]:
        return [
            f"{labels.part(name, self.lang)} {self.number(value, signed=True)}" for name, value in changes
        ]

    def municipality(self, change: MunicipalityChange, parts: PartChanges | None) -> str:
        """One line; of the parts that moved the median the two largest."""
        moved = self.part_list(parts.of_municipality(change.code)[:2]) if parts else []
        why = moved + [
            self(key, now=shown[1]) + (self("was", before=shown[0]) if pair[0] is not None else "")
            for key, pair, shown in (
                ("rain", change.rain_pct, [self.percent(v) for v in change.rain_pct]),
                ("tmax", change.tmax_degC, [self.number(v or 0.0, 1, signed=True) for v in change.tmax_degC]),
            )
            if pair[1] is not None
        ]
        return self(
            "municipality", name=change.name, state=change.state,
            change=self.number(change.change_kg_ha, signed=True), median=self.number(change.median_kg_ha),
            why=f": {', '.join(why)}" if why else "",
        )  # fmt: skip
