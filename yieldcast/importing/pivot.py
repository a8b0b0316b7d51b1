"""Tables with years as columns, or with one value a row, to a row for each place and harvest year."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from calendars import names
from yieldcast.errors import SchemaError
from yieldcast.importing.codes import code_column
from yieldcast.importing.columns import pick, shown
from yieldcast.importing.headings import CROP, MEASURE, VALUE, VARIABLE, YEAR, column_of, key
from yieldcast.importing.reading import Row

_YEAR = re.compile(r"(?:19|20)\d\d(?:/(?:\d\d|\d{4}))?")
_HEADER_ROWS = 6
_PARTS_OF_TITLE = re.compile(r"\s+-\s+|[:;=]\s*")


class _Value(NamedTuple):
    line: int
    code: str
    crop: str
    year: str
    heading: str
    cell: str


def turned(rows: Sequence[Row], titles: Iterable[str], where: str) -> pd.DataFrame | None:
    """A row for each code, crop and year, indexed by its first line; None for any other table.

    Args:
        rows: from the header on.
        titles: texts above the header, which may name the crop and the variable.
        where: name of the file, for errors.

    Raises:
        SchemaError: crop, variable or unit that neither columns nor titles tell, or a value twice.
    """
    header = rows[0].cells
    keys = [key(cell) for cell in header]
    if set(keys) & set(VALUE) and set(keys) & set(VARIABLE):
        return _frame(_of_long(rows, where), where)
    depth = next((k for k, row in enumerate(rows[:_HEADER_ROWS]) if k and row.cells[0]), 1)
    labels = _labels([row.cells for row in rows[:depth]])
    years = [k for k, found in enumerate(labels) if any(map(_YEAR.fullmatch, found))]
    if not years or set(keys) & set(YEAR):
        return None
    return _frame(_of_years(rows, depth, labels, years, list(titles), where), where)


def _labels(header: Sequence[Sequence[str]]) -> list[list[str]]:
    """Labels of each column in all rows of the header; an empty cell repeats the one before it."""
    levels = []
    for level, cells in enumerate(header):
        filled, last = [], ""
        for position, cell in enumerate(cells):
            last = cell or (last if any(row[position] for row in header[level + 1 :]) or level else "")
            filled.append(last)
        levels.append(filled)
    return [list(column) for column in zip(*levels, strict=True)]


def _of_years(
    rows: Sequence[Row],
    depth: int,
    labels: Sequence[Sequence[str]],
    years: Sequence[int],
    titles: Sequence[str],
    where: str,
) -> Iterable[_Value]:
    fixed = {name: k for k, name in enumerate(rows[0].cells) if k not in years}
    code = fixed[str(code_column(fixed, where))]
    crop_column = pick(fixed, CROP, where, needed=False)
    variable_column = pick(fixed, VARIABLE, where, needed=False)
    parts = [part for title in titles for part in _PARTS_OF_TITLE.split(title)]
    for position in years:
        year = next(label for label in labels[position] if _YEAR.fullmatch(label))
        crop = _only("a crop", [p for p in labels[position] if names.crop(p)], parts, names.crop, where)
        own = [label for label in labels[position] if _measured(label)]
        variable = _only("a variable", own, parts, _measured, where)
        for row in rows[depth:]:
            own_crop = row.cells[fixed[crop_column]] if crop_column else crop
            heading = row.cells[fixed[variable_column]] if variable_column else variable
            for what, found in (("the crop", own_crop), ("the variable with its unit", heading)):
                if not found:
                    raise SchemaError(
                        f"{where}: expected {what} of the columns of years, received none",
                        "Name them in the header or in a title, such as 'Rendimento médio (kg/ha)', or give "
                        "a table with the columns code, crop, harvest_year and yield_kg_ha.",
                    )
            yield _Value(row.line, row.cells[code], own_crop, year, heading, row.cells[position])


def _only(
    what: str, own: Sequence[str], parts: Sequence[str], known: Callable[[str], object], where: str
) -> str:
    """The label of a column, else the only such part of the titles."""
    from_titles = [part for part in parts if known(part)]
    found = list(dict.fromkeys(own or from_titles))
    if len(found) > 1:
        raise SchemaError(
            f"{where}: expected {what} for the columns of years, received {shown(found)}",
            "Keep one, or give a table with a column for it.",
        )
    return found[0] if found else ""


def _measured(label: str) -> bool:
    """Whether a label names a quantity of yields with its unit."""
    try:
        return column_of(label.strip(), "yields") is not None
    except SchemaError:
        return False


def _of_long(rows: Sequence[Row], where: str) -> Iterable[_Value]:
    header = rows[0].cells
    named = {
        what: header.index(str(pick(header, options, where)))
        for what, options in (("value", VALUE), ("variable", VARIABLE), ("crop", CROP))
    }
    unit_column = pick(header, MEASURE, where, needed=False)
    year = header.index(str(pick(header, YEAR, where)))
    code = header.index(str(code_column(header, where)))
    for row in rows[1:]:
        heading = row.cells[named["variable"]]
        unit = row.cells[header.index(unit_column)] if unit_column else ""
        heading = f"{heading} ({unit})" if unit and "(" not in heading else heading
        place, crop, harvest = (row.cells[k] for k in (code, named["crop"], year))
        yield _Value(row.line, place, crop, harvest, heading, row.cells[named["value"]])


def _frame(values: Iterable[_Value], where: str) -> pd.DataFrame:
    lines: dict[tuple[str, str, str], int] = {}
    columns: dict[str, dict[tuple[str, str, str], str]] = {}
    for value in values:
        place = (value.code, value.crop, value.year)
        lines.setdefault(place, value.line)
        held = columns.setdefault(value.heading, {})
        if place in held:
            raise SchemaError(
                f"{where}: line {value.line}: {value.heading} of {', '.join(place)} a second time",
                "Keep one value for each place, crop and year.",
            )
        held[place] = value.cell
    keys = pd.DataFrame(list(lines), columns=["code", "crop", "harvest_year"], dtype=object)
    cells = {name: [held.get(place, "") for place in lines] for name, held in columns.items()}
    frame = keys.assign(**{name: pd.Series(column, dtype=object) for name, column in cells.items()})
    return frame.set_axis(list(lines.values()), axis=0)
