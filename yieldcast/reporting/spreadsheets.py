"""A forecast as an Excel workbook: numbers with formats, what every column means, and how it was made."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from yieldcast.data.files import atomic_text, atomic_write
from yieldcast.errors import ConfigError
from yieldcast.reporting import labels
from yieldcast.reporting.column_labels import COLUMNS
from yieldcast.reporting.tables import Table, aggregate_table, digits, localised, municipality_table

_FORMATS = {"%": "0.0", "°C": "0.0", "°": "0.0000", "": "0"}  # by unit; all others in whole units
_DATES = {"en": "yyyy-mm-dd", "pt": "dd/mm/yyyy"}
_WIDTHS = {"name": 26, "aggregate": 14, "region": 14, "code": 12, "state": 7, "level": 8, "crop": 14}
_CENTRED = ("state", "municipalities", "harvest_year", "synthetic", "own_history")
_LAST_FROZEN = {"municipalities": "state", "states": "aggregate"}
_FORMULA = tuple("=+-@\t")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # not allowed in XML, so neither in a workbook
_FILL, _WARNING = "#DDE8E2", "#C0392B"  # of the headings; of the tabs of synthetic data


def check_library() -> None:
    """Raise ConfigError where XlsxWriter is not installed."""
    try:
        import xlsxwriter  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "xlsx needs XlsxWriter, which is not installed",
            "Install it with: pip install 'yieldcast[report]'",
        ) from error


def write_xlsx(path: Path, forecast: xr.Dataset, lang: str) -> Path:
    """Write a workbook: municipalities, country and states, what each column means, about the forecast.

    A text that begins like a formula is stored as a text, and marked so that it stays one when it is edited;
    nothing is added to it. The same forecast gives the same bytes.

    Args:
        path: file to write.
        forecast: a checked table.
        lang: en or pt.

    Raises:
        ConfigError: XlsxWriter is not installed, or an unknown language.
        MissingDataError: the disk refuses.
    """
    check_library()
    import xlsxwriter

    whole = io.BytesIO()
    book: Any = xlsxwriter.Workbook(whole, {"in_memory": True})
    attrs = forecast.attrs
    created = dt.datetime.fromisoformat(attrs["as_of"])  # the clock would make every file another one
    facts = {"title": labels.title(attrs, lang), "author": attrs["made_with"]}
    book.set_properties({**{name: _clean(str(text)) for name, text in facts.items()}, "created": created})
    tables = {"municipalities": municipality_table(forecast), "states": aggregate_table(forecast)}
    for name, table in tables.items():
        title = labels.text(name, lang)
        if attrs["synthetic"]:  # on the tab it stays in sight however far a reader scrolls
            title = f"{title} ({labels.text('synthetic', lang)})"
        sheet = book.add_worksheet(title)
        if attrs["synthetic"]:
            sheet.set_tab_color(_WARNING)
        _add_table(book, sheet, localised(table, lang, attrs["country"]), lang, _LAST_FROZEN[name])
    _add_units(book, tables.values(), lang)
    _add_about(book, attrs, lang)
    book.close()
    atomic_write(path, lambda temporary: _write(temporary, whole))
    return path


def _write(path: Path, whole: io.BytesIO) -> None:
    path.write_bytes(whole.getbuffer())


def _add_table(book: Any, sheet: Any, table: Table, lang: str, last_frozen: str) -> None:
    """One row per place; the headings and the columns to `last_frozen` stay in sight."""
    rows = len(next(iter(table.values())))
    heading, quoted = _bold(book), book.add_format({"quote_prefix": True})
    sheet.freeze_panes(1, [*table].index(last_frozen) + 1)
    sheet.autofilter(0, 0, rows, len(table) - 1)
    sheet.set_row(0, 75)
    sheet.ignore_errors({"number_stored_as_text": f"A2:A{rows + 1}"})  # codes: no green corners
    for column, (key, values) in enumerate(table.items()):
        kind = values.dtype.kind
        shape = {"num_format": _number_format(kind, COLUMNS[key].unit, lang)}
        if kind == "M" or key in _CENTRED:
            shape["align"] = "center"
        plain = book.add_format(shape)
        sheet.set_column(column, column, _WIDTHS.get(key, 14))
        sheet.write_string(0, column, labels.column(key, lang), heading)
        # Each kind by its own method: `write` would guess, and make formulas and links of texts.
        for row, value in enumerate(values.tolist(), 1):
            if kind == "U":
                sheet.write_string(
                    row, column, _clean(value), quoted if value.startswith(_FORMULA) else plain
                )
            elif kind == "M":
                sheet.write_datetime(row, column, value, plain)
            elif value == value:
                sheet.write_number(row, column, value, plain)


def _number_format(kind: str, unit: str, lang: str) -> str:
    return {"U": "General", "M": _DATES[lang]}.get(kind) or _FORMATS.get(unit, "#,##0")


def _add_units(book: Any, tables: Iterable[Table], lang: str) -> None:
    """A line for every column of the other sheets: heading, unit, meaning, name in files for machines."""
    sheet = book.add_worksheet(labels.text("units", lang))
    sheet.freeze_panes(1, 0)
    headings = [labels.text(key, lang) for key in ("column", "unit", "meaning", "machine_name")]
    keys = dict.fromkeys(key for table in tables for key in table)
    lines = [(labels.column(key, lang), COLUMNS[key].unit, labels.meaning(key, lang), key) for key in keys]
    for row, line in enumerate([headings, *lines]):
        shape = _bold(book) if row == 0 else _wrapped(book)
        _add_line(sheet, row, line, [shape] * 4, (50, 9, 95, 32))


def _add_about(book: Any, attrs: Mapping[str, Any], lang: str) -> None:
    sheet = book.add_worksheet(labels.text("about", lang))
    for row, line in enumerate(labels.about(attrs, lang)):
        _add_line(sheet, row, line, [_bold(book), _wrapped(book)], (38, 110))


def _add_line(
    sheet: Any, row: int, line: Sequence[str], formats: Sequence[Any], widths: Sequence[int]
) -> None:
    """A row of texts in columns of these widths (characters), high enough for those that have to wrap."""
    lines = [len(text) // width + 1 for text, width in zip(line, widths, strict=True)]
    sheet.set_row(row, 15 * min(max(lines), 20))
    for column, text in enumerate(line):
        sheet.set_column(column, column, widths[column])
        sheet.write_string(row, column, _clean(text), formats[column])


def _bold(book: Any) -> Any:
    return book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bg_color": _FILL})


def _wrapped(book: Any) -> Any:
    return book.add_format({"text_wrap": True, "valign": "top"})


def _clean(text: str) -> str:
    return _CONTROL.sub("\ufffd", text)


# A text that a spreadsheet would take for a formula (CWE-1236): one that begins with these marks, also after
# spaces, also behind a separator, where a program that reads the file with the other separator begins a cell.
_FORMULA_START = re.compile(r"(^|[,;\t\r\n])(?=[\t\r]|\s*[=+\-@＝＋－＠])")


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
        return (_FORMULA_START.sub(r"\1'", text) for text in values.tolist())
    return map(str, values.tolist())
