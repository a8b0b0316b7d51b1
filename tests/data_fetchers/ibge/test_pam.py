"""PAM's values: any order of columns, every symbol, yields worked by hand, and nothing dropped in silence."""

from __future__ import annotations

import csv
import gzip
import json
import math
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_fetchers.engine.cache import Request, RequestCache, timestamp
from data_fetchers.engine.source import Note, RetryableError
from data_fetchers.ibge.pam import beyond_rounding, parse_values, read_yields
from data_fetchers.ibge.sidra import check_values
from data_fetchers.ibge.source import Ibge
from yieldcast.errors import MissingDataError, SchemaError

SHARED = Path(__file__).parents[4] / "shared"
UNITS = {109: "Hectares", 216: "Hectares", 214: "Toneladas", 112: "Quilogramas por Hectare"}
# As recorded for /values/t/1612/p/2018/v/allxp/n1/1 (AlanTaranti/sidrapy, tests)
LABELS = {
    "place": "Município", "year": "Ano", "variable": "Variável",
    "product": "Produto das lavouras temporárias",
}  # fmt: skip
HEADER = {
    "NC": "Nível Territorial (Código)", "NN": "Nível Territorial", "MC": "Unidade de Medida (Código)",
    "MN": "Unidade de Medida", "V": "Valor",
}  # fmt: skip


def answer(
    cells: dict[tuple[int, int, int, int], str], order=("place", "year", "variable", "product")
) -> bytes:
    """A SIDRA answer of {(place, year, variable, product): V}, its D columns in any order."""
    header = dict(HEADER)
    for i, role in enumerate(order, 1):
        header |= {f"D{i}C": f"{LABELS[role]} (Código)", f"D{i}N": LABELS[role]}
    rows = [header]
    for (place, year, variable, product), text in cells.items():
        codes = {"place": place, "year": year, "variable": variable, "product": product}
        row = {"NC": "6", "NN": "Município", "MC": "1", "MN": UNITS[variable], "V": text}
        for i, role in enumerate(order, 1):
            row |= {f"D{i}C": str(codes[role]), f"D{i}N": "?"}
        rows.append(row)
    return json.dumps(rows).encode()


def parameters(crops: dict[str, int], year: int = 2020, territories: dict[str, int] | None = None) -> dict:
    return {
        "kind": "yields", "table": 1612, "classification": 81, "crops": crops, "year": year,
        "variables": [109, 112, 214, 216], "territories": territories or {"51": 2}, "national": False,
    }  # fmt: skip


def request_of(crops: dict[str, int], year: int = 2020) -> Request:
    return Request("ibge", f"pam-{year}", parameters(crops, year), ".json.gz")


def put(cache: RequestCache, request: Request, body: bytes) -> None:
    cache.make()
    cache.temporary(request).write_bytes(gzip.compress(body))
    cache.commit(request, {"fetched": timestamp()})


def cells(place: int, product: int, values: dict[int, str], year: int = 2020) -> dict:
    return {(place, year, variable, product): text for variable, text in values.items()}


def read(tmp_path: Path, all_cells: dict, municipalities: list[int], crops=None) -> tuple:
    request, cache = request_of(crops or {"soybean": 2713}), RequestCache(tmp_path)
    put(cache, request, answer(all_cells))
    return read_yields(cache, Ibge("http://x"), [request], np.array(municipalities, dtype=np.int32))


def note_of(notes: list[Note], text: str) -> Note:
    found = [n for n in notes if text in n.text]
    assert len(found) == 1, notes
    return found[0]


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


FULL = {109: "100", 216: "90", 214: "270", 112: "3000"}


def whole() -> dict:
    return cells(5100001, 2713, FULL) | cells(5100002, 2713, FULL)


def test_a_whole_answer_passes():
    assert check_values(answer(whole()), parameters({"soybean": 2713}), ())["rows"] == 8


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
def test_what_is_not_the_whole_answer_is_refused(change, names):
    held = whole()
    change(held)
    with pytest.raises(RetryableError, match=names):
        check_values(answer(held), parameters({"soybean": 2713}), ())


def test_the_same_row_twice_is_refused():
    rows = json.loads(answer(whole()))
    rows[-1] = dict(rows[1])
    with pytest.raises(RetryableError, match="each once"):
        check_values(json.dumps(rows).encode(), parameters({"soybean": 2713}), ())


def test_five_municipalities_may_lack_and_those_known_as_recent():
    def facts(territories: dict[str, int], recent: int) -> dict:
        held = parameters({"soybean": 2713}, territories=territories)
        return check_values(answer(whole()), held, {recent: None})

    # Mato Grosso's two are there
    assert facts({"51": 2}, 5201837)["absent"] == {}
    assert facts({"51": 3}, 5101837)["absent"] == {}
    assert facts({"51": 7}, 5201837)["absent"] == {"51": 5}
    assert facts({"51": 8}, 5101837)["absent"] == {"51": 5}
    for territories, recent in (({"51": 8}, 5201837), ({"51": 9}, 5101837)):
        expected = f"expected {territories['51']} municipalities of state 51, received 2"
        with pytest.raises(RetryableError, match=expected):
            facts(territories, recent)
    # the Federal District has one: without it a whole unit is not there
    with pytest.raises(RetryableError, match="expected 1 municipalities of state 53, received 0"):
        facts({"51": 3, "53": 1}, 5201837)


def test_yields_by_hand(tmp_path):
    table = (
        cells(5100001, 2713, {109: "120", 216: "100", 214: "333", 112: "3328"})  # 1000*333/100 = 3330
        | cells(5100002, 2713, {109: "10", 216: "X", 214: "30", 112: "2900"})  # area withheld: 112
        | cells(5100003, 2713, {109: "-", 216: "-", 214: "-", 112: "-"})  # not grown
        | cells(5100004, 2713, {109: "9", 216: "9", 214: "0", 112: "0"})  # a rounded zero
        | cells(5100005, 2713, {109: "...", 216: "...", 214: "...", 112: "..."})
    )
    codes = [5100001, 5100002, 5100003, 5100004, 5100005]
    ds, notes = read(tmp_path, table, codes)
    yields = ds["yield_kg_ha"].sel(crop="soybean", harvest_year=2020).values
    np.testing.assert_array_equal(yields, np.array([3330, 2900, np.nan, np.nan, np.nan], np.float32))
    area = ds["area_harvested_ha"].sel(crop="soybean", harvest_year=2020).values
    np.testing.assert_array_equal(area, [100, np.nan, 0, 9, np.nan])
    np.testing.assert_array_equal(ds["area_planted_ha"].values.ravel(), [120, 10, 0, 9, np.nan])
    np.testing.assert_array_equal(ds["production_t"].values.ravel(), [333, 30, 0, 0, np.nan])
    assert ds.attrs["licence"]
    assert "IBGE" in ds.attrs["attribution"]
    assert note_of(notes, "zero yields").count == 2
    assert note_of(notes, "yields are missing").count == 1
    assert note_of(notes, "are variable 112").count == 1
    assert note_of(notes, "without any value in PAM").count == 1
    assert note_of(notes, "'X'").count == 1
    assert note_of(notes, "'...'").count == 4
    assert note_of(notes, "'-'").count == 4
    assert not any(n.missing for n in notes)
    assert not any("rounding" in n.text for n in notes)


@pytest.mark.parametrize(
    # 3 ha, 10 t: 3333.3; the true production lies in 9.5..10.5 t, the true yield in 3166.7..3500. Rounded to
    # whole kg/ha it is at most 0.5 more (3500.5), cut down to them at most 1 less (3165.7).
    ("stated", "odd"),
    [("3500", False), ("3501", True), ("3166", False), ("3165", True), ("...", False)],
)
def test_the_stated_yield_may_differ_by_rounding_only(tmp_path, stated, odd):
    table = cells(5100001, 2713, {109: "3", 216: "3", 214: "10", 112: stated})
    ds, notes = read(tmp_path, table, [5100001])
    assert float(ds["yield_kg_ha"].values.item()) == pytest.approx(10_000 / 3)
    assert [n.count for n in notes if "rounding" in n.text] == [1] * odd


def test_a_yield_of_no_area_is_noted(tmp_path):
    table = cells(5100001, 2713, {109: "3", 216: "-", 214: "-", 112: "2000"})
    ds, notes = read(tmp_path, table, [5100001])
    assert np.isnan(ds["yield_kg_ha"].values.item())
    assert note_of(notes, "rounding").count == 1


@pytest.mark.parametrize("whole_kg", [math.floor, round])
def test_rounding_alone_is_never_called_odd(tmp_path, whole_kg):
    """What IBGE does: tonnes rounded, kg/ha cut (to 2010) or rounded (since), from one production."""
    rng = np.random.default_rng(1)
    table = {}
    for place in range(5100001, 5100501):
        hectares, per_ha = int(10 ** rng.uniform(0, 6)), rng.uniform(1000, 90_000)
        values = {109: hectares, 216: hectares, 214: round(per_ha * hectares / 1000), 112: whole_kg(per_ha)}
        table |= cells(place, 2713, {variable: str(value) for variable, value in values.items()})
    _, notes = read(tmp_path, table, list(range(5100001, 5100501)))
    assert notes == []


@given(
    st.integers(1, 10**6),
    st.floats(1.0, 120_000.0),
    st.sampled_from([math.floor, round]),
    st.integers(1, 10**4),
)
def test_beyond_rounding_is_a_law_of_the_gap(hectares, per_ha, whole_kg, more):
    tonnes, stated = round(per_ha * hectares / 1000), whole_kg(per_ha)

    def odd(kg: float) -> bool:
        return bool(beyond_rounding(np.array([tonnes]), np.array([hectares]), np.array([kg]))[0])

    assert not odd(stated)
    # the allowance is 2 * 500 / A + 1.5 wide: past its whole width from inside is outside, on either side
    width = 1000 / hectares + 1.5 + more
    assert odd(stated + width)
    assert odd(stated - width)


def test_of_real_rows_next_to_none_are_called_odd():
    """46,717 rows of PAM that hold production, area and 112, none of them computed from the others."""
    file = SHARED / "brazil/pam_yields.csv.gz"
    if not file.is_file():
        pytest.skip("the real yields are not beside this clone")
    rows = pd.read_csv(file, dtype={"derived": str})
    rows = rows[rows["derived"].isna()]
    columns = ("production_t", "area_harvested_ha", "yield_kg_ha")
    odd = beyond_rounding(*(rows[name].to_numpy(dtype=float) for name in columns))
    assert len(odd) == 46_717
    assert odd.mean() < 0.002
    assert odd.sum() > 0  # 3,600 kg/ha between 5 ha, 432 t and a stated 90,000 are no rounding


def test_production_rounded_to_nothing_leaves_the_stated_yield(tmp_path):
    """1 ha of 300 kg: 0.3 t is written 0, and 112 says what was harvested."""
    table = (
        cells(5100001, 2713, {109: "1", 216: "1", 214: "0", 112: "300"})
        | cells(5100002, 2713, {109: "1", 216: "1", 214: "0", 112: "-"})  # nothing was harvested
        | cells(5100003, 2713, {109: "1", 216: "1", 214: "0", 112: "502"})  # more than half a tonne: odd
        | cells(5100004, 2713, {109: "1", 216: "1", 214: "1", 112: "900"})
    )
    ds, notes = read(tmp_path, table, [5100001, 5100002, 5100003, 5100004])
    np.testing.assert_array_equal(ds["yield_kg_ha"].values.ravel(), np.float32([300, np.nan, 502, 1000]))
    np.testing.assert_array_equal(ds["production_t"].values.ravel(), [0, 0, 0, 1])
    assert note_of(notes, "production is 0 t by rounding").count == 2
    assert note_of(notes, "zero yields").count == 1
    assert note_of(notes, "by more than rounding").count == 1


def test_municipalities_that_pam_does_not_list_are_named(tmp_path):
    """5101837 is new and needs no word; 5200001 lies in a state that was not asked for."""
    _, notes = read(tmp_path, whole(), [5100001, 5100002, 5100003, 5101837, 5200001])
    note = note_of(notes, "does not list")
    assert (note.count, note.missing) == (1, False)
    assert "[5100003]" in note.text


def test_municipalities_that_are_not_asked_for_are_told(tmp_path):
    silent = dict.fromkeys(UNITS, "...")
    table = whole() | cells(5100003, 2713, silent)
    _, notes = read(tmp_path, table, [5100001])
    grown, other = note_of(notes, "PAM with values"), note_of(notes, "PAM without values")
    assert (grown.count, grown.missing, other.count, other.missing) == (1, False, 1, False)
    assert "5100002" in grown.text
    assert "5100003" in other.text


def test_a_part_that_is_not_there_is_missing_not_zero(tmp_path):
    cache, requests = (
        RequestCache(tmp_path),
        [request_of({"soybean": 2713}), request_of({"soybean": 2713}, 2021)],
    )
    codes = np.array([5100001, 5100002], dtype=np.int32)
    with pytest.raises(MissingDataError, match="no yields") as caught:
        read_yields(cache, Ibge("http://x"), requests, codes)
    assert "`yieldcast fetch yields --store DIR" in caught.value.hint
    put(cache, requests[0], answer(whole()))
    ds, notes = read_yields(cache, Ibge("http://x"), requests, codes)
    assert ds["yield_kg_ha"].sel(harvest_year=2020).notnull().all()
    assert ds["yield_kg_ha"].sel(harvest_year=2021).isnull().all()
    assert note_of(notes, "pam-2021 has not been fetched").missing


def test_half_of_a_split_part_is_missing_too(tmp_path):
    cache, request = RequestCache(tmp_path), request_of({"soybean": 2713, "corn": 2711})
    halves = Ibge("http://x").split(request)
    cache.make()
    cache.commit_split(request, halves, {"fetched": timestamp()})
    put(cache, halves[0], answer(whole()))
    ds, notes = read_yields(cache, Ibge("http://x"), [request], np.array([5100001, 5100002], dtype=np.int32))
    assert ds["yield_kg_ha"].sel(crop="soybean").notnull().all()
    assert ds["yield_kg_ha"].sel(crop="corn").isnull().all()
    assert note_of(notes, "has not been fetched").missing


def test_an_impossible_value_stops_with_its_place(tmp_path):
    table = cells(5100001, 2713, {109: "1", 216: "1", 214: "9000", 112: "9000000"})
    with pytest.raises(SchemaError, match=r"yield_kg_ha.*soybean, municipality 5100001, harvest_year 2020"):
        read(tmp_path, table, [5100001])


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
