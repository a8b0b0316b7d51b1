"""A user's table as rows of texts: CSV in any usual encoding, spreadsheets and JSON, also compressed."""

from __future__ import annotations

import csv
import io
import json
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.importing.columns import ImportLog, first_bytes, looks_like
from yieldcast.importing.numbers import Exact
from yieldcast.language import message

# Of a compressed file when it is unpacked. A CSV of this size needs some 900 MB of memory (measured); the XML
# of a spreadsheet has more bytes for a cell, and its cells are counted.
LARGEST_MiB = 24
LARGEST_XML_MiB = 96
_BLOCK = 1 << 20
# Tables shrink to a tenth or a thirtieth; what shrinks to less than a 200th is no table.
_STRONGEST, _SMALL_MiB = 200, 4
SEPARATORS = ",;\t|"
_SAMPLE = 200  # lines
_NAMED_SEPARATOR = "sep="  # first line of a CSV that tells spreadsheets the separator
_TEXTS = (".csv", ".tsv", ".txt", ".json")
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_BINARY = (b"\x89HDF", b"CDF", b"GRIB", b"%PDF", b"\x93NUMPY", b"PAR1", b"SQLite format")


class Row(NamedTuple):
    """Cells of a row, and its line in the file."""

    line: int
    cells: list[str]


def read_rows(path: Path, table: str, report: ImportLog) -> list[Row]:
    """Rows of a table that are not blank.

    Args:
        path: CSV (comma, semicolon, tab or ``|``), JSON or XLSX; CSV and JSON also as gzip or in a zip.
        table: that is made of it, for errors.
        report: gets the encoding, if it is not Unicode.

    Raises:
        MissingDataError: no such file, or the extra for spreadsheets is not installed.
        SchemaError: empty, damaged, another format, or too large when it is unpacked.
    """
    start = first_bytes(path, table)
    where = f"{path} ({table})"
    if start.startswith(_OLD_EXCEL):
        raise SchemaError(f"{where}: an old spreadsheet (XLS)", "Save it as XLSX or CSV.")
    if start.startswith(b"PK"):
        return _of_archive(path, where, table, report)
    try:
        content = _unpacked(path, where) if start.startswith(b"\x1f\x8b") else path.read_bytes()
    except OSError as error:
        raise MissingDataError(f"cannot read {where}: {error}", "Check the disk.") from error
    return _of_text(_decoded(content, where, table, report), where)


def _of_archive(path: Path, where: str, table: str, report: ImportLog) -> list[Row]:
    """Rows of a spreadsheet, or of the only table in a zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [one.filename for one in archive.infolist() if not one.is_dir()]
            if "xl/workbook.xml" in names:
                claimed = sum(one.file_size for one in archive.infolist())
                _refuse_bomb(claimed, path.stat().st_size, where, LARGEST_XML_MiB)
                from yieldcast.importing.spreadsheets import read_sheet

                return read_sheet(path, where, report, table)
            inside = [n for n in names if n.lower().endswith(_TEXTS) and not n.startswith("__MACOSX")]
            if len(inside) != 1:
                raise SchemaError(
                    f"{where}: expected a table, received a zip or xlsx archive: {start_of(names)}",
                    "Unpack it and give the table itself, as CSV or XLSX.",
                )
            with archive.open(inside[0]) as packed:
                content = _limited(packed, path.stat().st_size, where)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SchemaError(
            f"{where}: a damaged or locked zip: {error}", "Save or download it again."
        ) from error
    return _of_text(_decoded(content, where, table, report), where)


def start_of(names: list[str]) -> str:
    """The first names of what an archive holds."""
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _unpacked(path: Path, where: str) -> bytes:
    import gzip

    try:
        with gzip.open(path) as packed:
            return _limited(packed, path.stat().st_size, where)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SchemaError(f"{where}: damaged gzip: {error}", "Copy or download it again.") from error


def _limited(packed: Any, size: int, where: str) -> bytes:
    """What a compressed file holds, read in blocks up to the limit."""
    content = io.BytesIO()
    while block := packed.read(_BLOCK):
        content.write(block)
        _refuse_bomb(content.tell(), size, where)
    return content.getvalue()


def _refuse_bomb(unpacked: int, size: int, where: str, most_MiB: int = LARGEST_MiB) -> None:
    too_strong = unpacked > max(_STRONGEST * size, _SMALL_MiB << 20)
    if unpacked > most_MiB << 20 or too_strong:
        raise SchemaError(
            f"{where}: {size:,} bytes unpack to {unpacked >> 20} MiB or more; at most {most_MiB} MiB, and "
            f"not more than {_STRONGEST} times the size, are unpacked",
            "If this is the table, unpack it and give the CSV.",
        )


def _decoded(content: bytes, where: str, table: str, report: ImportLog) -> str:
    if content.startswith(_BINARY):
        raise SchemaError(
            f"{where}: expected a table (CSV, XLSX or JSON), received {looks_like(content[:64])}: "
            f"{content[:24]!r}",
            "Is it the right file?",
        )
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in content[:400]:
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError as error:
            raise SchemaError(
                f"{where}: expected text in UTF-8 or Windows-1252, received {content[:24]!r}",
                "Save it as CSV in UTF-8.",
            ) from error
        report.read.append((table, message("read as Windows-1252 (Latin-1), because it is not UTF-8"), 1))
    if not text.strip() or "\0" in text or text.lstrip().startswith("<"):
        kind = "nothing" if not text.strip() else looks_like(content[:64])
        raise SchemaError(
            f"{where}: expected a table (CSV, XLSX or JSON), received {kind}: {content[:24]!r}",
            "Is it the right file?",
        )
    return text


def _of_text(text: str, where: str) -> list[Row]:
    if text.lstrip()[:1] in ("[", "{"):
        return _of_json(text, where)
    separator, skipped = _separator(text), 0
    first = text.split("\n", 1)[0].strip().strip('"')
    if first.lower().startswith(_NAMED_SEPARATOR) and len(first) == len(_NAMED_SEPARATOR) + 1:
        separator, skipped = first[-1], 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:  # not the reader of pandas, which completes short lines without an error
        rows = [Row(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise SchemaError(
            f"{where}: not a regular CSV: line {reader.line_num}: {error}", "Save it again as CSV."
        ) from error
    return rows[skipped:]


def _separator(text: str) -> str:
    """The separator that cuts most of the first lines into equally many cells, and the more the better."""
    lines = [line for line in io.StringIO(text[: 1 << 18], newline=None) if line.strip()][:_SAMPLE]

    def found(separator: str) -> tuple[int, int]:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=separator) if len(row) > 1)
        return max(((count, width) for width, count in widths.items()), default=(0, 0))

    try:
        return max(SEPARATORS, key=found)
    except csv.Error:  # the strict reader names the line
        return max(SEPARATORS, key=text.split("\n", 1)[0].count)


def _of_json(text: str, where: str) -> list[Row]:
    """Rows of a list of objects with the same keys, the keys as the first row."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"{where}: damaged JSON: {error}", "Download it again.") from error
    if isinstance(content, list) and content and all(isinstance(one, dict) for one in content):
        if all("resultados" in one for one in content):
            return _of_aggregates(content, where)
        names = list(dict.fromkeys(name for one in content for name in one))
        if not any(isinstance(value, dict | list) for one in content for value in one.values()):
            cells = [[_cell(one.get(name)) for name in names] for one in content]
            return [Row(1, names), *(Row(k, row) for k, row in enumerate(cells, 2))]
    raise SchemaError(
        f"{where}: expected JSON with a list of rows, each an object with the same keys",
        "Give the table as CSV.",
    )


def _of_aggregates(content: list[Any], where: str) -> list[Row]:
    """Rows of an answer of IBGE's service of aggregates, version 3: one for each place, year and variable."""
    rows = [["municipality_code", "Produto", "Ano", "Variável", "Unidade de Medida", "Valor"]]
    try:
        for variable in content:
            for result in variable["resultados"]:
                product = " ".join(
                    name for one in result["classificacoes"] for name in one["categoria"].values()
                )
                for series in result["series"]:
                    for year, value in series["serie"].items():
                        place, said = series["localidade"]["id"], (variable["variavel"], variable["unidade"])
                        rows.append([str(place), product, str(year), *map(str, said), Exact(value)])
    except (KeyError, TypeError, AttributeError) as error:
        raise SchemaError(f"{where}: an answer of IBGE without {error}", "Download it again.") from error
    return [Row(k, row) for k, row in enumerate(rows, 1)]


def _cell(value: Any) -> str:
    """A value of JSON as text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return Exact(repr(value))
    return str(value)
