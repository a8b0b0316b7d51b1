"""A comparison of two issues in a few plain lines, in English or Portuguese."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from yieldcast.operations.changes import AggregateChange, Comparison, MunicipalityChange, NewData
from yieldcast.reporting import labels
from yieldcast.reporting.labels import Lang

_TABLES = {"weather": "clima", "yields": "rendimentos", "places": "municípios"}
_TEXTS: dict[Lang, dict[str, str]] = {
    "en": {
        "before": "Compared with the issue as of {date}.",
        "arrived": "Arrived: {what}.",
        "nothing": "Nothing arrived in between.",
        "weather": "weather of {months} ({inside} of {count} months in the season)",
        "yields": "yields of {years}",
        "run": "another trained run",
        "scenarios": "other scenarios: {1}, before {0}",
        "revised": "revised {what}",
        "country": "Country: median {median} kg/ha ({change}; {percent}), 90 % interval {width} kg/ha wide "
        "({width_change}), {share} of the season observed.",
        "count": "Municipalities: {up} up, {down} down, {same} unchanged.",
        "states": "States, kg/ha: {what}.",
        "up": "Raised the total most:",
        "down": "Lowered the total most:",
        "mover": "{name} ({state}) {change} to {median} kg/ha{why}",
        "rain": "rain so far {now} of the usual",
        "tmax": "maximum temperature {now} °C against the usual",
        "was": " (before {before})",
        "to": "to",
    },
    "pt": {
        "before": "Comparada com a edição de {date}.",
        "arrived": "Novidades: {what}.",
        "nothing": "Nada chegou entre as duas.",
        "weather": "clima de {months} ({inside} de {count} meses dentro da safra)",
        "yields": "rendimentos de {years}",
        "run": "outro modelo treinado",
        "scenarios": "outros cenários: {1}, antes {0}",
        "revised": "dados revisados: {what}",
        "country": "País: mediana {median} kg/ha ({change}; {percent}), intervalo de 90 % com {width} kg/ha "
        "({width_change}), {share} da safra observada.",
        "count": "Municípios: {up} em alta, {down} em baixa, {same} sem mudança.",
        "states": "UF, kg/ha: {what}.",
        "up": "Mais elevaram o total:",
        "down": "Mais reduziram o total:",
        "mover": "{name} ({state}) {change}, agora {median} kg/ha{why}",
        "rain": "chuva até agora {now} do usual",
        "tmax": "temperatura máxima {now} °C em relação ao usual",
        "was": " (antes {before})",
        "to": "a",
    },
}


def summary(comparison: Comparison, lang: Lang = "en") -> str:
    """What moved, where and why, in a few lines.

    Args:
        comparison: of `comparing.compare`.
        lang: of the text.

    Raises:
        ConfigError: an unknown language.
    """
    texts = _Texts(lang)
    whole, *states = comparison.aggregates
    about = {
        "crop": comparison.crop, "harvest_year": comparison.harvest_year, "as_of": comparison.now,
        "synthetic": comparison.synthetic,
    }  # fmt: skip
    lines = [
        f"{labels.title(about, lang)}.",
        texts("before", date=texts.date(comparison.before)),
        texts.arrived(comparison.arrived),
        texts.country(whole),
        texts.count(comparison.municipalities["median_change_kg_ha"].values.tolist()),
    ]
    if len(states) > 1:
        lines.append(texts("states", what=texts.states(states)))
    for direction, key in ((1, "up"), (-1, "down")):
        if movers := comparison.movers(direction):
            lines += [texts(key), *(f"  {texts.mover(mover)}" for mover in movers)]
    return "\n".join(lines)


class _Texts:
    """The sentences of one language, with numbers and dates as it writes them."""

    def __init__(self, lang: Lang) -> None:
        self.lang = lang
        labels.text("synthetic", lang)  # refuses a language that is not known
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

    def arrived(self, arrived: NewData) -> str:
        parts = []
        if arrived.weather:
            months, inside = (
                [labels.month(m, self.lang) for m in arrived.weather],
                sum(map(bool, arrived.weather.values())),
            )
            parts.append(self("weather", months=self.span(months), inside=inside, count=len(months)))
        if arrived.yields:
            parts.append(self("yields", years=self.span([str(year) for year in arrived.yields])))
        if arrived.run:
            parts.append(self("run"))
        if arrived.scenarios:
            parts.append(self("scenarios", *(labels.scenario(name, self.lang) for name in arrived.scenarios)))
        if arrived.revised:
            names = [_TABLES[table] if self.lang == "pt" else table for table in arrived.revised]
            parts.append(self("revised", what=", ".join(names)))
        return self("arrived", what="; ".join(parts)) if parts else self("nothing")

    def country(self, whole: AggregateChange) -> str:
        return self(
            "country", median=self.number(whole.median_kg_ha),
            change=self.number(whole.change_kg_ha, signed=True),
            percent=self.percent(whole.change_pct, 1, signed=True), width=self.number(whole.width_kg_ha),
            width_change=self.number(whole.width_change_kg_ha, signed=True),
            share=self.percent(100 * whole.observed_share),
        )  # fmt: skip

    def count(self, changes: Sequence[float]) -> str:
        whole = [round(change) for change in changes if change == change]  # without NaN
        up, down = sum(change > 0 for change in whole), sum(change < 0 for change in whole)
        numbers = {"up": up, "down": down, "same": len(whole) - up - down}
        return self("count", **{key: self.number(number) for key, number in numbers.items()})

    def states(self, states: Sequence[AggregateChange]) -> str:
        """Those that moved most, five at either end."""
        order = sorted(states, key=lambda row: -row.change_kg_ha)
        shown = order if len(order) <= 10 else [*order[:5], *order[-5:]]
        return ", ".join(f"{row.name} {self.number(row.change_kg_ha, signed=True)}" for row in shown)

    def mover(self, mover: MunicipalityChange) -> str:
        why = [
            self(key, now=shown[1]) + (self("was", before=shown[0]) if pair[0] is not None else "")
            for key, pair, shown in (
                ("rain", mover.rain_pct, [self.percent(v) for v in mover.rain_pct]),
                ("tmax", mover.tmax_degC, [self.number(v or 0.0, 1, signed=True) for v in mover.tmax_degC]),
            )
            if pair[1] is not None
        ]
        return self(
            "mover", name=mover.name, state=mover.state,
            change=self.number(mover.change_kg_ha, signed=True), median=self.number(mover.median_kg_ha),
            why=f": {', '.join(why)}" if why else "",
        )  # fmt: skip
