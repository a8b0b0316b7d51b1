"""A forecast for spreadsheets: CSV files, and an Excel workbook that also explains every column."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from yieldcast import language
from yieldcast.data.files import atomic_text, atomic_write
from yieldcast.errors import ConfigError
from yieldcast.language import Language
from yieldcast.reporting import labels
from yieldcast.reporting.column_labels import COLUMNS
from yieldcast.reporting.tables import Table, aggregate_table, digits, localised, municipality_table

# Where a spreadsheet would read a formula in a CSV file (CWE-1236): at the start of a text that begins with
# one of these marks, also after spaces, and also after a comma or semicolon, where a program that reads the
# file with the other separator begins a new cell.
_CSV_FORMULA = re.compile(r"(^|[,;\t\r\n])(?=[\t\r]|\s*[=+\-@＝＋－＠])")

_XLSX_FORMULA = tuple("=+-@\t")
_NUMBER_FORMATS = {"%": "0.0", "°C": "0.0", "°": "0.0000", "": "0"}  # by unit; any other in whole units
# Column widths in characters, as narrow as the longest value allows: the whole table is printed on one page.
_WIDTH, _WIDTHS = 10.5, {"name": 26, "aggregate": 18, "region": 13, "code": 9.5, "state": 7, "level": 8}
_WIDE_UNITS = {"ha": 12.5, "t": 13.5}
_HEADING_HEIGHT = 105  # points, seven lines
_A4, _LONGEST_MARK = (
    9,
    200,
)  # paper; characters of a header or footer, of which Excel allows 255 with its codes
_CENTRED = ("state", "municipalities", "harvest_year", "synthetic", "own_history")
_LAST_FROZEN = ("state", "aggregate")  # of municipalities; of the country and its states
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # characters that XML, and so a workbook, cannot hold
_HEADING_FILL, _SYNTHETIC_TAB = "#DDE8E2", "#C0392B"


def write_csv(folder: Path, forecast: xr.Dataset, lang: str) -> list[Path]:
    """Write ``forecast.csv`` (municipalities) and ``forecast-aggregates.csv`` (country and states).

    Decimal comma and semicolon where the language writes numbers so (Portuguese), otherwise decimal point and
    comma. A missing value is an empty cell. A text that begins like a formula (``= + - @``, tab) gets an
    apostrophe in front: Excel and LibreOffice then show it as text; a program that reads the file sees the
    apostrophe too.

    Args:
        folder: existing folder.
        forecast: a checked table.
        lang: language.

    Raises:
        ConfigError: an unknown language.
        MissingDataError: the disk refuses.
    """
    tables = {
        "forecast.csv": municipality_table(forecast),
        "forecast-aggregates.csv": aggregate_table(forecast),
    }
    return [
        write_table(folder / name, table, str(forecast.attrs["country"]), lang)
        for name, table in tables.items()
    ]


def write_table(path: Path, table: Table, country: str, lang: str) -> Path:
    """Write one table as CSV, see `write_csv`.

    Args:
        path: file to write.
        table: its columns.
        country: the forecast's attribute ``country``.
        lang: language.

    Raises:
        ConfigError: an unknown language.
        MissingDataError: the disk refuses.
    """
    # Without this mark Excel reads a UTF-8 file in the Windows code page: São becomes SÃ£o. Only files with
    # decimal commas, made for Excel, have it: other readers would take it for a part of the first heading.
    words = language.of(lang)
    mark, separator = ("\ufeff", ";") if words.decimal_comma else ("", ",")
    shown = localised(table, lang, country)
    cells = [[labels.column(key, lang), *_csv_cells(key, values, words)] for key, values in shown.items()]
    out = io.StringIO(newline="")
    # RFC 4180: CRLF, and quotes where a text holds the separator, a quote or a line end
    csv.writer(out, delimiter=separator).writerows(zip(*cells, strict=True))
    atomic_text(path, mark + out.getvalue())
    return path


def _csv_cells(key: str, values: Any, words: Language) -> Iterator[str]:
    kind = values.dtype.kind
    if kind == "f":
        places = digits(key)
        return ("" if v != v else words.number(v, places, group=False) for v in values.tolist())
    if kind == "M":
        return (words.date(day) for day in values.tolist())
    if kind == "U":
        return map(escaped, values.tolist())
    return map(str, values.tolist())


def escaped(text: str) -> str:
    """A text for a cell of a CSV file, see `write_csv`."""
    return _CSV_FORMULA.sub(r"\1'", text)


def begins_like_formula(text: str) -> bool:
    """Whether the cell of a workbook needs the mark that keeps it a text when it is edited."""
    return text.startswith(_XLSX_FORMULA)


def check_library() -> None:
    """Raise ConfigError if XlsxWriter is not installed."""
    try:
        import xlsxwriter  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "xlsx needs XlsxWriter, which is not installed",
            "Install it with: pip install 'yieldcast[report]'",
        ) from error


def write_xlsx(path: Path, forecast: xr.Dataset, lang: str) -> Path:
    """Write a workbook of four sheets: municipalities, country and states, columns, about the forecast.

    A text that begins like a formula is stored unchanged as a text, with the mark (quote prefix) that keeps
    it a text when its cell is edited. The same forecast gives the same bytes.

    Args:
        path: file to write.
        forecast: a checked table.
        lang: language.

    Raises:
        ConfigError: XlsxWriter is not installed, or an unknown language.
        MissingDataError: the disk refuses.
    """
    tables = (municipality_table(forecast), aggregate_table(forecast))
    attrs = labels.facts(forecast)
    return write_workbook(path, tables, attrs, labels.title(attrs, lang), lang)


def write_workbook(
    path: Path, tables: tuple[Table, Table], attrs: Mapping[str, Any], title: str, lang: str
) -> Path:
    """Write municipalities, country and states, columns and facts, see `write_xlsx`.

    Args:
        path: file to write.
        tables: of municipalities, and of the country and its states.
        attrs: facts of the forecast, see `labels.facts`.
        title: of the file, printed on every page.
        lang: language.

    Raises:
        ConfigError, MissingDataError: see `write_xlsx`.
    """
    check_library()
    import xlsxwriter

    buffer = io.BytesIO()
    book: Any = xlsxwriter.Workbook(buffer, {"in_memory": True})
    created = dt.datetime.fromisoformat(attrs["as_of"])  # the time of writing would change the bytes
    facts = {"title": title, "author": attrs["made_with"]}
    book.set_properties({**{name: clean(str(text)) for name, text in facts.items()}, "created": created})
    words = language.of(lang)
    synthetic = words.gettext("synthetic data")
    names = (words.gettext("municipalities"), words.gettext("states"))
    for name, table, last_frozen in zip(names, tables, _LAST_FROZEN, strict=True):
        # in the tab it stays visible wherever a reader scrolls
        sheet = book.add_worksheet(f"{name} ({synthetic})" if attrs["synthetic"] else name)
        if attrs["synthetic"]:
            sheet.set_tab_color(_SYNTHETIC_TAB)
        _add_table(book, sheet, localised(table, lang, attrs["country"]), lang, last_frozen)
    _add_columns(book, tables, lang)
    _add_about(book, attrs, lang)
    for sheet in book.worksheets():
        _set_printing(sheet, facts["title"], f"{attrs['made_with']} · {attrs['licence']}")
    book.close()
    atomic_write(path, lambda temporary: temporary.write_bytes(buffer.getbuffer()))
    return path


def _set_printing(sheet: Any, title: str, source: str) -> None:
    """Landscape A4, all columns on one page; headings, title, source and page number on every page."""
    above, below = (clean(text)[:_LONGEST_MARK].replace("&", "&&") for text in (title, source))
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.fit_to_pages(1, 0)  # as many pages high as there are rows for
    sheet.set_margins(left=0.4, right=0.4, top=0.75, bottom=0.6)  # inches
    sheet.set_header(f"&L{above}&R&A")
    sheet.set_footer(f"&L{below}&R&P / &N")
    sheet.repeat_rows(0)


def _add_table(book: Any, sheet: Any, table: Table, lang: str, last_frozen: str) -> None:
    """Write one row per place; the headings and the columns up to `last_frozen` do not scroll."""
    rows = len(next(iter(table.values())))
    heading, quoted = _bold(book), book.add_format({"quote_prefix": True})
    sheet.freeze_panes(1, [*table].index(last_frozen) + 1)
    sheet.autofilter(0, 0, rows, len(table) - 1)
    sheet.set_row(0, _HEADING_HEIGHT)
    sheet.ignore_errors({"number_stored_as_text": f"A2:A{rows + 1}"})  # codes: no green warning corners
    for column, (key, values) in enumerate(table.items()):
        kind = values.dtype.kind
        shape = {"num_format": _number_format(kind, key, lang)}
        if kind == "M" or key in _CENTRED:
            shape["align"] = "center"
        plain = book.add_format(shape)
        sheet.set_column(column, column, _WIDTHS.get(key) or _WIDE_UNITS.get(COLUMNS[key].unit, _WIDTH))
        sheet.write_string(0, column, labels.column(key, lang), heading)
        # One method per kind: the general `write` would make formulas and links of texts.
        for row, value in enumerate(values.tolist(), 1):
            if kind == "U":
                sheet.write_string(row, column, clean(value), quoted if begins_like_formula(value) else plain)
            elif kind == "M":
                sheet.write_datetime(row, column, value, plain)
            elif value == value:
                sheet.write_number(row, column, value, plain)


def _number_format(kind: str, key: str, lang: str) -> str:
    label = COLUMNS[key]
    if label.digits is not None and kind == "f":
        return f"0.{'0' * label.digits}"
    return {"U": "General", "M": language.of(lang).date_pattern}.get(kind) or _NUMBER_FORMATS.get(
        label.unit, "#,##0"
    )


def _add_columns(book: Any, tables: Iterable[Table], lang: str) -> None:
    """Write a row for every column of the other sheets: heading, unit, meaning, name in GeoPackage."""
    words = language.of(lang)
    sheet = book.add_worksheet(words.gettext("units"))
    sheet.freeze_panes(1, 0)
    headings = [
        words.gettext("Column"), words.gettext("Unit"), words.gettext("Meaning"),
        words.gettext("Name in GeoPackage and GeoJSON"),
    ]  # fmt: skip
    keys = dict.fromkeys(key for table in tables for key in table)
    rows = [(labels.column(key, lang), COLUMNS[key].unit, labels.meaning(key, lang), key) for key in keys]
    for row, texts in enumerate([headings, *rows]):
        shape = _bold(book) if row == 0 else _wrapped(book)
        _add_texts(sheet, row, texts, [shape] * 4, (50, 9, 95, 32))


def _add_about(book: Any, attrs: Mapping[str, Any], lang: str) -> None:
    """Write a row for every attribute of the forecast."""
    sheet = book.add_worksheet(language.of(lang).gettext("about"))
    for row, texts in enumerate(labels.about(attrs, lang)):
        _add_texts(sheet, row, texts, [_bold(book), _wrapped(book)], (38, 110))


def _add_texts(
    sheet: Any, row: int, texts: Sequence[str], formats: Sequence[Any], widths: Sequence[int]
) -> None:
    """Write a row of texts in columns of these widths (characters), high enough for texts that wrap."""
    lines = [len(text) // width + 1 for text, width in zip(texts, widths, strict=True)]
    sheet.set_row(row, 15 * min(max(lines), 20))
    for column, text in enumerate(texts):
        sheet.set_column(column, column, widths[column])
        sheet.write_string(row, column, clean(text), formats[column])


def _bold(book: Any) -> Any:
    return book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bg_color": _HEADING_FILL})


def _wrapped(book: Any) -> Any:
    return book.add_format({"text_wrap": True, "valign": "top"})


def clean(text: str) -> str:
    """A text without the characters that a workbook cannot hold."""
    return _CONTROL.sub("\ufffd", text)
