"""Rows of a user's table to columns: header, titles above it, labels and units below, sources at the end."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from calendars import names
from yieldcast.errors import SchemaError
from yieldcast.importing import pivot
from yieldcast.importing.codes import CODES, FIELD_CODES, WEAK
from yieldcast.importing.columns import ImportLog, shown
from yieldcast.importing.headings import ROLES, column_of, key
from yieldcast.importing.numbers import MISSING, Exact
from yieldcast.importing.reading import Row, read_rows
from yieldcast.language import message, sentence
from yieldcast.variables import Kind

_KNOWN = ROLES | frozenset((*CODES, *FIELD_CODES, *WEAK))
_FIRST_ROWS = 30  # among which the header is looked for
_AS_FORMULA = re.compile(r"""=\s*"(.*)\"""")  # as spreadsheets write a text
# The first words below a table.
_FOOTER = re.compile(
    r"(fontes?|sources?|notas?|notes?|legend[as]*|obs|observa|elabora|atualiza|ultima|updated?|last update"
    r"|gerado|generated|dados|data|tabela|table|copyright|unidades?|units?|simbolos?|symbols?)\b"
)
_KEYS_OF_SIDRA = re.compile(r"NC|NN|MC|MN|V|D\d+[CN]")
_TWICE_ENCODED = re.compile("[ÃÂ][^\\sA-Za-z]")  # CuiabÃ¡ is Cuiabá


def read_frame(path: Path, kind: Kind, table: str, report: ImportLog) -> pd.DataFrame:
    """A table as stripped texts, indexed by line.

    Lines above the header (titles) and below the table (sources, legends) and a second row of labels are left
    out and logged. A table with years as columns, or with one value a row, becomes one with a row for each
    code, crop and harvest year.

    Args:
        path: see `read_rows`.
        kind: of its quantities.
        table: that is made of it.
        report: gets what was left out.

    Raises:
        MissingDataError: no such file.
        SchemaError: no table, lines of different length, a column twice.
    """
    where = f"{path} ({table})"
    rows = [Row(row.line, [_clean(cell) for cell in row.cells]) for row in read_rows(path, table, report)]

    def named(cell: str) -> bool:
        try:
            return bool(cell) and (key(cell) in _KNOWN or column_of(cell, kind) is not None)
        except SchemaError:
            return True

    first = _header(rows, named, where, table, report)
    titles = [cell for row in rows[:first] for cell in row.cells if cell]
    rows = _without_footer(rows[first:], where, table, report)
    if len(rows) < 2:
        raise SchemaError(f"{where}: a header but no rows", "Is this the right file?")
    _refuse_uneven(rows, where)
    if kind == "yields" and (turned := pivot.turned(rows, titles, where)) is not None:
        report.read.append((table, message("turned to a row for each place and harvest year"), len(turned)))
        return turned
    return _frame(rows, where, table, report)


def _clean(cell: str) -> str:
    """A text without spaces around it, without ="...", and decoded once more if it was encoded twice."""
    if isinstance(cell, Exact):
        return cell
    text = cell.strip()
    quoted = _AS_FORMULA.fullmatch(text) if text.startswith("=") else None
    text = quoted[1].strip() if quoted else text
    if not _TWICE_ENCODED.search(text):
        return text
    for encoding in ("cp1252", "latin-1"):
        try:
            return text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return text


def _filled(row: Row) -> list[str]:
    return [cell for cell in row.cells if cell]


def _header(rows: list[Row], named: Callable[[str], bool], where: str, table: str, report: ImportLog) -> int:
    """Position of the header: the first row with two known names, else the first row."""
    counts = [sum(map(named, row.cells)) for row in rows[:_FIRST_ROWS]]
    position = next((k for k, count in enumerate(counts) if count > 1), 0)
    row = rows[position]
    width = len(_filled(row))
    for above in rows[:position]:
        cells = _filled(above)
        if len(cells) > max(1, width // 2) and not all(map(_KEYS_OF_SIDRA.fullmatch, cells)):
            raise SchemaError(
                f"{where}: expected titles above the header on line {row.line}, received the row "
                f"{shown(cells, 4)} on line {above.line}",
                "Remove it, or is the header further above with other names?",
            )
    if position:
        report.read.append(
            (table, sentence("lines above the header left out, first {line}", line=rows[0].line), position)
        )
    return position


def _without_footer(rows: list[Row], where: str, table: str, report: ImportLog) -> list[Row]:
    """Rows up to the first one that names a source or begins a note."""
    for position, row in enumerate(rows[1:], 1):
        cells = _filled(row)
        if len(cells) == 1 and row.cells[0] and _FOOTER.match(names.plain(cells[0]).strip()):
            below = next((other for other in rows[position:] if len(_filled(other)) > 2), None)
            if below is not None:
                raise SchemaError(
                    f"{where}: line {row.line} begins a note ({cells[0][:40]!r}), but line {below.line} has "
                    f"{len(_filled(below))} cells",
                    "Remove the notes.",
                )
            text = f"lines below the table left out, first {row.line} ({cells[0][:40]})"
            report.read.append((table, text, len(rows) - position))
            return rows[:position]
    return rows


def _refuse_uneven(rows: list[Row], where: str) -> None:
    header, width = rows[0], len(rows[0].cells)
    uneven = [row for row in rows if len(row.cells) != width]
    if uneven:
        shortened = shown([cell for cell in uneven[0].cells if cell] or [""], 3)
        first = "the first line" if header.line == 1 else f"line {header.line}"
        raise SchemaError(
            f"{where}: expected {width} columns as in {first}, received {len(uneven[0].cells)} "
            f"on line {uneven[0].line} ({len(uneven)} such lines): {shortened}",
            "Is the file incomplete, a text with commas without quotes, a title above the header, or a note "
            "below the table? Correct it, or save or download it again.",
        )


def _frame(rows: list[Row], where: str, table: str, report: ImportLog) -> pd.DataFrame:
    header, *data = rows
    cells = pd.DataFrame([row.cells for row in data], index=[row.line for row in data], dtype=object)
    nameless = [k for k, name in enumerate(header.cells) if not name]
    empty = [k for k in nameless if cells[k].eq("").all()]
    names_ = [name or f"(column {k + 1})" for k, name in enumerate(header.cells)]
    twice = sorted({name for name in header.cells if name and header.cells.count(name) > 1})
    if twice:
        raise SchemaError(f"{where}: column {twice[0]!r} occurs twice", "Keep one of them.")
    frame = cells.set_axis(names_, axis=1).drop(columns=[names_[k] for k in empty])
    again = frame.eq(frame.columns).all(axis=1)
    if again.any():
        report.read.append((table, message("repeated headers left out"), int(again.sum())))
    frame = frame[~again]
    if _is_label_row(frame):
        said = shown([cell for cell in frame.iloc[0] if cell], 8)
        report.read.append((table, f"line {frame.index[0]} left out as a second row of labels: {said}", 1))
        frame = frame.iloc[1:]
    if frame.empty:
        raise SchemaError(f"{where}: a header but no rows", "Is this the right file?")
    return frame


def _is_label_row(frame: pd.DataFrame) -> bool:
    """Whether the first row has words in all columns that are numbers below it."""
    if len(frame) < 2:
        return False
    below = frame.iloc[1:50]
    numeric = [
        name for name in frame.columns
        if below[name].ne("").any() and below[name].map(lambda c: _is_number(c) or c.lower() in MISSING).all()
    ]  # fmt: skip
    first = [frame[name].iloc[0] for name in numeric]
    words = [cell for cell in first if cell and not _is_number(cell) and cell.lower() not in MISSING]
    return len(words) >= min(2, len(numeric)) > 0 and len(words) == sum(1 for cell in first if cell)


def _is_number(cell: str) -> bool:
    return bool(cell) and not re.search(r"[^\W\d_eE]", cell) and re.search(r"\d", cell) is not None
