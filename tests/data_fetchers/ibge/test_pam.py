"""Yields of PAM: worked by hand, compared with the stated ones, and nothing dropped without a note."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sidra_answers import UNITS, answer, cells, parameters, whole

from data_fetchers.engine.cache import Request, RequestCache, timestamp
from data_fetchers.engine.source import Note
from data_fetchers.ibge.pam import beyond_rounding, read_yields
from data_fetchers.ibge.source import Ibge
from yieldcast.errors import MissingDataError, SchemaError

SHARED = Path(__file__).parents[4] / "shared"


def request_of(crops: dict[str, int], year: int = 2020) -> Request:
    return Request("ibge", f"pam-{year}", parameters(crops, year), ".json.gz")


def put(cache: RequestCache, request: Request, body: bytes) -> None:
    cache.make()
    cache.temporary(request).write_bytes(gzip.compress(body))
    cache.commit(request, {"fetched": timestamp()})


def read(tmp_path: Path, all_cells: dict, municipalities: list[int], crops=None) -> tuple:
    request, cache = request_of(crops or {"soybean": 2713}), RequestCache(tmp_path)
    put(cache, request, answer(all_cells))
    return read_yields(cache, Ibge("http://x"), [request], np.array(municipalities, dtype=np.int32))


def note_of(notes: list[Note], text: str) -> Note:
    found = [n for n in notes if text in n.text]
    assert len(found) == 1, notes
    return found[0]


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
    """5200001 lies in a state that was not requested."""
    _, notes = read(tmp_path, whole(), [5100001, 5100002, 5100003, 5101837, 5200001])
    note = note_of(notes, "does not list")
    assert (note.count, note.missing) == (2, False)
    assert note.text.endswith("5100003, 5101837")


def test_municipalities_that_are_not_requested_are_noted(tmp_path):
    silent = dict.fromkeys(UNITS, "...")
    table = whole() | cells(5100003, 2713, silent)
    _, notes = read(tmp_path, table, [5100001])
    grown, other = note_of(notes, "PAM with values"), note_of(notes, "PAM without values")
    assert (grown.count, grown.missing, other.count, other.missing) == (1, False, 1, False)
    assert "5100002" in grown.text
    assert "5100003" in other.text


def test_an_absent_answer_is_missing_not_zero(tmp_path):
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


def test_half_of_a_split_request_is_missing_too(tmp_path):
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
