"""Words for contributions of weather: variables, parts that are not split, and a sentence."""

from __future__ import annotations

import re

from yieldcast import language
from yieldcast.forecasting.attribution import DEMAND, RAIN, WATER, Explanation
from yieldcast.language import Language, message

MOST_NAMED = 3  # contributions in a sentence
LEAST_KG_HA = 0.5  # a smaller one is 0 as it is written
VARIABLES = {
    RAIN: message("rain"),
    DEMAND: message("evaporative demand"),
    WATER: message("water balance in trees"),
    "tmax_degC": message("maximum temperature"),
    "tmin_degC": message("minimum temperature"),
    "degree_days": message("degree days"),
    "water_deficit_mm": message("water deficit"),
    "water_ratio": message("water supply over demand"),
    "dry_days": message("dry days"),
    "heat_degC_day": message("heat above the limit"),
    "vpd_kPa": message("vapour pressure deficit"),
    "radiation_MJ_m2": message("radiation"),
}
NOT_SPLIT = {
    "official": message("official estimate, which knows part of the weather"),
    "network": message("network beside its gradients"),
    "calibration": message("calibration"),
}
_DEGREE_DAYS = re.compile(r"gdd_\w+_degC_day")


def variable(name: str, words: Language) -> str:
    """Name of a variable for readers."""
    key = "degree_days" if _DEGREE_DAYS.fullmatch(name) else name
    return words.gettext(VARIABLES[key]) if key in VARIABLES else name


def sentence_of(explanation: Explanation, name: str, lang: str = "en") -> str:
    """Why the forecast is low or high, in a sentence or two.

    Args:
        explanation: of a place.
        name: of the place.
        lang: language.
    """
    words = language.of(lang)
    difference = explanation.forecast_kg_ha - explanation.usual_kg_ha
    text = words.gettext(
        "{name}: {forecast} kg/ha, {difference} kg/ha against usual weather.", name=name,
        forecast=words.number(explanation.forecast_kg_ha), difference=words.number(difference, signed=True),
    )  # fmt: skip
    named = sorted(explanation.by_variable_and_month().items(), key=lambda one: -abs(one[1]))[:MOST_NAMED]
    told = [
        words.gettext(
            "{variable} in {month}: {value} kg/ha", variable=variable(what, words), month=words.month(month),
            value=words.number(value, signed=True),
        )
        for (what, month), value in named
        if abs(value) >= LEAST_KG_HA
    ]  # fmt: skip
    if not told:
        nothing = words.gettext("No month of known weather moves it.")
        return f"{text} {nothing}"
    listed = "; ".join(told)
    return f"{text} {listed[:1].upper()}{listed[1:]}."
