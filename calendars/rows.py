"""One row of a crop calendar, its CSV text, and the errors of this package."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

DATES = ("planting_start", "planting_end", "harvest_start", "harvest_end")
COLUMNS = ("region", "crop", *DATES, "months")
# two years; longer windows are treated as typing errors
MAX_MONTHS = 24
_DAYS_OF_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ONLY_DD_MM = "Only DD/MM is read: two digits for the day, then two for the month, no year (01/09)."


class CalendarError(ValueError):
    """A malformed calendar, or a request that no calendar can answer.

    Args:
        message: what was expected and what was received.
        hint: what to do next.
    """

    exit_code = 5

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UnknownKeyError(CalendarError):
    """A crop, state or region that is not in the calendar, or an invalid number of months."""

    exit_code = 2


class CalendarFileError(CalendarError):
    """A calendar file that does not exist or cannot be read or written."""

    exit_code = 3


class DayMonth(NamedTuple):
    """A day of any year, written DD/MM."""

    day: int
    month: int

    def __str__(self) -> str:
        return f"{self.day:02d}/{self.month:02d}"


@dataclass(frozen=True)
class Row:
    """When one crop is planted and harvested in one region.

    Args:
        region: key of a state, province or larger region.
        crop: name of the crop.
        planting_start, planting_end, harvest_start, harvest_end: first and last days, (day, month).
        months: length n of the window of weather, 1..24 months.

    Raises:
        CalendarError: empty names, invalid days, months outside 1..24.
    """

    region: str
    crop: str
    planting_start: DayMonth
    planting_end: DayMonth
    harvest_start: DayMonth
    harvest_end: DayMonth
    months: int

    def __post_init__(self) -> None:
        for column in ("region", "crop"):
            name = getattr(self, column)
            if not name or name != name.strip():
                raise bad_value(column, "a name", name, "Fill it in, without spaces around it.")
        for column in DATES:
            date = DayMonth(*getattr(self, column))
            if not (1 <= date.month <= 12 and 1 <= date.day <= _DAYS_OF_MONTH[date.month - 1]):
                raise bad_value(column, "a valid day, DD/MM", str(date), _ONLY_DD_MM)
            object.__setattr__(self, column, date)
        if not 1 <= self.months <= MAX_MONTHS:
            raise bad_value(
                "months", f"1..{MAX_MONTHS}", self.months, "Count months from the planting start."
            )

    @property
    def first_month(self) -> int:
        """Months from January of the harvest year to the window's first month: -11..11 (window rule)."""
        planting, harvest = self.planting_start.month, self.harvest_start.month
        return planting - 1 if planting <= harvest else planting - 13


def read_rows(path: Path, text: str | None = None) -> dict[tuple[str, str], Row]:
    """Rows of a calendar file by (crop, region); raises as `calendars.read` does.

    Args:
        path: the file.
        text: its text, where it was read already.
    """
    rows: dict[tuple[str, str], Row] = {}
    lines: dict[tuple[str, str], int] = {}
    first: dict[str, tuple[int, Row]] = {}
    for line, record in read_records(path, COLUMNS, text):
        try:
            row = _row(record)
            key = (row.crop, row.region)
            if key in rows:
                raise bad_value(
                    "region",
                    f"one row of {row.crop} per region",
                    f"{row.region} again (already on line {lines[key]})",
                    "Keep one of the two rows.",
                )
            line_before, before = first.setdefault(row.crop, (line, row))
            if row.months != before.months:
                raise bad_value(
                    "months",
                    f"{before.months} as for {row.crop} on line {line_before}",
                    row.months,
                    "Give all rows of a crop the same number of months.",
                )
        except CalendarError as error:
            raise CalendarError(f"{path}, line {line}, {error}", error.hint) from None
        rows[key], lines[key] = row, line
    return rows


def read_records(
    path: Path, columns: Sequence[str], text: str | None = None
) -> list[tuple[int, dict[str, str]]]:
    """Lines of a CSV file with a header: (number of the line in the file, text by column).

    Args:
        path: UTF-8 file, separated by commas; blank lines are skipped.
        columns: names that the header must have.
        text: of the file, where it was read already.

    Raises:
        CalendarFileError: the file cannot be read.
        CalendarError: not UTF-8 text, empty, no rows, a column missing or repeated, too many cells.
    """
    cells = _cells(path, read_text(path) if text is None else text)
    number, header = next(cells, (1, []))
    for column in columns:
        if header.count(column) != 1:
            raise CalendarError(
                f"{path}, line {number}, column {column!r}: expected once in the header, "
                f"received {', '.join(header) or 'an empty file'}",
                f"The first line must name the columns {', '.join(columns)}, separated by commas "
                "(not semicolons or tabs).",
            )
    records = []
    for line, row in cells:
        if any(row[len(header) :]):
            raise CalendarError(
                f"{path}, line {line}, column {len(header) + 1}: expected {len(header)} cells as in "
                f"the header, received {len(row)}",
                "Remove the extra cells, or quote names that contain a comma.",
            )
        padded = row + [""] * (len(header) - len(row))
        records.append((line, dict(zip(header, padded, strict=False))))
    if not records:
        raise CalendarError(f"{path}: expected rows below the header, received none", "Add the rows.")
    return records


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """CSV text with line feeds, quotes only where needed."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def file_error(path: Path, expected: str, error: OSError) -> CalendarFileError:
    """The error for a file that the disk refuses."""
    return CalendarFileError(
        f"{path}: expected {expected}, received: {error.strerror}", "Check the path and its permissions."
    )


def read_text(path: Path) -> str:
    """The text of a UTF-8 file; CalendarFileError or CalendarError where it cannot be read as such."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise file_error(path, "a file to read", error) from error
    try:
        text = data.decode("utf-8-sig")
        bad = text.find("\0")
        line = text.count("\n", 0, max(bad, 0)) + 1
    except UnicodeDecodeError as error:
        bad, line = error.start, data.count(b"\n", 0, error.start) + 1
    if bad >= 0:
        raise CalendarError(
            f"{path}, line {line}: expected UTF-8 text, received something else at byte {bad}",
            "Save it from the spreadsheet as CSV UTF-8, not as a workbook.",
        )
    return text


def _cells(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells without spaces around them) of every row that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    line = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise CalendarError(
            f"{path}, line {line}: expected cells separated by commas, received: {error}",
            "Look for a quotation mark that is not closed.",
        ) from error


def _row(record: dict[str, str]) -> Row:
    start, end, harvest_start, harvest_end = (day_month(column, record[column]) for column in DATES)
    months = record["months"]
    if not re.fullmatch(r"[0-9]{1,9}", months):
        raise bad_value("months", "a whole number", months, "Count the months from the planting start.")
    return Row(record["region"], record["crop"].lower(), start, end, harvest_start, harvest_end, int(months))


def day_month(column: str, text: str) -> DayMonth:
    """A day DD/MM; CalendarError, which names the column, for any other text."""
    if not re.fullmatch(r"[0-9]{2}/[0-9]{2}", text):
        raise bad_value(column, "a date DD/MM", text, _ONLY_DD_MM)
    day, month = text.split("/")
    return DayMonth(int(day), int(month))


def bad_value(column: str, expected: str, received: object, hint: str) -> CalendarError:
    """The error for a cell of a file or a field of a row."""
    return CalendarError(f"column {column!r}: expected {expected}, received {received!r}", hint)
