"""The only table of a spreadsheet (XLSX) as rows of texts."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.numbers import Exact
from yieldcast.importing.reading import Row

_MOST_CELLS = 2_000_000


def read_sheet(path: Path, where: str, report: ImportLog, table: str) -> list[Row]:
    """Rows of the only sheet that has a table; numbers are `Exact`.

    Args:
        path: an XLSX file.
        where: its name, for errors.
        report: gets the names of sheets that are not read.
        table: that is made of it.

    Raises:
        MissingDataError: openpyxl is not installed.
        SchemaError: damaged, no table, several tables, or too many cells.
    """
    try:
        import openpyxl
    except ModuleNotFoundError as error:
        raise MissingDataError(
            f"{where}: reading a spreadsheet needs openpyxl, which is not installed",
            "Install it: pip install 'yieldcast[report]'; or save the sheet as CSV in UTF-8.",
        ) from error
    try:
        with path.open("rb") as file:  # openpyxl refuses names without the usual ending
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            sheets = {sheet.title: _rows(sheet, where) for sheet in book.worksheets}
    except SchemaError:
        raise
    except Exception as error:  # openpyxl raises many kinds on a damaged file
        raise SchemaError(
            f"{where}: a damaged spreadsheet: {error}", "Save it again as XLSX or CSV."
        ) from error
    held = {title: rows for title, rows in sheets.items() if len(rows) > 1}
    wide = {title: rows for title, rows in held.items() if max(_filled(row) for row in rows) > 1}
    if len(wide) != 1:
        raise SchemaError(
            f"{where}: expected one sheet with a table, received {len(wide)} of {', '.join(sheets)}",
            "Save the sheet with the table as CSV, or as a spreadsheet of its own.",
        )
    title, rows = next(iter(wide.items()))
    if len(sheets) > 1:
        others = ", ".join(name for name in sheets if name != title)
        report.read.append((table, f"sheet {title}; sheets not read: {others}", len(sheets) - 1))
    width = max(len(row.cells) for row in rows)
    return [Row(row.line, row.cells + [""] * (width - len(row.cells))) for row in rows]


def _filled(row: Row) -> int:
    return sum(1 for cell in row.cells if cell)


def _rows(sheet: Any, where: str) -> list[Row]:
    """Rows that are not blank, without the empty cells at their ends."""
    if not hasattr(sheet, "reset_dimensions"):  # a sheet of a chart
        return []
    sheet.reset_dimensions()  # a file may claim more rows and columns than it has
    rows, cells = [], 0
    for line, values in enumerate(sheet.iter_rows(values_only=True), 1):
        texts = [_text(value) for value in values]
        while texts and not texts[-1]:
            texts.pop()
        cells += len(texts)
        if cells > _MOST_CELLS:
            raise SchemaError(f"{where}: a sheet with more than {_MOST_CELLS:,} cells", "Give it as CSV.")
        if texts:
            rows.append(Row(line, texts))
    return rows


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return Exact(int(value) if float(value).is_integer() else repr(value))
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()[:10]
    return str(value).strip()
