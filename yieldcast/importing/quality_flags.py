"""Quality flags of vegetation observations: whether the ground was seen, as words, numbers or bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calendars import names
from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog, shown
from yieldcast.importing.headings import key
from yieldcast.language import message, sentence

Flags = NDArray[np.bool_]
_CLEAR_WORDS = frozenset(
    ("clear", "good", "ok", "valid", "best", "high", "high quality", "cloud free", "cloudfree", "no cloud",
     "true", "yes", "limpo", "limpa", "bom", "boa", "valido", "valida", "ceu limpo", "claro", "sem nuvem",
     "sem nuvens", "sim", "vegetation", "land", "alta", "verdadeiro")
)  # fmt: skip
_OTHER_WORDS = frozenset(
    ("cloud", "cloudy", "clouds", "shadow", "cloud shadow", "adjacent", "adjacent cloud", "adjacent to cloud",
     "cirrus", "thin cirrus", "haze", "snow", "ice", "snow ice", "snow or ice", "water", "fill", "bad",
     "poor", "low", "marginal", "invalid", "masked", "no data", "nodata", "saturated", "partly cloudy",
     "false", "no", "nuvem", "nuvens", "nublado", "nublada", "com nuvem", "sombra", "sombra de nuvem",
     "neblina", "neve", "agua", "ruim", "invalido", "invalida", "nao", "baixa", "sem dados", "falso",
     "aerosol", "high aerosol", "medium", "media")
)  # fmt: skip
# Words for what a number of 1 says, by the words of the heading.
_ONE_IS_CLEAR = ("clear", "valid", "valido", "good", "usable", "limpo")
_ONE_IS_CLOUD = ("cloud", "cloudy", "clouds", "nuvem", "nuvens")
# HLS v2.0 user guide (LP DAAC, 2023), table 9, Fmask: bit 0 cirrus (reserved), 1 cloud, 2 adjacent to
# cloud or shadow, 3 cloud shadow, 4 snow or ice, 5 water, 6-7 aerosol; 255 no data. Xavier et al. (2026),
# section 2.2.2, keep only what none of the first six marks.
_FMASK_BITS, _FMASK_FILL = 0b0011_1111, 255
# MOD13 (Collection 6.1 user guide, table 5): 0 good, 1 marginal, 2 snow or ice, 3 cloudy, -1 no data.
_RELIABILITY = {0: True, 1: False, 2: False, 3: False, -1: False, 255: False}
# Sentinel-2 scene classification (level 2A, ESA): 4 vegetation and 5 bare soil, of 0 to 11.
_SCL = {code: code in (4, 5) for code in range(12)}
_TELLING = 0.05  # mean NDVI by which clear observations must exceed the others where only that tells


def clear_flags(
    cells: pd.Series[str], source: str, value: NDArray[np.float64], report: ImportLog, table: str
) -> Flags:
    """(row,) whether the ground was seen.

    Words are those of `_CLEAR_WORDS` and `_OTHER_WORDS`. Numbers are read by the heading: ``fmask`` holds the
    bits of HLS, ``summaryqa`` and ``pixel_reliability`` the ranks of MOD13, ``scl`` the classes of
    Sentinel-2; 1 is clear in ``clear`` or ``valid`` and cloudy in ``cloud``. Where the heading does not tell
    (``quality``, ``flag``, ``qa`` with 0 and 1), it is the number with the clearly higher mean index that
    is clear.

    Args:
        cells: the column of flags, indexed by line.
        source: name of the file, for errors.
        value: (row,) index of vegetation, NaN where missing.
        report, table: gets how the flags were read.

    Raises:
        SchemaError: an empty or unknown flag, or numbers that nothing explains.
    """
    heading = str(cells.name)
    texts = cells.str.strip()
    if (empty := texts.eq("")).any():
        raise SchemaError(
            f"{source}: line {empty.idxmax()}, column {heading!r} is empty ({int(empty.sum())} such lines)",
            "Every observation with a value needs its quality flag.",
        )
    place, unique = pd.factorize(texts)
    numeric = pd.to_numeric(pd.Series(unique), errors="coerce").to_numpy(dtype=np.float64)
    if np.isnan(numeric).all():
        meaning = _of_words([str(text) for text in unique], cells, source)
    else:
        meaning = _of_numbers(numeric, unique, place, cells, source, value, report, table)
    clear = np.asarray(meaning)[place]
    said = {bool(mean): shown(unique[np.asarray(meaning) == mean], 6) for mean in set(meaning)}
    for mean, text in (
        (True, message("flags of {heading} read as clear: {flags}")),
        (False, message("flags of {heading} read as not clear: {flags}")),
    ):
        if mean in said:
            line = sentence(text, heading=heading, flags=said[mean])
            report.read.append((table, line, int((clear == mean).sum())))
    return np.asarray(clear, dtype=bool)


def _of_words(unique: list[str], cells: pd.Series[str], source: str) -> list[bool]:
    found = [names.plain(text) for text in unique]
    unknown = [
        text for text, word in zip(unique, found, strict=True) if word not in _CLEAR_WORDS | _OTHER_WORDS
    ]
    if unknown:
        raise _unknown(unknown, cells, source, "words such as clear, good, cloud, shadow, snow")
    return [word in _CLEAR_WORDS for word in found]


def _of_numbers(
    numbers: NDArray[np.float64],
    unique: NDArray[np.object_],
    place: NDArray[np.intp],
    cells: pd.Series[str],
    source: str,
    value: NDArray[np.float64],
    report: ImportLog,
    table: str,
) -> list[bool]:
    heading = key(str(cells.name))
    words = heading.split("_")
    whole = np.isfinite(numbers) & (numbers == np.floor(numbers))
    if not whole.all():
        raise _unknown(list(unique[~whole]), cells, source, "whole numbers, or words, in the whole column")
    codes = numbers.astype(np.int64)
    if "fmask" in words:
        inside, clear = (
            (codes >= 0) & (codes <= _FMASK_FILL),
            (codes & _FMASK_BITS == 0) & (codes != _FMASK_FILL),
        )
        return _known(inside, clear, unique, cells, source, "bits of HLS Fmask, 0 to 255")
    for marks, known, expected in (
        (("summaryqa", "summary", "reliability"), _RELIABILITY, "ranks of MOD13: 0, 1, 2, 3, -1"),
        (("scl",), _SCL, "classes of Sentinel-2: 0 to 11"),
    ):
        if set(marks) & set(words):
            inside = np.isin(codes, list(known))
            clear = np.array([known.get(int(code), False) for code in codes])
            return _known(inside, clear, unique, cells, source, expected)
    inside, expected = np.isin(codes, (0, 1)), "0 and 1, or a heading that explains the numbers (fmask, scl)"
    if set(_ONE_IS_CLOUD) & set(words):
        return _known(inside, codes == 0, unique, cells, source, expected)
    if set(_ONE_IS_CLEAR) & set(words):
        return _known(inside, codes == 1, unique, cells, source, expected)
    _known(inside, codes == 1, unique, cells, source, expected)
    return _by_value(codes, place, cells, source, value, report, table)


def _by_value(
    codes: NDArray[np.int64],
    place: NDArray[np.intp],
    cells: pd.Series[str],
    source: str,
    value: NDArray[np.float64],
    report: ImportLog,
    table: str,
) -> list[bool]:
    """Which of 0 and 1 is clear, by the mean index of the observations with each."""
    flags = codes[place]
    groups = [value[(flags == one) & ~np.isnan(value)] for one in (0, 1)]
    means = [float(group.mean()) if len(group) else np.nan for group in groups]
    if not abs(means[1] - means[0]) >= _TELLING:
        raise SchemaError(
            f"{source}: column {str(cells.name)!r}: expected flags whose meaning is clear, received 0 and 1, "
            f"with mean indices of {means[0]:.3f} and {means[1]:.3f}",
            "Name the column clear, where 1 is clear, or cloud, where 1 is cloud; or write words.",
        )
    clear = int(means[1] > means[0])
    text = message("{heading}: {clear} read as clear, by mean indices of {zero} for 0 and {one} for 1")
    values = {"zero": f"{means[0]:.2f}", "one": f"{means[1]:.2f}"}
    line = sentence(text, heading=str(cells.name), clear=clear, **values)
    report.warnings.append((table, line, len(cells)))
    return [bool(code == clear) for code in codes]


def _known(
    inside: Flags,
    clear: Flags,
    unique: NDArray[np.object_],
    cells: pd.Series[str],
    source: str,
    expected: str,
) -> list[bool]:
    if not inside.all():
        raise _unknown(list(unique[~inside]), cells, source, expected)
    return [bool(one) for one in clear]


def _unknown(unknown: Sequence[object], cells: pd.Series[str], source: str, expected: str) -> SchemaError:
    wrong = cells.str.strip().isin([str(one) for one in unknown])
    return SchemaError(
        f"{source}: line {wrong.idxmax()}, column {str(cells.name)!r}: expected quality flags as {expected}, "
        f"received {shown(map(repr, unknown), 5)} ({int(wrong.sum())} such lines)",
        "Write clear for observations of the ground, and cloud for all others.",
    )
