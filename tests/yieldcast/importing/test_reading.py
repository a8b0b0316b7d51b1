"""Tables in every encoding, separator and container; archives that unpack to too much."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.numbers import Exact
from yieldcast.importing.reading import LARGEST_MiB, LARGEST_XML_MiB, read_rows

TEXT = "code,name,x\n1,São João d'Aliança,1.5\n2,Açu,2\n"
CELLS = [["code", "name", "x"], ["1", "São João d'Aliança", "1.5"], ["2", "Açu", "2"]]


def cells(path: Path) -> list[list[str]]:
    return [row.cells for row in read_rows(path, "places", ImportLog())]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, end: str) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT.replace("\n", end).encode(encoding))
    assert cells(tmp_path / "a.csv") == CELLS


def test_the_encoding_is_logged(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT.encode("cp1252"))
    log = ImportLog()
    read_rows(tmp_path / "a.csv", "places", log)
    assert log.read == [("places", "read as Windows-1252 (Latin-1), because it is not UTF-8", 1)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b\n1,5;2,5\n1,25;3,5\n", [["a", "b"], ["1,5", "2,5"], ["1,25", "3,5"]]),
        ("sep=;\na;b\n1;2\n", [["a", "b"], ["1", "2"]]),
        ('"sep=|"\na|b\n1|2\n', [["a", "b"], ["1", "2"]]),
        ("a\tb\n1,5\t2\n", [["a", "b"], ["1,5", "2"]]),
        (
            "A title, with a comma\na;b;c\n1;2;3\n",
            [["A title, with a comma"], ["a", "b", "c"], ["1", "2", "3"]],
        ),
        ('a,b\n"x; y",2\n\n,\n', [["a", "b"], ["x; y", "2"]]),
    ],
)
def test_separators(tmp_path: Path, text: str, expected: list[list[str]]) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert cells(tmp_path / "a.csv") == expected


def packed(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, TEXT)


def book(path: Path, *sheets: list[list[object]]) -> None:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for k, rows in enumerate(sheets):
        sheet = made.create_sheet(f"sheet{k}")
        for row in rows:
            sheet.append(row)
    made.save(path)


def test_gzip_zip_and_json(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    packed(tmp_path / "a.zip", "folder/a.csv", "__MACOSX/._a.csv")
    rows = [{"code": 1, "name": "São João d'Aliança", "x": 1.5}, {"code": 2, "name": "Açu", "x": 2}]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    for name in ("a.csv.gz", "a.zip", "a.json"):
        assert cells(tmp_path / name) == CELLS


def test_a_spreadsheet(tmp_path: Path) -> None:
    book(
        tmp_path / "a.xlsx",
        [["title"]],
        [[], CELLS[0], [1, CELLS[1][1], 1.5], [2.0, "Açu", 2], ["3", None, "=1/0"]],
    )
    log = ImportLog()
    rows = read_rows(tmp_path / "a.xlsx", "places", log)
    assert [row.cells for row in rows] == [*CELLS, ["3", "", ""]]
    assert [row.line for row in rows] == [2, 3, 4, 5]
    assert isinstance(rows[1].cells[2], Exact)
    assert not isinstance(rows[3].cells[0], Exact)
    assert log.read == [("places", "sheet sheet1; sheets not read: sheet0", 1)]
    book(tmp_path / "b.xlsx", CELLS, CELLS)  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match="expected one sheet with a table, received 2 of sheet0, sheet1"):
        cells(tmp_path / "b.xlsx")


def big(unpacked_MiB: int) -> bytes:
    return b"code,crop,year,yield_kg_ha\n" + b"1,soybean,2010,3000\n" * (unpacked_MiB * (1 << 20) // 20)


def gzip_bomb(path: Path) -> None:
    path.write_bytes(gzip.compress(big(LARGEST_MiB + 20), 1))


def zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", big(LARGEST_MiB + 20))


def xlsx_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", big(LARGEST_XML_MiB + 20))


def far_cell(path: Path) -> None:
    made = openpyxl.Workbook()
    for row in range(1, 200):
        made.active.cell(row, 16384, 1)
    made.save(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (gzip_bomb, "bytes unpack to"),
        (zip_bomb, "bytes unpack to"),
        (xlsx_bomb, "bytes unpack to"),
        (far_cell, "more than 2,000,000 cells"),
    ],
)
def test_bombs_stop_with_little_memory(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / "a")
    tracemalloc.start()
    try:
        with pytest.raises(SchemaError, match=message) as caught:
            cells(tmp_path / "a")
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xd0\xcf\x11\xe0old", "old spreadsheet"),
        (b"PK\x03\x04broken", "damaged or locked zip"),
        (b"[1, 2", "damaged JSON"),
        (b"[" * 100_000, "damaged JSON"),
        (b'{"a": 1}', "expected JSON with a list of rows"),
        (b'[{"variavel": "x", "resultados": [{}]}]', "an answer of IBGE without 'classificacoes'"),
        (b"%PDF-1.4", "expected a table"),
        (b"a,b\n\x81\x8d,2\n", "expected text in UTF-8 or Windows-1252"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(SchemaError, match=message) as caught:
        cells(tmp_path / "a")
    assert caught.value.hint


def test_two_tables_in_a_zip(tmp_path: Path) -> None:
    packed(tmp_path / "a.zip", "a.csv", "b.csv")
    with pytest.raises(SchemaError, match=r"received a zip or xlsx archive: a.csv, b.csv"):
        cells(tmp_path / "a.zip")


WORD = st.text("abcçãé019 ;,.'\"|\t", max_size=6)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(WORD, WORD, WORD), min_size=2, max_size=5),
    st.sampled_from(",;\t|"),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)
def test_a_csv_in_any_dialect_is_read_back_or_refused(
    tmp_path: Path, rows: list[tuple[str, str, str]], separator: str, quoting: int, encoding: str
) -> None:
    """Cells with every separator in them; a header and ten plain rows tell which it is."""
    table = [["code", "name", "x"], *([f"{k}", "n", f"{k}.5"] for k in range(10)), *map(list, rows)]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, quoting=quoting).writerows(table)  # type: ignore[arg-type]
    (tmp_path / "a.csv").write_bytes(text.getvalue().encode(encoding))
    assert cells(tmp_path / "a.csv") == [row for row in table if any(cell.strip() for cell in row)]
