"""CSV and XLSX files of a forecast with hand-worked numbers."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from factories import synthetic_forecast

from yieldcast import language
from yieldcast.reporting import labels
from yieldcast.reporting.column_labels import COLUMNS
from yieldcast.reporting.spreadsheets import write_csv, write_xlsx


def read_csv(path: Path, lang: str) -> list[dict[str, str]]:
    """Rows of a CSV file by the keys of `COLUMNS`."""
    names = {labels.column(key, lang): key for key in COLUMNS}
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, delimiter=";" if lang.startswith("pt") else ","))
    return [{names[heading]: cell for heading, cell in row.items()} for row in rows]


def test_csv_in_english(tmp_path, forecast, expected):
    write_csv(tmp_path, forecast, "en")
    raw = (tmp_path / "forecast.csv").read_bytes()
    assert raw.startswith(b"Municipality code,Municipality,State,")  # no byte order mark
    rows = read_csv(tmp_path / "forecast.csv", "en")
    first, second, _, last = expected.names
    assert [row["name"] for row in rows] == [first, second, "'" + expected.formula, last]
    for key, value in expected.first.items():
        cell = rows[0][key]
        if isinstance(value, bool):
            assert cell == "yes", key
        elif isinstance(value, float):
            assert float(cell) == value, key
        else:
            assert cell == str(value), key
    assert rows[3]["own_history"] == "no"
    assert [key for key, cell in rows[3].items() if cell == ""] == [
        key
        for key in rows[3]
        if key in expected.missing  # in the order of the columns
    ]


def test_csv_in_portuguese(tmp_path, forecast, expected):
    files = write_csv(tmp_path, forecast, "pt")
    for file in files:
        text = file.read_bytes().decode("utf-8")
        assert text.startswith("\ufeff")
        assert text.count("\ufeff") == 1
    with files[0].open(newline="", encoding="utf-8-sig") as file:
        head, first, second, *_ = list(csv.reader(file, delimiter=";"))
    row = dict(zip(head, first, strict=True))
    assert row["Município"] == expected.names[0]
    assert second[1] == expected.names[1]
    assert row["Cultura"] == "soja"
    assert row["Data de referência"] == "15/11/2017"
    assert row["Dados sintéticos"] == "sim"
    assert row["Previsão: mediana (kg/ha)"] == "2600,5"
    assert row["Diferença da média de 5 anos (%)"] == "4,0"
    assert row["Temperatura máxima até o momento, anomalia (°C)"] == "-0,5"
    assert row["Produção: mediana (t)"] == "3209"
    assert not [cell for cell in first[8:] if "." in cell]


def test_csv_says_the_same_in_both_languages(tmp_path, forecast):
    table = {}
    for lang in language.tags():
        write_csv(tmp_path, forecast, lang)
        table[lang] = read_csv(tmp_path / "forecast.csv", lang)
    numbers = [key for key, label in COLUMNS.items() if label.unit and key in table["en"][0]]
    assert len(numbers) == 25
    for english, portuguese in zip(table["en"], table["pt-BR"], strict=True):
        for key in numbers:
            assert portuguese[key].replace(",", ".") == english[key], key


def test_csv_of_country_and_states(tmp_path, forecast):
    write_csv(tmp_path, forecast, "pt")
    rows = read_csv(tmp_path / "forecast-aggregates.csv", "pt")
    assert [(row["level"], row["aggregate"], row["municipalities"]) for row in rows] == [
        ("país", "Brasil", "4"), ("UF", "MT", "2"), ("UF", "PR", "2"),
    ]  # fmt: skip
    assert rows[0]["yield_p50_kg_ha"] == "3000,0"
    assert rows[0]["width90_kg_ha"] == "800,0"
    assert rows[0]["area_planted_ha"] == "2000000"
    # 2,000,000 ha x 3000, 2500 and 3300 kg/ha
    assert [rows[0][f"prod_{p}_t"] for p in ("p50", "p05", "p95")] == ["6000000", "5000000", "6600000"]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'  =1"),
        ("\t=1", "'\t'=1"),
        ("＝1", "'＝1"),
        ("x;=1", "x;'=1"),  # a new cell if the file is read with the other separator
        ("x,-1", "x,'-1"),
        ("x\n=1", "x\n'=1"),
        ("Mogi-Guaçu", "Mogi-Guaçu"),
        ("'s-Gravenhage", "'s-Gravenhage"),
        ("A = B", "A = B"),
    ],
)
def test_no_text_of_a_csv_begins_like_a_formula(tmp_path, forecast, name, cell):
    ds = forecast.assign_coords(name=("municipality", np.array([name, "b", "c", "d"])))
    for lang in language.tags():
        write_csv(tmp_path, ds, lang)
        assert read_csv(tmp_path / "forecast.csv", lang)[0]["name"] == cell


def sheet_rows(book: openpyxl.Workbook, title: str, lang: str) -> list[dict[str, openpyxl.cell.Cell]]:
    names = {labels.column(key, lang): key for key in COLUMNS}
    head, *rows = list(book[title].rows)
    return [dict(zip([names[c.value] for c in head], row, strict=True)) for row in rows]


def test_xlsx_holds_numbers_and_days(tmp_path, forecast, expected):
    path = write_xlsx(tmp_path / "a.xlsx", forecast, "pt")
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == [
        "municípios (dados sintéticos)", "UF (dados sintéticos)", "unidades", "sobre",
    ]  # fmt: skip
    rows = sheet_rows(book, book.sheetnames[0], "pt")
    days = {"as_of", "window_start", "window_end"}
    words = {"crop": "soja", "synthetic": "sim", "own_history": "sim"}
    for key, value in expected.first.items():
        shown = dt.datetime.fromisoformat(value) if key in days else words.get(key, value)
        assert rows[0][key].value == shown, key
    assert rows[0]["as_of"].number_format == "dd/mm/yyyy"
    assert rows[0]["yield_p50_kg_ha"].number_format == "#,##0"
    assert rows[0]["prob_low_pct"].number_format == "0.0"
    assert rows[0]["harvest_year"].number_format == "0"
    assert {key for key, cell in rows[3].items() if cell.value is None} == set(expected.missing)
    sheet = book[book.sheetnames[0]]
    assert sheet.freeze_panes == "D2"  # the headings, and code, name and state
    assert sheet.auto_filter.ref == f"A1:{sheet.dimensions.split(':')[1]}"
    assert sheet.dimensions.endswith("5")
    assert sheet.column_dimensions["B"].width > 20
    title = labels.title(labels.facts(forecast), "pt")
    for sheet in book:  # on paper: landscape, all columns on one page, headings and page numbers on each
        setup = sheet.page_setup
        assert (setup.orientation, setup.paperSize, sheet.print_title_rows) == ("landscape", 9, "$1:$1")
        assert (sheet.sheet_properties.pageSetUpPr.fitToPage, setup.fitToWidth or 1, setup.fitToHeight) == (
            True,
            1,
            0,
        )
        assert sheet.oddHeader.left.text.replace("&&", "&") == title
        assert "CC BY 4.0" in sheet.oddFooter.left.text
        assert sheet.oddFooter.right.text == "&P / &N"
    states = sheet_rows(book, book.sheetnames[1], "pt")
    assert [row["aggregate"].value for row in states] == ["Brasil", "MT", "PR"]
    assert states[0]["prod_p50_t"].value == 6_000_000


def test_xlsx_keeps_texts_as_texts(tmp_path, forecast, expected):
    names = np.array([expected.formula, "http://example.org", "a\x01b\x0cc", "12"])
    ds = forecast.assign_coords(name=("municipality", names))
    book = openpyxl.load_workbook(write_xlsx(tmp_path / "a.xlsx", ds, "en"))
    cells = [row["name"] for row in sheet_rows(book, book.sheetnames[0], "en")]
    assert [cell.value for cell in cells] == [expected.formula, "http://example.org", "a\ufffdb\ufffdc", "12"]
    assert {cell.data_type for cell in cells} == {"s"}
    assert [bool(cell.quotePrefix) for cell in cells] == [True, False, False, False]
    assert [cell.hyperlink for cell in cells] == [None] * 4
    kinds = {cell.data_type for sheet in book for row in sheet.rows for cell in row}
    assert kinds == {"s", "n", "d"}  # no formula anywhere


@pytest.mark.parametrize(
    ("lang", "sheets"),
    [
        ("en", ["municipalities", "states", "units", "about"]),
        ("pt-BR", ["municípios", "UF", "unidades", "sobre"]),
    ],
)
def test_xlsx_explains_itself(tmp_path, forecast, lang, sheets):
    ds = forecast.assign_attrs(synthetic=0, attribution="x" * 900)
    book = openpyxl.load_workbook(write_xlsx(tmp_path / "a.xlsx", ds, lang))
    assert book.sheetnames == sheets
    explained = {row[3]: row[:3] for row in list(book[sheets[2]].values)[1:]}
    shown = {key for title in book.sheetnames[:2] for key in sheet_rows(book, title, lang)[0]}
    assert set(explained) == shown <= set(COLUMNS)
    assert explained["prob_low_pct"] == (
        labels.column("prob_low_pct", lang), "%", labels.meaning("prob_low_pct", lang),
    )  # fmt: skip
    facts = dict(book[sheets[3]].values)
    assert facts[labels.attribute("attribution", lang)] == "x" * 900
    assert facts[labels.attribute("licence", lang)] == "CC BY 4.0"
    assert facts[labels.attribute("synthetic", lang)] == language.of(lang).gettext("no")
    (row,) = [cell.row for cell in book[sheets[3]]["B"] if cell.value == "x" * 900]
    assert book[sheets[3]].row_dimensions[row].height == 15 * 9  # 900 characters in a column of 110


def test_parts_and_official_estimates_in_portuguese(tmp_path):
    made = synthetic_forecast(parts=True)
    write_csv(tmp_path, made, "pt")
    text = (tmp_path / "forecast-aggregates.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(text.splitlines(), delimiter=";"))
    assert rows[1]["Estimativa oficial: mês"] == "outubro de 2017"
    assert rows[1]["Estimativa oficial: publicada em"] == "09/11/2017"
    assert rows[0]["Estimativa oficial (kg/ha)"] == rows[0]["Estimativa oficial: mês"] == ""
    parts = [value for key, value in rows[2].items() if key.startswith("Componente da mediana: ")]
    total = sum(float(value.replace(",", ".")) for value in parts)
    assert total == pytest.approx(float(rows[2]["Previsão: mediana (kg/ha)"].replace(",", ".")), abs=1e-6)
