"""A table as a CSV file or an Excel workbook in memory: typed columns, no text that becomes a formula."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from yieldcast.language import Language
from yieldcast.reporting import spreadsheets

Cell = str | int | float | Decimal | dt.date | dt.datetime | None
Kind = Literal["text", "count", "share", "amount", "number", "moment"]
_FORMATS: dict[Kind, str] = {
    "text": "General", "count": "#,##0", "share": "0.0%", "amount": "#,##0.00", "number": "#,##0.0##",
}  # fmt: skip
_DIGITS = {"share": 4, "amount": 2, "number": 3}
_WIDTHS: dict[Kind, float] = {
    "text": 26, "count": 12, "share": 12, "amount": 16, "number": 12, "moment": 19,
}  # fmt: skip
_HEADING_FILL = "#DDE8E2"  # that of the workbooks of forecasts


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        heading: in the reader's language.
        kind: shares lie between 0 and 1, amounts are money, moments are in UTC.
        values: one a row; None is an empty cell.
    """

    heading: str
    kind: Kind
    values: Sequence[Cell]


def csv_file(columns: Sequence[Column], words: Language) -> bytes:
    """A CSV file as the language writes numbers: semicolons and decimal commas in Portuguese.

    A text that begins like a formula gets an apostrophe in front, as in the files of forecasts.
    """
    mark, separator = ("\ufeff", ";") if words.decimal_comma else ("", ",")
    cells = [
        [_text(column.heading), *(_csv(v, column.kind, words) for v in column.values)] for column in columns
    ]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator).writerows(zip(*cells, strict=True))
    return (mark + out.getvalue()).encode("utf-8")


def _csv(value: Cell, kind: Kind, words: Language) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dt.date):
        return _utc(value).isoformat(sep=" ", timespec="minutes") if kind == "moment" else value.isoformat()
    if kind == "count":
        return str(int(value))
    return words.number(float(value), _DIGITS[kind], group=False)


def _text(text: str) -> str:
    return spreadsheets.escaped(text)


def xlsx_file(columns: Sequence[Column], sheet: str, title: str, words: Language) -> bytes:
    """An Excel workbook with one sheet: headings that stay, filters, formats by kind.

    Args:
        columns: of the table, one or more.
        sheet: its name, at most 31 characters.
        title: of the file.
        words: of the reader; dates are shown as its language does.

    Raises:
        ConfigError: XlsxWriter is not installed.
    """
    spreadsheets.check_library()
    import xlsxwriter

    buffer = io.BytesIO()
    book: Any = xlsxwriter.Workbook(buffer, {"in_memory": True, "default_date_format": words.date_pattern})
    book.set_properties({"title": spreadsheets.clean(title), "author": "yieldcast"})
    page = book.add_worksheet(sheet)
    heading = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bg_color": _HEADING_FILL})
    quoted = book.add_format({"quote_prefix": True})
    page.freeze_panes(1, 1)
    page.autofilter(0, 0, max(len(columns[0].values), 1), len(columns) - 1)
    for at, column in enumerate(columns):
        shape = _FORMATS.get(column.kind, f"{words.date_pattern} hh:mm")
        plain = book.add_format({"num_format": shape})
        page.set_column(at, at, _WIDTHS[column.kind])
        page.write_string(0, at, spreadsheets.clean(column.heading), heading)
        for row, value in enumerate(column.values, 1):
            _write(page, row, at, value, plain, quoted)
    page.set_landscape()
    page.fit_to_pages(1, 0)
    page.repeat_rows(0)
    book.close()
    return buffer.getvalue()


def _write(page: Any, row: int, at: int, value: Cell, plain: Any, quoted: Any) -> None:
    """One method per type: the general `write` would make formulas and links of texts."""
    if value is None:
        return
    if isinstance(value, str):
        shape = quoted if spreadsheets.begins_like_formula(value) else plain
        page.write_string(row, at, spreadsheets.clean(value), shape)
    elif isinstance(value, dt.date):
        page.write_datetime(row, at, _utc(value), plain)
    else:
        page.write_number(row, at, float(value), plain)


def _utc(value: dt.date) -> dt.datetime:
    """Without a zone, as spreadsheets know no zones."""
    if not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day)
    return value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
