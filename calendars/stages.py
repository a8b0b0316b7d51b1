"""Growth stages and water coefficients by crop (FAO-56, FAO-33).

``data/stages.csv`` has one row per crop; ``data/SOURCES.md`` names the source tables.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from calendars.rows import UnknownKeyError

_DATA = Path(__file__).with_name("data")


@dataclass(frozen=True)
class Stages:
    """Stage lengths and coefficients of a crop.

    Args:
        crop: name.
        cycle_days: days from sowing to maturity (FAO-56 Table 11, varieties of the tropics).
        initial_end, development_end, mid_end: ends of the first three stages as shares of the cycle, 0 to 1.
        kc_initial, kc_mid, kc_end: crop coefficients of FAO-56 Table 12.
        depletion_fraction: share of the available water that is used before the crop is short of it (FAO-56
            Table 22, p at 5 mm a day).
        root_depth_m: effective rooting depth (lower end of FAO-56 Table 22).
        ky_vegetative, ky_flowering, ky_filling, ky_ripening: yield response to water by stage (FAO-33 Table
        24).
    """

    crop: str
    cycle_days: int
    initial_end: float
    development_end: float
    mid_end: float
    kc_initial: float
    kc_mid: float
    kc_end: float
    depletion_fraction: float
    root_depth_m: float
    ky_vegetative: float
    ky_flowering: float
    ky_filling: float
    ky_ripening: float


@cache
def _stages() -> dict[str, Stages]:
    found = {}
    with (_DATA / "stages.csv").open(encoding="utf-8", newline="") as file:
        for record in csv.DictReader(file):
            numbers = {
                f.name: float(record[f.name]) for f in fields(Stages) if f.name not in ("crop", "cycle_days")
            }
            found[record["crop"]] = Stages(record["crop"], int(record["cycle_days"]), **numbers)
    return found


def stages(crop: str) -> Stages:
    """Stages of a crop; those of first or second corn are those of corn.

    Raises:
        UnknownKeyError: no row for the crop.
    """
    known = _stages()
    for name in (crop, crop.split("_")[0]):
        if name in known:
            return known[name]
    raise UnknownKeyError(
        f"expected a crop with growth stages ({', '.join(sorted(known))}), received {crop!r}",
        "Add a row to calendars/data/stages.csv, or forecast without the water balance.",
    )


def has_stages(crop: str) -> bool:
    """Whether `stages` knows the crop."""
    return crop in _stages() or crop.split("_")[0] in _stages()
