"""Heading, unit and meaning of every column of the exported tables; `labels` gives them in a language.

The keys are the column names in GeoPackage and GeoJSON: English in every language, and different within their
first ten characters, because a Shapefile made from them keeps only those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from yieldcast.language import message


class ColumnLabel(NamedTuple):
    """Unit (empty for none) of a column; its heading and its meaning in English, the keys of the catalogue.

    The values of their ``{name}``: a text is translated too, a float is a share, a whole number stays. The
    digits after the decimal sign, where they do not follow from the unit.
    """

    unit: str
    heading: str
    meaning: str
    values: Mapping[str, str | float | int] = {}
    digits: int | None = None


def _quantile(percent: int) -> ColumnLabel:
    return ColumnLabel(
        "kg/ha",
        message("Forecast: percentile {n}"),
        message("the yield lies below this value with a probability of {share}"),
        {"n": percent, "share": percent / 100},
    )


def _production(percent: int) -> ColumnLabel:
    return ColumnLabel(
        "t",
        message("Production: percentile {n}"),
        message("percentile {n} of the forecast yield times the planted area, if that area is planted again"),
        {"n": percent},
    )


class PartLabel(NamedTuple):
    """Short name of a part of the median and its meaning, in English."""

    name: str
    meaning: str


# Keys as in `forecasting.parts`
PART_LABELS: Mapping[str, PartLabel] = {
    "level": PartLabel(
        message("level of recent years"),
        message(
            "published yields of recent years without the effect of their weather, drawn to those of the "
            "neighbours where they are few or scattered"
        ),
    ),
    "trend": PartLabel(
        message("trend"),
        message("growth from the level of recent years to the harvest year"),
    ),
    "water_so_far": PartLabel(
        message("water so far"),
        message(
            "effect of the crop's water balance to the newest public day, the rest of the season as usual"
        ),
    ),
    "weather_to_come": PartLabel(
        message("weather to come"),
        message("effect of a forecast departure of the coming weather from the usual"),
    ),
    "official": PartLabel(
        message("official estimate"),
        message("by how much the newest public estimate of the state moves the forecast"),
    ),
    "network": PartLabel(
        message("network"),
        message("what the network adds, as far as it was right in years that it had not seen"),
    ),
    "trees": PartLabel(
        message("boosted trees"),
        message("what boosted trees add, as far as they were right in years that they had not seen"),
    ),
    "calibration": PartLabel(
        message("calibration"),
        message("part of the median error of forecasts recomputed for past years"),
    ),
    "remainder": PartLabel(
        message("rest of the whole"),
        message(
            "median of the country or state minus the other parts, which are means of its municipalities"
        ),
    ),
}


def _part(label: PartLabel) -> ColumnLabel:
    return ColumnLabel("kg/ha", message("Part of the median: {part}"), label.meaning, {"part": label.name})


_NAMES = {
    "code": ColumnLabel(
        "",
        message("Municipality code"),
        message("its code in the statistics"),
    ),
    "name": ColumnLabel("", message("Municipality"), message("its name")),
    "level": ColumnLabel("", message("Level"), message("country or state")),
    "aggregate": ColumnLabel(
        "",
        message("Country or state"),
        message(
            "weighted by planted area; its interval is not the sum of the municipalities' intervals, because "
            "their errors are correlated"
        ),
    ),
    "state": ColumnLabel("", message("State"), message("state of the municipality")),
    "region": ColumnLabel("", message("Region"), message("region of the country")),
    "crop": ColumnLabel("", message("Crop"), message("crop")),
    "harvest_year": ColumnLabel(
        "",
        message("Harvest year"),
        message("year of the harvest: 2018 is the season 2017/18"),
    ),
    "as_of": ColumnLabel(
        "",
        message("As of"),
        message("date of the bulletin: nothing published later was used"),
    ),
    "synthetic": ColumnLabel(
        "",
        message("Synthetic data"),
        message("yes: made-up numbers that show the method and say nothing about any place"),
    ),
    "municipalities": ColumnLabel("", message("Municipalities"), message("number of municipalities")),
}
_YIELDS = {
    "yield_p50_kg_ha": ColumnLabel(
        "kg/ha",
        message("Forecast: median"),
        message("the yield lies above and below this value with equal probability"),
    ),
    "yield_mean_kg_ha": ColumnLabel(
        "kg/ha",
        message("Forecast: mean"),
        message("mean of the forecast yield"),
    ),
    **{f"yield_p{percent:02d}_kg_ha": _quantile(percent) for percent in (5, 10, 25, 75, 90, 95)},
    "width90_kg_ha": ColumnLabel(
        "kg/ha",
        message("Width of the {share} interval"),
        message("{high} quantile minus {low} quantile"),
        {"share": 0.90, "high": 0.95, "low": 0.05},
    ),
    "anomaly_kg_ha": ColumnLabel(
        "kg/ha",
        message("Departure from the five-year mean"),
        message("forecast median minus the mean of five years"),
    ),
    "anomaly_pct": ColumnLabel(
        "%",
        message("Departure from the five-year mean"),
        message("the same departure, in percent of the mean of five years"),
    ),
    "prob_low_pct": ColumnLabel(
        "%",
        message("Probability of a low yield"),
        message("probability that the yield lies below the limit of a low yield"),
    ),
    "low_limit_kg_ha": ColumnLabel(
        "kg/ha",
        message("Limit of a low yield"),
        message("lowest tercile of the municipality's last ten public yields"),
    ),
}
_BASELINES = {
    "last_public_kg_ha": ColumnLabel(
        "kg/ha",
        message("Last public yield"),
        message("yield of the newest harvest year that was public on the date of the bulletin"),
    ),
    "mean_5y_kg_ha": ColumnLabel(
        "kg/ha",
        message("Mean of five years"),
        message("mean of the five newest public yields"),
    ),
    "trend_10y_kg_ha": ColumnLabel(
        "kg/ha",
        message("Trend of ten years"),
        message("straight line fitted to ten public yields, extended to the harvest year"),
    ),
    "level_trend_kg_ha": ColumnLabel(
        "kg/ha",
        message("Level and trend"),
        message("expected from published yields alone"),
    ),
    "official_mean_kg_ha": ColumnLabel(
        "kg/ha",
        message("Mean of five years at the official estimate"),
        message(
            "mean of five years times the official estimate of the state over the state's mean of five years"
        ),
    ),
    "own_history": ColumnLabel(
        "",
        message("Own history"),
        message("no: the municipality has too few public yields; those of its state were used"),
    ),
}
_OFFICIAL = {
    "official_kg_ha": ColumnLabel(
        "kg/ha",
        message("Official estimate"),
        message("newest official estimate of the state that was public on the date of the bulletin"),
    ),
    "official_source": ColumnLabel(
        "",
        message("Official estimate: source"),
        message("who estimated"),
    ),
    "official_reference": ColumnLabel(
        "",
        message("Official estimate: month"),
        message("month that the estimate is of"),
    ),
    "official_public_from": ColumnLabel(
        "",
        message("Official estimate: public from"),
        message("day on which it was published"),
    ),
}
_PARTS = {f"part_{name}_kg_ha": _part(label) for name, label in PART_LABELS.items()}
_SEASON = {
    "observed_pct": ColumnLabel(
        "%",
        message("Season observed"),
        message("share of the season's months whose weather was public on the date of the bulletin"),
    ),
    "rain_pct": ColumnLabel(
        "%",
        message("Rain so far, of normal"),
        message("rain of the observed months; 100 is the mean of the known years"),
    ),
    "tmax_anomaly_degC": ColumnLabel(
        "°C",
        message("Maximum temperature so far, departure"),
        message("observed months minus the mean of the known years"),
    ),
    "area_planted_ha": ColumnLabel(
        "ha",
        message("Planted area"),
        message("newest public planted area; harvested area where the planted area is not known"),
    ),
    "map_area_ha": ColumnLabel(
        "ha",
        message("Area in the map"),
        message("area of the crop in the newest public map, corrected for its errors"),
    ),
    "map_area_se_ha": ColumnLabel(
        "ha",
        message("Area in the map: standard error"),
        message("standard error of the area in the map; the official area need not lie within it"),
    ),
    "prod_p50_t": ColumnLabel(
        "t",
        message("Production: median"),
        message("median of the forecast yield times the planted area, if that area is planted again"),
    ),
    "prod_p05_t": _production(5),
    "prod_p95_t": _production(95),
    "window_start": ColumnLabel(
        "",
        message("Season: first day"),
        message("first day of the months that the forecast uses"),
    ),
    "window_end": ColumnLabel(
        "",
        message("Season: last day"),
        message("last day of the same months"),
    ),
    "latitude_deg": ColumnLabel("°", message("Latitude"), message("north is positive")),
    "longitude_deg": ColumnLabel("°", message("Longitude"), message("east is positive")),
}
# Of tables of risk, see `risk_tables`
RISK_COLUMNS: Mapping[str, ColumnLabel] = {
    "p_low": ColumnLabel(
        "", message("p_low"), message("probability of a yield in the low class, 0 to 1"), digits=4
    ),
    "p_medium": ColumnLabel(
        "", message("p_medium"), message("probability of a yield in the middle class, 0 to 1"), digits=4
    ),
    "p_high": ColumnLabel(
        "", message("p_high"), message("probability of a yield in the high class, 0 to 1"), digits=4
    ),
    "p_not_low": ColumnLabel(
        "",
        message("p_not_low"),
        message("probability of a yield at or above the threshold, 0 to 1"),
        digits=4,
    ),
    "class": ColumnLabel(
        "",
        message("Class"),
        message("class that makes the expected macro-F1 of the whole table the largest"),
    ),
    "flag": ColumnLabel(
        "",
        message("Flag"),
        message("yes: a warning costs less than none is expected to cost"),
    ),
    "expected_cost": ColumnLabel(
        "",
        message("Expected cost"),
        message("cost that remains with this flag, in the unit of the costs that were given"),
        digits=3,
    ),
    "border_low_kg_ha": ColumnLabel(
        "kg/ha", message("Low below"), message("yields below this one are in the low class")
    ),
    "border_high_kg_ha": ColumnLabel(
        "kg/ha", message("High from"), message("yields from this one on are in the high class")
    ),
    "forecast_p_low": ColumnLabel(
        "",
        message("p_low of the forecast"),
        message("from the calibrated quantiles of the forecast alone"),
        digits=4,
    ),
    "classifier_p_low": ColumnLabel(
        "",
        message("p_low of the classifier"),
        message("from the best classifier that was trained on the classes alone"),
        digits=4,
    ),
    "places_flagged": ColumnLabel("", message("Flags"), message("number of municipalities with a flag")),
    "area_flagged_ha": ColumnLabel(
        "ha", message("Area with a flag"), message("planted area of the municipalities with a flag")
    ),
    "low_area_ha": ColumnLabel(
        "ha",
        message("Expected area in the low class"),
        message("planted area of each municipality times its probability of a low yield, summed"),
    ),
    "mean_p_low": ColumnLabel(
        "",
        message("Mean of p_low"),
        message("mean over the municipalities, each with the same weight"),
        digits=4,
    ),
}
COLUMNS: Mapping[str, ColumnLabel] = {
    **_NAMES, **_YIELDS, **_PARTS, **_BASELINES, **_OFFICIAL, **_SEASON, **RISK_COLUMNS,
}  # fmt: skip
