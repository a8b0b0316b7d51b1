"""Header, titles, labels and sources of tables; tables with years as columns or one value a row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.layout import read_frame

HEADER = "code,crop,year,yield_kg_ha"
ROWS = "1,soybean,2017,3000\n2,soybean,2017,2500\n"


def read(tmp_path: Path, text: str, name: str = "a.csv") -> tuple[list[list[str]], ImportLog]:
    (tmp_path / name).write_text(text, encoding="utf-8")
    log = ImportLog()
    frame = read_frame(tmp_path / name, "yields", "yields", log)
    return [list(frame.columns), *frame.to_numpy().tolist()], log


PLAIN = [
    ["code", "crop", "year", "yield_kg_ha"],
    ["1", "soybean", "2017", "3000"],
    ["2", "soybean", "2017", "2500"],
]


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        (f"{HEADER}\n{ROWS}", None),
        (f"Table 1612\nYields, by place\n\n{HEADER}\n{ROWS}", "lines above the header left out, first 1"),
        (
            f"{HEADER}\n{ROWS}Fonte: IBGE\n1 - Notes; of it\n",
            "lines below the table left out, first 4 (Fonte: IBGE)",
        ),
        (f"{HEADER}\n{ROWS}Source: IBGE,,,\n", "lines below the table left out, first 4 (Source: IBGE)"),
        (
            f"{HEADER}\nCódigo,Produto,Ano,kg\n{ROWS}",
            "line 2 left out as a second row of labels: Código, Produto, Ano, kg",
        ),
        (f"{HEADER},,\n" + ROWS.replace("\n", ",,\n") + ",,,,,\n", None),
        (
            f"{HEADER}\n{ROWS.splitlines()[0]}\n{HEADER}\n{ROWS.splitlines()[1]}\n",
            "repeated headers left out",
        ),
        (f'{HEADER}\n="1",soybean,2017,"=""3000"""\n2,soybean,2017,2500\n', None),
    ],
)
def test_what_is_not_the_table_is_left_out_and_logged(tmp_path: Path, text: str, logged: str | None) -> None:
    table, log = read(tmp_path, text)
    assert table == PLAIN
    assert [line for _, line, _ in log.read] == ([logged] if logged else [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"1,soybean,2016,2000\n{HEADER}\n{ROWS}",
            "expected titles above the header on line 2, received the row",
        ),
        (
            f"{HEADER}\n{ROWS}Fonte: IBGE\n3,soybean,2017,1\n",
            "line 4 begins a note .'Fonte: IBGE'., but line 5 has 4",
        ),
        (f"{HEADER}\n{ROWS}3,soybean\n", r"expected 4 columns as in the first line, received 2 on line 4"),
        (f"{HEADER}\n{ROWS}3\n", "received 1 on line 4"),
        (f"Title\n{HEADER}\n{ROWS}3,soybean\n", "as in line 2, received 2 on line 5"),
        (f"{HEADER}\nFonte: IBGE\n", "a header but no rows"),
        (f"{HEADER},year\n" + ROWS.replace("\n", ",1\n"), "column 'year' occurs twice"),
    ],
)
def test_other_lines_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message) as caught:
        read(tmp_path, text)
    assert caught.value.hint


def test_texts_that_were_encoded_twice(tmp_path: Path) -> None:
    table, _ = read(tmp_path, f"{HEADER},name\n1,soybean,2017,3000,CuiabÃ¡\n2,soybean,2017,2500,SÃO JOÃO\n")
    assert [row[-1] for row in table[1:]] == ["Cuiabá", "SÃO JOÃO"]


LONG = ["code", "crop", "harvest_year"]
YIELD, AREA = "Rendimento médio da produção (Quilogramas por Hectare)", "Área colhida (Hectares)"


def test_years_as_columns_with_the_variable_in_a_title(tmp_path: Path) -> None:
    """The CSV of SIDRA's pages."""
    table, log = read(
        tmp_path,
        '"Tabela 1612 - Área colhida, rendimento médio das lavouras"\n'
        f'"Variável - {YIELD}"\n"Cód.";"Município";"Soja (em grão)";"";"Milho (em grão)";""\n'
        '"";"";"2016";"2017";"2016";"2017"\n"1";"A (RO)";3176;-;5000;..\n"2";"B (PR)";3118;2702;...;X\n'
        '"Fonte: IBGE"\n"Legenda"\n"Símbolo";"Significado"\n"-";"Zero absoluto"\n',
    )
    assert table[0] == [*LONG, YIELD]
    assert ["1", "Soja (em grão)", "2017", "-"] in table
    assert ["2", "Milho (em grão)", "2016", "..."] in table
    assert len(table) == 9
    assert ("yields", "turned to a row for each place and harvest year", 8) in log.read


def test_years_as_columns_in_one_row(tmp_path: Path) -> None:
    table, _ = read(tmp_path, f"{YIELD}\ncod_mun,cultura,2016,2017\n1,soja,3000,3100\n2,soja,2500,2600\n")
    assert table == [
        [*LONG, YIELD], ["1", "soja", "2016", "3000"], ["2", "soja", "2016", "2500"],
        ["1", "soja", "2017", "3100"], ["2", "soja", "2017", "2600"],
    ]  # fmt: skip


def test_years_as_columns_of_an_unknown_variable(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="expected the variable with its unit of the columns of years"):
        read(tmp_path, "cod_mun,cultura,2016,2017\n1,soja,3000,3100\n")
    with pytest.raises(SchemaError, match="expected the crop of the columns"):
        read(tmp_path, f"{YIELD}\ncod_mun,nome,2016,2017\n1,A,3000,3100\n")
    with pytest.raises(SchemaError, match=r"expected a variable .*received Rendimento"):
        read(tmp_path, f"{YIELD}\n{AREA}\ncod_mun,cultura,2016,2017\n1,soja,3000,3100\n")


KEYS = {
    "NC": "Nível Territorial (Código)", "MC": "Unidade de Medida (Código)", "MN": "Unidade de Medida",
    "V": "Valor", "D1C": "Município (Código)", "D1N": "Município", "D2C": "Ano (Código)", "D2N": "Ano",
    "D3C": "Variável (Código)", "D3N": "Variável", "D4C": "Produto das lavouras temporárias (Código)",
    "D4N": "Produto das lavouras temporárias",
}  # fmt: skip


def value(place: str, year: str, variable: str, unit: str, cell: str) -> dict[str, str]:
    cells = ("6", "1", unit, cell, place, f"Name - {place}", year, year, "1", variable, "1", "Soja (em grão)")
    return dict(zip(KEYS, cells, strict=True))


def test_one_value_a_row(tmp_path: Path) -> None:
    """JSON and CSV of SIDRA's service, with and without its keys above the labels."""
    rows = [
        value("1", "2017", "Área colhida", "Hectares", "10"),
        value("1", "2017", "Rendimento médio da produção", "Quilogramas por Hectare", "3000"),
        value("2", "2017", "Área colhida", "Hectares", "-"),
    ]
    expected = [
        [*LONG, AREA, YIELD],
        ["1", "Soja (em grão)", "2017", "10", "3000"],
        ["2", "Soja (em grão)", "2017", "-", ""],
    ]
    assert read(tmp_path, json.dumps([KEYS, *rows]), "a.json")[0] == expected
    lines = [list(KEYS), list(KEYS.values()), *(list(row.values()) for row in rows)]
    assert read(tmp_path, "\n".join(";".join(line) for line in lines))[0] == expected
    assert read(tmp_path, "\n".join(";".join(line) for line in lines[1:]))[0] == expected
    with pytest.raises(SchemaError, match="a second time"):
        read(tmp_path, json.dumps([KEYS, *rows, rows[0]]), "a.json")


def test_the_newer_service_of_aggregates(tmp_path: Path) -> None:
    answer = [
        {"variavel": "Rendimento médio da produção", "unidade": "Quilogramas por Hectare", "resultados": [
            {"classificacoes": [{"id": "81", "nome": "Produto", "categoria": {"2713": "Soja (em grão)"}}],
             "series": [{"localidade": {"id": "1", "nome": "A"}, "serie": {"2016": "3000", "2017": "..."}}]}]}
    ]  # fmt: skip
    table, _ = read(tmp_path, json.dumps(answer), "a.json")
    assert table == [
        [*LONG, YIELD],
        ["1", "Soja (em grão)", "2016", "3000"],
        ["1", "Soja (em grão)", "2017", "..."],
    ]
