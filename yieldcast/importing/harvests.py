"""What rows of yields and of estimates share: crop, harvest year, symbols, magnitudes."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calendars import names
from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog, measured, shown
from yieldcast.importing.headings import reason
from yieldcast.importing.numbers import numbers
from yieldcast.language import sentence
from yieldcast.variables import Column

FIRST_YEAR, LAST_YEAR = 1900, 2100
# IBGE's symbols (notes of SIDRA's tables): absolute zero; not applicable, not available, withheld.
_ZERO, _UNKNOWN = ("-", "–", "—"), ("..", "...", "X")
_SEASON = re.compile(r"((?:19|20)\d\d)\s?([/–-])\s?((?:19|20)?\d\d)")
_NEW_YEARS_DAY = re.compile(r"((?:19|20)\d\d)-01-01(?:[ T]00:00:00)?")
_LAST_MONTH = 12
# No crop has a median yield below 50 kg/ha; in t/ha all would be below it.
_LOWEST_MEDIAN_kg_ha = 50.0
_CONTRADICTION = 1.5  # times; rounding makes a few per cent
_OTHER_UNITS = {"t/ha": 1000.0, "sacks of 60 kg per hectare": 60.0, "bushels per acre": 67.25}


def crops_of(texts: pd.Series[str], report: ImportLog, table: str) -> pd.Series[str]:
    """Keys of the crops of a column; a name that no known crop has stays, in lower case.

    Args:
        texts: names in any language of `calendars.names`.
        report, table: gets the names that were replaced, under this table.
    """
    keys = {text: names.crop(text) or text.lower() for text in pd.unique(texts)}
    for text, count in texts.value_counts().sort_index().items():
        if keys[text] != str(text).lower():
            report.read.append(
                (
                    table,
                    sentence("crop {text} read as {crop}", text=repr(str(text)), crop=keys[text]),
                    int(count),
                )
            )
    return texts.map(keys)


def years_of(
    frame: pd.DataFrame, column: str, source: str, report: ImportLog, table: str, north: bool = False
) -> NDArray[np.int64]:
    """A column of harvest years; ``2017/18`` is 2018.

    Args:
        frame: texts, indexed by line.
        column: its name.
        source: name of the file, for errors.
        report, table: gets how seasons were read, under this table.
        north: whether the places lie north of the equator, where a crop sown and harvested in 2017 can be
            that of the marketing year 2017/18.

    Raises:
        SchemaError: a value that is no year, or seasons in the north.
    """
    texts = frame[column]
    seasons = _last_years(texts)
    if seasons is not None:
        if north:
            raise SchemaError(
                f"{source}: line {frame.index[0]}, column {column!r}: {texts.iloc[0]!r} is a season; north "
                "of the equator its harvest is in the first or in the second year",
                "Give the calendar year of the harvest.",
            )
        first = f"{texts.iloc[0]} as {seasons[0]}"
        report.warnings.append(
            (table, sentence("seasons read as the year of their harvest, {first}", first=first), len(texts))
        )
        return seasons
    if texts.str.fullmatch(_NEW_YEARS_DAY).all():
        return np.array(texts.str[:4], dtype=np.int64)
    years = numbers(frame, column, source, FIRST_YEAR, LAST_YEAR)
    wrong = ~((years >= FIRST_YEAR) & (years <= LAST_YEAR) & (years == np.floor(years)))
    if wrong.any():
        line = frame.index[int(np.argmax(wrong))]
        raise SchemaError(
            f"{source}: line {line}, column {column!r}: expected a year from {FIRST_YEAR} to {LAST_YEAR}, "
            f"received {texts.loc[line]!r} ({int(wrong.sum())} such lines)",
            "Give the year of harvest: 2018 for the season 2017/18.",
        )
    return years.astype(np.int64)


def _last_years(texts: pd.Series[str]) -> NDArray[np.int64] | None:
    """Last years of seasons; None unless every cell is one and no cell can be a month (2011-12)."""
    parts = texts.str.extract(f"^{_SEASON.pattern}$")
    if parts.isna().to_numpy().any():
        return None
    first, last = parts[0].astype(int), parts[2].astype(int)
    month = parts[1].ne("/") & parts[2].str.len().eq(2) & last.between(1, _LAST_MONTH)
    if month.all() or not ((first + 1) % 100 == last % 100).all():
        return None
    return np.array(first + 1, dtype=np.int64)


def measured_or_symbol(
    frame: pd.DataFrame, name: str, column: Column, source: str, crop: pd.Series[str], report: ImportLog,
    table: str,
) -> NDArray[np.float64]:  # fmt: skip
    """A column as `measured` reads it, with IBGE's symbols.

    "-" is zero, but no yield; "..", "..." and "X" are unknown.

    Args:
        frame, name, column, source, crop: see `measured`.
        report, table: gets the number of each symbol, under this table.

    Raises:
        SchemaError: see `measured`.
    """
    zero = "" if column.quantity.name == "yield_kg_ha" else "0"  # no harvest has no yield
    meaning = {**dict.fromkeys(_ZERO, zero), **dict.fromkeys(_UNKNOWN, "")}
    found = frame[name][frame[name].isin(meaning)]
    for symbol, count in found.value_counts().sort_index().items():
        said = "0" if meaning[symbol] else "missing"
        report.read.append((table, f"{symbol!r} in {name} read as {said}", int(count)))
    plain = frame[name].where(~frame[name].isin(meaning), frame[name].map(meaning))
    return measured(plain.to_frame(), name, column, source, crop)


def derive_yield(
    values: dict[str, NDArray[np.float64]], area: NDArray[np.float64] | None, others: list[str], source: str
) -> bool:
    """Add the yield, 1000 x production / area, where no column has it; whether it was computed.

    Args:
        values: by quantity.
        area: in ha, or None.
        others: columns that are not used, for the error.
        source: name of the file.

    Raises:
        SchemaError: neither a yield nor production and area.
    """
    if "yield_kg_ha" in values:
        return False
    if area is None or "production_t" not in values:
        reasons = "; ".join(filter(None, map(reason, others)))
        raise SchemaError(
            f"{source}: expected a yield (yield_kg_ha, yield_t_ha, yield_sc_ha), or production_t and "
            f"area_harvested_ha, received {shown([*sorted(values), *others]) or 'no other column'}"
            f"{'; ' if reasons else ''}{reasons}",
            "Add the yield, with its unit in the column's name.",
        )
    values["yield_kg_ha"] = values["production_t"] * 1000 / np.where(area > 0, area, np.nan)
    return True


def warn_of_contradiction(values: dict[str, NDArray[np.float64]], report: ImportLog, table: str) -> None:
    """Note yields that are not production / harvested area, as when one column has another unit."""
    if not {"yield_kg_ha", "production_t", "area_harvested_ha"} <= set(values):
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = values["yield_kg_ha"] * values["area_harvested_ha"] / (values["production_t"] * 1000)
    ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
    median = float(np.median(ratio)) if len(ratio) else 1.0
    if not 1 / _CONTRADICTION <= median <= _CONTRADICTION:
        text = f"yield is {median:.3g} times production / harvested area (median): is one in another unit?"
        report.warnings.append((table, text, len(ratio)))


def check_magnitudes(
    yields: NDArray[np.float64], crop: pd.Series[str], source: str, report: ImportLog, table: str
) -> None:
    """Refuse a crop whose median yield is that of another unit, and note one that is only strange.

    Args:
        yields: kg/ha, above zero.
        crop: of each yield.
        source: name of the file, for errors.
        report, table: gets strange medians, under this table.

    Raises:
        SchemaError: a median beyond what any region has, and within it if the unit is another one.
    """
    medians = pd.Series(yields).groupby(crop.to_numpy()).median()
    for name, median in medians.items():
        known = names.crops().get(str(name))
        low, high = (known.lowest_kg_ha, known.highest_kg_ha) if known else (_LOWEST_MEDIAN_kg_ha, np.inf)
        if low <= median <= high:
            continue
        units = " or ".join(unit for unit, kg in _OTHER_UNITS.items() if low <= median * kg <= high)
        expected = f"{low:g} to {high:g}" if known else f"{low:g} or more"
        text = f"{name}: a median yield of {median:.4g} kg/ha, expected {expected}"
        if units or median > high or median < _LOWEST_MEDIAN_kg_ha:
            raise SchemaError(
                f"{source}: {text}{f': are these {units}?' if units else ''}",
                "Name the column with its unit: yield_t_ha, yield_sc_ha (sacks of 60 kg), yield_bu_ac.",
            )
        report.warnings.append((table, text, int((crop == name).sum())))
