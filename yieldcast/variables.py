"""Every quantity once: name, unit, valid range, how days become months, other accepted units.

A column is named ``<base>_<unit>`` (``tmax_degC``, ``yield_kg_ha``); soil adds a layer
(``clay_pct_0_30cm``, ``clay_pct_5cm``). `resolve` reads such a name and gives the factor to our unit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from yieldcast.errors import SchemaError

# daily: in tables of daily weather only
Kind = Literal["weather", "daily", "yields", "place", "soil", "vegetation"]


@dataclass(frozen=True)
class Quantity:
    """One physical quantity in the unit that yieldcast computes with.

    Args:
        base: name without unit, e.g. ``tmax``.
        unit: suffix of the column name, e.g. ``degC``; empty where there is none (pH).
        units: the same unit as written in ``attrs["units"]``.
        low, high: valid range in that unit, both ends included.
        kind: the table it belongs to.
        english: label for readers.
        to_month: how daily values become a month (weather only).
        factors: other accepted unit suffixes and the factor from them to `unit`.
    """

    base: str
    unit: str
    units: str
    low: float
    high: float
    kind: Kind
    english: str
    to_month: Literal["mean", "sum", ""] = ""
    factors: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Column name, ``base_unit``."""
        return f"{self.base}_{self.unit}" if self.unit else self.base


_AREA = {"km2": 100.0, "thousand_ha": 1000.0, "acre": 0.40468564224}
_WEIGHT = {"kg": 0.001, "thousand_t": 1000.0}
_DENSITY = {"g_cm3": 1.0, "kg_m3": 0.001, "cg_cm3": 0.01}
_POWER = {"W_m2": 0.0864, "kJ_m2": 0.001}  # a mean of 1 W/m2 over a day is 86,400 J/m2
# Ranges: temperatures beyond the world records (56.7, -89.2 degC, WMO archive) are errors; so is more
# rain in a month than the 9,300 mm of Cherrapunji, July 1861 (WMO archive). Sugarcane reaches
# 250,000 kg/ha in PAM: twice that is the yield limit. The sun brings at most 45 MJ/m2 a day to the top of the
# atmosphere (FAO-56 Annex 2, Table 2.6), the highest dew point observed is 35 degC and wind is below 120 m/s.
_ALL = (
    Quantity("tmax", "degC", "degC", -90, 60, "weather", "Maximum temperature", "mean"),
    Quantity("tmin", "degC", "degC", -90, 60, "weather", "Minimum temperature", "mean"),
    Quantity("precipitation", "mm", "mm", 0, 9300, "weather", "Precipitation", "sum"),
    Quantity("dewpoint", "degC", "degC", -90, 45, "daily", "Dew point"),
    Quantity("radiation", "MJ_m2", "MJ/m2", 0, 50, "daily", "Global radiation", factors=_POWER),
    Quantity("wind", "m_s", "m/s", 0, 120, "daily", "Wind speed at 2 m"),
    Quantity("ndvi", "", "1", -1, 1, "vegetation", "NDVI"),
    Quantity("evi", "", "1", -1, 1, "vegetation", "EVI"),
    Quantity("yield", "kg_ha", "kg/ha", 0, 500_000, "yields", "Yield", factors={"t_ha": 1000.0}),
    Quantity("area_harvested", "ha", "ha", 0, 1e8, "yields", "Harvested area", factors=_AREA),
    Quantity("area_planted", "ha", "ha", 0, 1e8, "yields", "Planted area", factors=_AREA),
    Quantity("production", "t", "t", 0, 1e10, "yields", "Production", factors=_WEIGHT),
    Quantity("latitude", "deg", "degrees_north", -90, 90, "place", "Latitude"),
    Quantity("longitude", "deg", "degrees_east", -180, 180, "place", "Longitude"),
    Quantity("clay", "pct", "%", 0, 100, "soil", "Clay", factors={"g_kg": 0.1}),
    Quantity("silt", "pct", "%", 0, 100, "soil", "Silt", factors={"g_kg": 0.1}),
    Quantity("sand", "pct", "%", 0, 100, "soil", "Sand", factors={"g_kg": 0.1}),
    Quantity("bulk_density", "kg_dm3", "kg/dm3", 0, 3, "soil", "Bulk density", factors=_DENSITY),
    Quantity("coarse_fragments", "pct", "%", 0, 100, "soil", "Coarse fragments"),
    Quantity(
        "cec", "cmolc_kg", "cmol(c)/kg", 0, 300, "soil", "Cation exchange capacity", factors={"mmolc_kg": 0.1}
    ),
    Quantity("soc", "g_kg", "g/kg", 0, 1000, "soil", "Organic carbon", factors={"dg_kg": 0.1, "pct": 10.0}),
    Quantity("nitrogen", "g_kg", "g/kg", 0, 100, "soil", "Nitrogen", factors={"cg_kg": 0.01}),
    Quantity("ph_h2o", "", "pH", 0, 14, "soil", "pH in water"),
    Quantity("ph_kcl", "", "pH", 0, 14, "soil", "pH in KCl"),
)
QUANTITIES: Mapping[str, Quantity] = {q.name: q for q in _ALL}
WEATHER = ("tmax_degC", "tmin_degC", "precipitation_mm")
DAILY = tuple(q.name for q in _ALL if q.kind == "daily")  # beside those of WEATHER
YIELDS = ("yield_kg_ha", "area_harvested_ha", "area_planted_ha", "production_t")
SOIL = tuple(q.name for q in _ALL if q.kind == "soil")

_LAYER = re.compile(r"^(?P<stem>.+?)_(?P<layer>\d+(?:_\d+)?cm)$")
_DEGREE_DAYS = re.compile(r"^gdd_?(?P<base>\d+)(?:_(?P<upper>\d+))?_degC_day$")


@dataclass(frozen=True)
class Column:
    """What a column name says: the quantity, the factor to its unit, the soil layer.

    Args:
        unit: where it has another weight for every crop (bushels, sacks); the factor is 1 then.
    """

    quantity: Quantity
    factor: float
    layer: str = ""
    unit: str = ""


def degree_day_quantity(base_degC: float, upper_degC: float | None) -> Quantity:
    """The monthly growing-degree-day quantity of a base and upper limit, e.g. ``gdd_8_30_degC_day``.

    Args:
        base_degC: temperature at and below which a day adds nothing (degC).
        upper_degC: temperature above which a day adds no more (degC), or None for no limit.
    """
    limits = f"{base_degC:g}" if upper_degC is None else f"{base_degC:g}_{upper_degC:g}"
    top = 31 * (60 if upper_degC is None else upper_degC - base_degC)
    return Quantity(
        f"gdd_{limits}",
        "degC_day",
        "degC day",
        0,
        top,
        "weather",
        f"Growing degree days ({limits.replace('_', '-')} degC)",
        "sum",
    )


def resolve(column: str) -> Column | None:
    """Read a column name; None for an extra column, which names no known quantity or no known unit.

    Args:
        column: name such as ``cec_mmolc_kg_0_30cm`` or ``yield_t_ha``.

    Raises:
        SchemaError: a known quantity without its unit.
    """
    days = _DEGREE_DAYS.match(column)
    if days:
        upper = days["upper"]
        return Column(degree_day_quantity(float(days["base"]), float(upper) if upper else None), 1.0)
    layer = _LAYER.match(column)
    stem, where = (layer["stem"], layer["layer"]) if layer else (column, "")
    for quantity in sorted(_ALL, key=lambda q: -len(q.base)):
        if stem != quantity.base and not stem.startswith(quantity.base + "_"):
            continue
        if bool(where) != (quantity.kind == "soil"):
            continue
        unit = stem[len(quantity.base) + 1 :]
        if unit == quantity.unit:
            return Column(quantity, 1.0, where)
        if unit in quantity.factors:
            return Column(quantity, quantity.factors[unit], where)
        if unit == "":
            known = ", ".join([quantity.unit, *quantity.factors])
            raise SchemaError(
                f"column {column!r}: expected a unit in its name, received none",
                f"Rename it {quantity.base}_UNIT with one of the units {known}.",
            )
    return None
