"""SIDRA's answers: columns in any order, every symbol, labels, and what is refused."""

from __future__ import annotations

import copy
import csv
import json
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sidra_answers import FULL, HEADER, UNITS, answer, cells, parameters, whole

from data_fetchers.engine.source import RetryableError
from data_fetchers.ibge.pam import parse_values
from data_fetchers.ibge.sidra import CROPS, check_values, known, parse_labels, refuse_labels
from data_fetchers.ibge.source import Ibge
from yieldcast.errors import ConfigError, SchemaError


@given(st.permutations(["place", "year", "variable", "product"]))
def test_roles_come_from_the_header_in_any_order(order):
    frame = parse_values(answer({(5107925, 2020, 214, 2713): "12.5"}, tuple(order)))
    row = frame.iloc[0].to_dict()
    assert row == {
        "municipality": 5107925, "harvest_year": 2020, "variable": 214, "product": 2713, "value": 12.5,
    }  # fmt: skip


def test_symbols():
    values = {109: "-", 216: "0", 214: "X", 112: "-"}
    more = {109: "..", 216: "...", 214: "-", 112: "3023"}
    frame = parse_values(answer(cells(5107925, 2713, values) | cells(5105259, 2713, more)))
    # areas and production: "-" is a zero; a yield of nothing is no yield; "0" is a number
    np.testing.assert_array_equal(frame["value"], [0, 0, np.nan, np.nan, np.nan, np.nan, 0, 3023])
    assert frame.attrs["symbols"] == {"-": 3, "..": 1, "...": 1, "X": 1}


def test_a_null_is_not_available():
    rows = json.loads(answer(cells(5107925, 2713, {214: "7", 216: "2"})))
    rows[1]["V"] = None
    frame = parse_values(json.dumps(rows).encode())
    np.testing.assert_array_equal(frame["value"], [np.nan, 2])
    assert frame.attrs["symbols"] == {"null": 1}


@pytest.mark.parametrize("text", ["", "n/d", "1.234,5", "nan", "inf", "None"])
def test_what_is_neither_number_nor_symbol_is_refused(text):
    with pytest.raises(RetryableError, match=r"a number or a known symbol|finite values"):
        parse_values(answer({(5107925, 2020, 214, 2713): text}))


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda rows: rows[0].update(D3C="Coisa (Código)"), "Coisa"),
        (lambda rows: rows[0].update(D3C="Ano (Código)"), "D3C"),
        (lambda rows: rows[0].pop("D3C"), "variable"),
        (lambda rows: rows[1].pop("V"), "column V"),
        (lambda rows: rows[1].update(MN="Mil frutos"), "Mil frutos"),
        (lambda rows: rows[1].update(D1C="51A7925"), "D1C"),
        (lambda rows: rows.clear(), "header row"),
        (lambda rows: rows.pop(), "header row"),
    ],
)
def test_another_layout_is_refused_and_named(change, names):
    rows = json.loads(answer({(5107925, 2020, 214, 2713): "1"}))
    change(rows)
    with pytest.raises(RetryableError, match=names):
        parse_values(json.dumps(rows).encode())


@pytest.mark.parametrize("body", [b"<svg/>", b'[{"V": "Valor"', b'{"a": 1}', b"[1, 2]", b"[]"])
def test_what_is_no_table_is_refused(body):
    with pytest.raises(RetryableError):
        parse_values(body)


def test_a_real_answer(samples):
    """SIDRA table 5457, soybean by state, 2023 (its header row was not kept: the one recorded elsewhere)."""
    with open(samples / "agrobr/pam_soja_sample/response.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    header = {**HEADER, **{f"D{i}N": "x" for i in range(1, 5)}}
    labels = ["Unidade da Federação", "Ano", "Variável", "Produto das lavouras temporárias e permanentes"]
    header |= {f"D{i}C": f"{label} (Código)" for i, label in enumerate(labels, 1)}
    frame = parse_values(json.dumps([header, *rows]).encode())
    assert len(frame) == 26
    assert frame.set_index("municipality")["value"].loc[[12, 15, 17]].tolist() == [45732, 3156487, 4340578]
    assert set(frame["harvest_year"]) == {2023}
    assert set(frame["variable"]) == {214}
    assert set(frame["product"]) == {40124}


def test_a_complete_answer_passes():
    assert check_values(answer(whole()), parameters({"soybean": 2713}))["rows"] == 8


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda c: c.pop((5100002, 2020, 214, 2713)), "received 7"),
        (lambda c: c.update(cells(5200001, 2713, FULL)), r"also received \[52\]"),
        (lambda c: [c.pop((p, 2020, 112, 2713)) for p in (5100001, 5100002)], "expected variable"),
        (lambda c: c.update(cells(5100001, 2711, FULL)), "expected product"),
        (lambda c: c.update(cells(5100001, 2713, FULL, 2021)), "expected harvest_year"),
    ],
)
def test_incomplete_answers_are_refused(change, names):
    held = whole()
    change(held)
    with pytest.raises(RetryableError, match=names):
        check_values(answer(held), parameters({"soybean": 2713}))


def test_the_same_row_twice_is_refused():
    rows = json.loads(answer(whole()))
    rows[-1] = dict(rows[1])
    with pytest.raises(RetryableError, match="each once"):
        check_values(json.dumps(rows).encode(), parameters({"soybean": 2713}))


def test_of_a_state_one_in_fifty_listed_municipalities_may_lack():
    def absent(count: int, **territories: int) -> dict:
        held = cells(5100001, 2713, FULL)
        for i in range(1, count):
            held |= cells(5100001 + i, 2713, FULL)
        asked = parameters({"soybean": 2713}, territories={"51": territories.pop("mt"), **territories})
        return check_values(answer(held), asked)["absent"]

    assert absent(50, mt=50) == {}
    assert absent(50, mt=49) == {}  # more than the list has
    assert absent(98, mt=100) == {"51": 2}
    with pytest.raises(
        RetryableError, match="expected 100 municipalities of state 51, received 97; 3 absent"
    ):
        absent(97, mt=100)
    with pytest.raises(RetryableError, match="expected 3 municipalities of state 51, received 2"):
        absent(2, mt=3)
    # the Federal District has one: without it a whole unit is not there
    with pytest.raises(RetryableError, match="expected 1 municipalities of state 53, received 0"):
        absent(100, mt=100, **{"53": 1})


def test_a_year_of_brazil_is_read_in_two_seconds():
    """5 crops x 5,571 municipalities x 4 variables = 111,420 rows in 3 answers, as one year of PAM comes."""
    groups = [(2713, 2711), (2692, 2689), (2696,)]
    bodies = [
        answer(
            {
                (1100000 + i, 2020, variable, product): str((i * 37 + variable) % 99991)
                for product in group
                for variable in UNITS
                for i in range(5571)
            }
        )
        for group in groups
    ]
    began, rows = time.process_time(), 0
    for body in bodies:
        rows += len(parse_values(body))
    seconds = time.process_time() - began
    assert rows == 111_420
    assert seconds < 2.0
    tracemalloc.start()
    parse_values(bodies[0])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6


@pytest.mark.parametrize(
    ("portuguese", "ours"),
    [
        ("soja", "soybean"), ("milho", "corn or corn_first or corn_second"), ("arroz", "rice"),
        ("cana", "sugarcane"), ("algodao", "cotton"), ("trigo", "wheat"), ("feijao", "beans"),
        ("Café", "coffee"), ("Soja (em grão)", "soybean"), ("CANA-DE-AÇÚCAR", "sugarcane"),
    ],
)  # fmt: skip
def test_the_hint_for_a_portuguese_name_is_the_english_one(portuguese, ours):
    with pytest.raises(ConfigError, match=r"expected crops of PAM") as caught:
        known(["soybean", portuguese])
    assert caught.value.hint == f"{portuguese} is called {ours} here. Choose from: {', '.join(CROPS)}."


@pytest.mark.parametrize("name", ["", "so", "oja", "sojas", "()"])
def test_what_begins_no_portuguese_name_gets_the_list_alone(name):
    with pytest.raises(ConfigError) as caught:
        known([name])
    assert caught.value.hint.startswith("Choose from")


def test_the_real_labels_hold_our_crops(samples):
    labels = json.loads((samples / "sidra/ibger_v3__1612__metadados.json").read_text())
    request = Ibge("http://x").metadata_requests(["soybean"])[0]
    crops = {name: crop for name, crop in CROPS.items() if crop.table == 1612}
    assert len(crops) == 11
    refuse_labels(parse_labels(labels, request), 1612, crops)
    swapped = copy.deepcopy(labels)
    for category in swapped["classificacoes"][0]["categorias"]:
        category["nome"] = category["nome"].upper().replace("Ã", "A")
    refuse_labels(swapped, 1612, crops)  # accents and case do not matter
    # 40125 and 2714, both sorghum, are taken for wheat in public code
    with pytest.raises(SchemaError, match="Sorgo"):
        refuse_labels(labels, 1612, {"wheat": CROPS["sorghum"].__class__(1612, 81, 2714, "Trigo (em grão)")})
    labels["variaveis"][2]["unidade"] = "Metros quadrados"
    with pytest.raises(SchemaError, match="variable 216 in Hectares"):
        refuse_labels(labels, 1612, crops)


def test_all_crops_are_known():
    assert list(known(["corn", "soybean", "corn"])) == ["corn", "soybean"]
    assert len(CROPS) == 15
