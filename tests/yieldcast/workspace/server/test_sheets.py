"""CSV and XLSX of the workspace: values by type, and no text that becomes a formula."""

import csv
import datetime as dt
import io
from decimal import Decimal

import openpyxl
import pytest

from yieldcast import language
from yieldcast.workspace.server.sheets import Column, csv_file, xlsx_file

HOSTILE = ["=HYPERLINK(1)", "+1", "-1", "@a", "\t=1", " =1", "a,=1", "plain;=1", "Müller", "x\x00y"]
MOMENT = dt.datetime(2026, 12, 1, 23, 59, tzinfo=dt.timezone(dt.timedelta(hours=1)))


def columns():
    return [
        Column("=Model", "text", HOSTILE[:2]),
        Column("Accuracy", "share", [0.9453, None]),
        Column("Cost", "amount", [Decimal("1815000"), Decimal("-0.5")]),
        Column("Rows", "count", [1234, 0]),
        Column("Received", "moment", [MOMENT, None]),
    ]


@pytest.mark.parametrize(
    ("lang", "separator", "number", "amount"),
    [("en", ",", "0.9453", "1815000.00"), ("pt-BR", ";", "0,9453", "1815000,00")],
)
def test_csv_writes_numbers_as_the_language_does(lang, separator, number, amount):
    content = csv_file(columns(), language.of(lang)).decode("utf-8")
    head, first, second = csv.reader(io.StringIO(content.removeprefix("\ufeff")), delimiter=separator)
    assert head[0] == "'=Model"
    assert first == ["'=HYPERLINK(1)", number, amount, "1234", "2026-12-01 22:59"]
    assert second[1:] == ["", amount[0:0] + ("-0.50" if lang == "en" else "-0,50"), "0", ""]
    assert content.startswith("\ufeff") == (lang == "pt-BR")


def test_no_text_of_a_csv_file_begins_like_a_formula():
    content = csv_file([Column("a", "text", HOSTILE)], language.of("en")).decode("utf-8")
    cells = [row[0] for row in csv.reader(io.StringIO(content))][1:]
    for separator in (",", ";"):
        for cell in cells:
            assert not any(
                part.lstrip(" ").startswith(("=", "+", "-", "@", "\t")) for part in cell.split(separator)
            )


def test_xlsx_keeps_types_and_stores_no_formula():
    wide = [*columns(), Column("Name", "text", HOSTILE)]
    book = openpyxl.load_workbook(io.BytesIO(xlsx_file(wide, "board", "Title", language.of("pt-BR"))))
    sheet = book["board"]
    assert [cell.value for cell in sheet[2]][:5] == [
        "=HYPERLINK(1)", 0.9453, 1815000, 1234, dt.datetime(2026, 12, 1, 22, 59),
    ]  # fmt: skip
    assert [cell.value for cell in sheet["F"]][1:] == [*HOSTILE[:-1], "x\ufffdy"]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if cell.value is not None} == {
        "s",
        "n",
        "d",
    }
    assert sheet["A2"].quotePrefix
    assert sheet["B2"].number_format == "0.0%"
    assert sheet["E2"].number_format == "dd/mm/yyyy hh:mm"
