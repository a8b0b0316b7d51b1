"""A forecast as CSV: headings, numbers and words of the reader's language."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import xarray as xr

from yieldcast import labels
from yieldcast.disk import atomic_text
from yieldcast.exports_columns import aggregate_table, digits, localised, municipality_table

# A text that a spreadsheet would take for a formula (CWE-1236): one that begins with these marks, also after
# spaces, also behind a separator, where a program that reads the file with the other separator begins a cell.
_FORMULA = re.compile(r"(^|[,;\t\r\n])(?=[\t\r]|\s*[=+\-@＝＋－＠])")


def write_csv(folder: Path, forecast: xr.Dataset, lang: str) -> list[Path]:
    """Write ``forecast.csv`` (municipalities) and ``forecast-aggregates.csv`` (country and states).

    English: comma and decimal point. Portuguese: semicolon and decimal comma. A missing value is an empty
    cell. A text that begins like a formula (``= + - @``, tab) gets an apostrophe in front: Excel and
    LibreOffice then show it as text; a program that reads the file sees the apostrophe too.

    Args:
        folder: exists.
        forecast: a checked table.
        lang: en or pt.

    Raises:
        ConfigError: an unknown language.
        MissingDataError: the disk refuses.
    """
    tables = {
        "forecast.csv": municipality_table(forecast),
        "forecast-aggregates.csv": aggregate_table(forecast),
    }
    # Excel takes a UTF-8 file without this mark for one of the Windows code page: São becomes SÃ£o. Only in
    # Portuguese, whose file is made for Excel: other readers glue the mark to the first heading.
    mark = "\ufeff" if lang == "pt" else ""
    for name, table in tables.items():
        shown = localised(table, lang, forecast.attrs["country"])
        cells = [[labels.column(key, lang), *_cells(key, values, lang)] for key, values in shown.items()]
        out = io.StringIO(newline="")
        # RFC 4180: CRLF, and quotes where a text holds the separator, a quote or a line end
        csv.writer(out, delimiter=";" if lang == "pt" else ",").writerows(zip(*cells, strict=True))
        atomic_text(folder / name, mark + out.getvalue())
    return [folder / name for name in tables]


def _cells(key: str, values: Any, lang: str) -> Iterator[str]:
    kind = values.dtype.kind
    if kind == "f":
        places = digits(key)
        return ("" if v != v else labels.number(v, places, lang, group=False) for v in values.tolist())
    if kind == "M":
        return (labels.date(day, lang) for day in values.tolist())
    if kind == "U":
        return (_FORMULA.sub(r"\1'", text) for text in values.tolist())
    return map(str, values.tolist())
