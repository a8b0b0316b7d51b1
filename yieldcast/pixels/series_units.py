"""The unit of each band of a table: told by the user, or found from the values; unclear ones are refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.pixels.series_bands import BAND_OF, POSSIBLE, UNITS, Floats, converted

Arrays = Mapping[str, Floats]
# Single impossible values (sensor faults, unmarked gaps) become gaps and are counted; more are another unit.
_FAULTS = 0.01
# Two medians that tell units apart are at least this far from each other (our choice).
_APART = 20.0


def in_series_units(
    tables: Arrays, given: Mapping[str, str], steps_per_year: float, where: str
) -> tuple[dict[str, Floats], dict[str, str], list[tuple[str, int]]]:
    """Values in the units of a series.

    Args:
        tables: band -> (sample, step), or (sample, 1) of a static band; NaN where missing.
        given: band -> unit of `series_bands.UNITS`, for bands whose unit is known.
        steps_per_year: 12 for months; sums of rain depend on it.
        where: the table, for errors.

    Returns:
        the values; the unit that each band was read in; bands with impossible values and how many of them
        became gaps.

    Raises:
        SchemaError: unclear, different among bands or rows of one kind, or impossible values.
    """
    units = {
        name: given.get(name) or _unit(name, values, steps_per_year, where) for name, values in tables.items()
    }
    for name, unit in units.items():
        known = UNITS[BAND_OF[name].kind]
        if unit not in known:
            raise SchemaError(f"{where}: unit of {name}: expected {' or '.join(known)}, received {unit}")
    _refuse_different(units, where)
    made, faults = {}, []
    for name, values in tables.items():
        read = converted(values, BAND_OF[name], units[name])
        made[name], count = _possible(read, name, units[name], where)
        if count:
            faults.append((name, count))
    _refuse_exchanged(made, where)
    return made, units, faults


def _unit(name: str, values: Floats, steps_per_year: float, where: str) -> str:
    """The unit that all values of a band agree with."""
    band, known = BAND_OF[name], values[np.isfinite(values)]
    if not known.size:
        return band.unit
    if band.kind in ("height", "angle"):
        return band.unit
    unit = _GUESSES[band.kind](values, known, steps_per_year)
    if unit is None:
        low, middle, high = np.quantile(known, [0.01, 0.5, 0.99])
        expected = " or ".join(UNITS[band.kind])
        raise SchemaError(
            f"{where}: the unit of {name} is not clear: expected values in {expected}, received a median of "
            f"{middle:g} and 98 % of the values from {low:g} to {high:g}",
            f"Say the unit, for example --unit {name}={band.unit}, or check the column.",
        )
    return unit


def _row_medians(values: Floats) -> NDArray[np.floating]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without any value
        medians = np.nanmedian(values, axis=1)
    return medians[np.isfinite(medians)]


def _one_scale(medians: NDArray[np.floating], small: float, large: float) -> str | None:
    """ "small" or "large" if (nearly) all rows are, else None."""
    size = np.abs(medians)
    if (size <= small).all():
        return "small"
    # a dark row (water) is small in a large scale too, if it is a whole number
    return "large" if np.quantile(size, 0.05) >= large else None


def _reflectance(values: Floats, known: Floats, steps_per_year: float) -> str | None:
    found = _one_scale(_row_medians(values), 1.6, 10.0)
    return {"small": "1", "large": "x10000", None: None}[found]


def _index(values: Floats, known: Floats, steps_per_year: float) -> str | None:
    if np.abs(known).max() <= POSSIBLE["index"][1]:
        return "1"
    found = _one_scale(_row_medians(values), 1.6, 100.0)
    return {"small": "1", "large": "x10000", None: None}[found]


def _radar(values: Floats, known: Floats, steps_per_year: float) -> str | None:
    medians = _row_medians(values)
    # walls and ships send more back than 0 dB: few pixels of a raster do, and few rows of a table
    if medians.size and (medians >= 0).mean() <= _FAULTS and medians.max() <= POSSIBLE["radar"][1]:
        return "dB"
    return "DN" if (medians >= 50).all() else None


def _temperature(values: Floats, known: Floats, steps_per_year: float) -> str | None:
    medians = _row_medians(values)
    for unit, low, high in (("degC", -50.0, 60.0), ("K", 200.0, 340.0), ("Kx100", 20000.0, 34000.0)):
        if ((medians >= low) & (medians <= high)).all():
            return unit
    return None


def _rain(values: Floats, known: Floats, steps_per_year: float) -> str | None:
    """By the usual sum of a year: 6 m are a wet place, 20 mm a desert, 90 mm x 100 another."""
    if (known < 0).any():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        year = float(np.nanmedian(np.nanmean(values, axis=1)) * steps_per_year)
    if year <= 6.0:
        return "m" if year > 0 else None
    if 20.0 <= year <= 4500.0:
        return "mm"
    return "mmx100" if year >= 9000.0 else None


_GUESSES: dict[str, Callable[[Floats, Floats, float], str | None]] = {
    "reflectance": _reflectance,
    "index": _index,
    "radar": _radar,
    "temperature": _temperature,
    "rain": _rain,
}


def _refuse_different(units: Mapping[str, str], where: str) -> None:
    """One table, one scale of reflectance and one of radar."""
    for kind in ("reflectance", "radar"):
        of_kind = {name: unit for name, unit in units.items() if BAND_OF[name].kind == kind}
        if len(set(of_kind.values())) > 1:
            listed = ", ".join(f"{name} in {unit}" for name, unit in of_kind.items())
            raise SchemaError(
                f"{where}: expected one scale for all bands of {kind}, received {listed}",
                "Bring them to one scale, or say the unit of each with --unit BAND=UNIT.",
            )
    if units.get("temperature") == "Kx100" and units.get("precipitation") not in (None, "mmx100"):
        raise SchemaError(
            f"{where}: temperature is in K x 100, but precipitation seems to be in {units['precipitation']}",
            "Tables of this kind have mm x 100; say it with --unit precipitation=UNIT.",
        )


def _possible(values: Floats, name: str, unit: str, where: str) -> tuple[Floats, int]:
    """Without impossible values, and how many there were."""
    low, high = POSSIBLE[BAND_OF[name].kind]
    known = np.isfinite(values)
    wrong = known & ((values < low) | (values > high))
    count, all_known = int(wrong.sum()), int(known.sum())
    if count > _FAULTS * all_known:
        raise SchemaError(
            f"{where}: {name}, read in {unit}: expected {low:g} to {high:g} {BAND_OF[name].unit}, received "
            f"{count} of {all_known} values beyond, such as {float(values[wrong][0]):g}",
            f"Check the column, or say its unit with --unit {name}=UNIT.",
        )
    return np.where(wrong, np.float32(np.nan), values), count


def _refuse_exchanged(tables: Arrays, where: str) -> None:
    """Columns under the names of others: what must lie above what, on land and over a year."""

    def middle(name: str) -> float:
        known = tables[name][np.isfinite(tables[name])]
        return float(np.median(known)) if known.size else float("nan")

    # Cross-polarised backscatter is below co-polarised; plants and soil reflect more in the near infrared.
    pairs = (("VH", "VV"), ("B4", "B8"), ("B2", "B8"), ("B4", "B8A"), ("RED", "NIR"), ("BLUE", "NIR"),
             ("B2", "B4"), ("B5", "B7"), ("B12", "B11"), ("BLUE", "MIR"))  # fmt: skip
    slack = {("B2", "B4"): 300.0, ("B5", "B7"): 300.0, ("B12", "B11"): 300.0}
    for lower, upper in pairs:
        if lower in tables and upper in tables:
            below, above = middle(lower), middle(upper)
            if below > above + slack.get((lower, upper), 0.0):
                raise SchemaError(
                    f"{where}: expected {lower} below {upper}, received medians of {below:g} and {above:g} "
                    f"{BAND_OF[lower].unit}: are the bands in another order?",
                    "Check that every column holds the band that its name says.",
                )
    for red, infrared in (("RED", "NIR"), ("B4", "B8")):
        if {red, infrared, "NDVI"} <= set(tables):
            with np.errstate(divide="ignore", invalid="ignore"):
                own = (tables[infrared] - tables[red]) / (tables[infrared] + tables[red])
            apart = np.abs(own - tables["NDVI"])
            apart = apart[np.isfinite(apart)]
            if apart.size and np.median(apart) > 0.1:
                raise SchemaError(
                    f"{where}: expected NDVI to be ({infrared} - {red}) / ({infrared} + {red}), received a "
                    f"median difference of {np.median(apart):.2f}: are the bands in another order?",
                    "Check that every column holds the band that its name says.",
                )
