"""CONAB: two number formats, checked layout, each row once, totals as published."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_fetchers.conab import (
    COLUMNS,
    KEY,
    SERIES,
    SURVEYS,
    Conab,
    parse_numbers,
    read_estimates,
    read_surveys,
    release_day,
    survey_requests,
)
from data_fetchers.engine.cache import PendingJob, RequestCache
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.engine.http import RefusedError
from data_fetchers.engine.source import Retry, RetryableError
from yieldcast.errors import FetchError

REQUESTS = survey_requests()


@pytest.fixture
def conab(conab_server):
    return Conab(conab_server.url)


def fetch(conab, folder, retry, requests=REQUESTS, today=None):
    (summary,) = fetch_requests([(conab, requests)], folder, retry=retry, today=today)
    return summary, RequestCache(folder / conab.name)


def checked(conab, request, folder):
    """Fetch and check once, without the loop's retries."""
    target = folder / "answer.txt"
    conab.fetch(request, target, PendingJob(folder / "job.json"))
    return conab.check(request, target)


def row_of(frame, **key):
    chosen = frame[np.logical_and.reduce([frame[name] == value for name, value in key.items()])]
    assert len(chosen) == 1
    return chosen.iloc[0]


# -- numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4436,5", 4436.5),  # both of one row of CONAB's cane file
        ("347937.2", 347937.2),
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("1.234", 1.234),  # the last separator is the decimal one
        ("1.234.567", 1234567),  # but a number has only one decimal mark
        ("1.234.567,8", 1234567.8),
        ("  12  ", 12),
        ("0", 0),
        ("7.", 7),
        ("", np.nan),
        ("-", np.nan),
        ("...", np.nan),
        ("12a", np.nan),
        ("-5", np.nan),
        ("1e5", np.nan),
    ],
)
def test_a_number_is_read_by_its_last_separator(text, number):
    np.testing.assert_equal(parse_numbers(pd.Series([text])).to_numpy(), [number])


@given(
    st.lists(
        st.tuples(st.integers(0, 10**8), st.sampled_from(["{:,.1f}", "{:.1f}"]), st.booleans()), min_size=1
    )
)
def test_every_way_of_writing_a_number_gives_it_back(numbers):
    swap = str.maketrans(",.", ".,")
    texts = [style.format(n / 10) for n, style, _ in numbers]
    texts = [
        t.translate(swap) if brazilian else t for t, (_, _, brazilian) in zip(texts, numbers, strict=True)
    ]
    index = [7] * len(texts)  # of any labels
    np.testing.assert_allclose(parse_numbers(pd.Series(texts, index)), [n / 10 for n, _, _ in numbers])


# -- the whole way --------------------------------------------------------------------------------------


def test_both_files_become_one_tidy_table(conab, conab_server, tmp_path, quick):
    summary, cache = fetch(conab, tmp_path, quick)
    assert (summary.fetched, summary.missing) == (2, [])
    frame, notes = read_surveys(cache, conab, REQUESTS)
    # 11 harvest years x 9 products and safras x 27 states; 2 years x 5 surveys
    assert frame.groupby("source").size().to_dict() == {SERIES: 11 * 9 * 27, SURVEYS: 2 * 5 * 9 * 27}
    assert not frame.duplicated(KEY).any()
    # survey 99 belongs to no survey
    assert [(n.text.split(": ")[1], n.count, n.missing) for n in notes] == [
        ("rows that belong to no numbered survey", 2 * 9 * 27, False)
    ]
    assert set(frame["survey"].dropna()) == {1, 2, 3, 12}
    assert frame[frame["source"] == SERIES]["survey"].isna().all()
    assert set(frame["crop"]) == {"soybean", "corn", "beans", "wheat", "algodao em pluma"}
    assert set(frame["safra"]) == {"UNICA", "1ª", "2ª", "3ª"}
    # Stand-in: area = 20 + 3 place + 50 product + 10 safra + (year - 2000). 2nd corn of Acre (place 0) in
    # 2018: 20 + 0 + 50 + 10 + 18 = 98 thousand ha, at 1 + 0.5 + 0.36 = 1.86 t/ha: 182.28, written 182.3;
    # 182.3 / 98 = 1.860, written 1.9.
    corn = row_of(frame[frame["source"] == SERIES], crop="corn", season="2017/18", state="AC", safra="2ª")
    assert corn[["area_planted_ha", "production_t", "yield_kg_ha"]].tolist() == pytest.approx(
        [98e3, 182.3e3, 1900]
    )
    assert corn["harvest_year"] == 2018
    wheat = row_of(frame[frame["source"] == SERIES], crop="wheat", season="2018", state="AC")
    assert wheat["harvest_year"] == 2018
    assert frame.attrs["attribution"].startswith("CONAB")


def line(
    season="2003/04", safra="UNICA", state="MT", product="SOJA", area="10.0", production="30.0", rate="3.0"
):
    return [season, safra, state, product, "4744", area, production, rate]


def with_rows(conab, conab_server, folder, retry, *lines):
    conab_server.set(extra=lines)
    summary, cache = fetch(conab, folder, retry, REQUESTS[:1])
    assert summary.missing == []
    frame, notes = read_surveys(cache, conab, REQUESTS[:1])
    return frame[frame["harvest_year"] < 2008], {
        n.text.split(": ")[1].split(",")[0]: (n.count, n.missing) for n in notes
    }


def test_rows_said_twice_are_kept_once_the_finer_and_consistent_one(conab, conab_server, tmp_path, quick):
    frame, notes = with_rows(
        conab, conab_server, tmp_path, quick,
        line(state="MT", area="7.1", production="10.3", rate="1.5"),
        line(state="MT", area="7", production="10", rate="1.4"),  # in whole thousands
        line(state="GO", area="10", production="30", rate="3.0"),
        line(state="GO", area="10", production="30", rate="3.0"),  # the same again
        line(state="PR", area="10.5", production="99.5", rate="3.0"),  # finer, but 99.5 / 10.5 is not 3
        line(state="PR", area="10", production="30", rate="3.0"),
    )  # fmt: skip
    kept = frame.set_index("state")["production_t"].to_dict()
    assert kept == pytest.approx({"MT": 10.3e3, "GO": 30e3, "PR": 30e3})
    assert notes == {
        "duplicate rows": (1, False),
        "rows that differ from another row of the same key (many by rounding)": (2, False),
        "rows whose yield is not production / area": (1, False),
    }


def test_what_is_no_row_of_a_state_is_left_out_and_said(conab, conab_server, tmp_path, quick):
    frame, notes = with_rows(
        conab, conab_server, tmp_path, quick,
        line(state="BRASIL"), line(season="2003/05"), line(season="total"), line(state="MT"),
        line(state="GO", area="..."),
    )  # fmt: skip
    assert sorted(frame["state"]) == ["GO", "MT"]
    assert notes == {
        "rows of an unknown season or state": (3, True),
        "cells without a number": (1, True),
    }
    assert np.isnan(frame.set_index("state").loc["GO", "area_planted_ha"])


def test_nothing_planted_has_no_yield_and_a_lost_harvest_has_one(conab, conab_server, tmp_path, quick):
    frame, notes = with_rows(
        conab, conab_server, tmp_path, quick,
        line(state="AM", area="0", production="0", rate="0"),
        line(state="PI", area="12.5", production="0", rate="0"),
    )  # fmt: skip
    rates = frame.set_index("state")["yield_kg_ha"]
    assert np.isnan(rates["AM"])
    assert rates["PI"] == 0
    assert notes == {}


@pytest.mark.parametrize(
    ("area", "production", "rate", "fits"),
    [
        # written with one decimal each: area 0.05 to 0.15, production 0.25 to 0.35, so 1.67 to 7 t/ha
        ("0.1", "0.3", "4.3", True),
        ("0.1", "0.3", "7.0", True),
        ("0.1", "0.3", "7.2", False),
        ("0.1", "0.3", "1.6", False),  # 1.65 at most, 1.667 at least
        ("1000.0", "3000.0", "3.0", True),
        ("1000.0", "3000.0", "3.1", False),
        ("0.0", "0.4", "9.9", True),  # no area to divide by
    ],
)
def test_the_yield_is_checked_within_rounding(
    conab, conab_server, tmp_path, quick, area, production, rate, fits
):
    _, notes = with_rows(
        conab, conab_server, tmp_path, quick, line(area=area, production=production, rate=rate)
    )
    assert ("rows whose yield is not production / area" not in notes) == fits


@pytest.mark.parametrize(
    ("product", "crop"),
    [
        ("ALGODAO EM CAROCO", "cotton"),
        ("ALGODÃO EM CAROÇO", "cotton"),
        ("CAROCO DE ALGODAO", "caroco de algodao"),
        ("SORGO GRANIFERO", "sorghum"),
        ("GERGELIM", "gergelim"),
    ],
)
def test_crops_have_our_names_others_keep_theirs(conab, conab_server, tmp_path, quick, product, crop):
    frame, _ = with_rows(conab, conab_server, tmp_path, quick, line(product=product))
    assert frame["crop"].tolist() == [crop]


def test_a_file_that_is_not_there_is_said(conab, conab_server, tmp_path, quick):
    conab_server.faults({"match": SURVEYS, "kind": "status", "status": 404})
    summary, cache = fetch(conab, tmp_path, quick)
    assert [name for name, _ in summary.missing] == ["levantamentograos"]
    frame, notes = read_surveys(cache, conab, REQUESTS)
    assert set(frame["source"]) == {SERIES}
    assert [(n.count, n.missing) for n in notes] == [(1, True)]
    frame, notes = read_surveys(RequestCache(tmp_path / "none"), conab, REQUESTS)
    assert (len(frame), len(notes)) == (0, 2)
    assert set(frame.columns) >= {*KEY, "harvest_year", "yield_kg_ha"}


# -- files that are not what they were --------------------------------------------------------------------


@pytest.mark.parametrize("wanted", REQUESTS, ids=lambda p: p.name)
@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        ({"kind": "tabs"}, FetchError, r"layout has changed: expected ano_agricola;.*received 1 column"),
        ({"kind": "changed_header"}, FetchError, "layout has changed: .*;estado;produto"),
        ({"kind": "units"}, FetchError, "yields are implausible in .* rows, first '20"),
        ({"kind": "short_line"}, RetryableError, "fields, received . in row"),
        ({"kind": "few_rows"}, RetryableError, "at least 2000 rows, received 100"),
        ({"kind": "html"}, RetryableError, "web page"),
        ({"kind": "empty"}, RetryableError, "empty"),
        ({"kind": "huge"}, FetchError, "MB: refused"),
        ({"kind": "body", "body": "\n\n"}, FetchError, "layout has changed"),
        ({"kind": "status", "status": 403}, RefusedError, "403"),
        (
            {"kind": "redirect", "to": "https://www.gov.br/conab"},
            FetchError,
            "redirects to https://www.gov.br",
        ),
    ],
)
def test_each_bad_file_is_a_clear_error(conab, conab_server, tmp_path, wanted, fault, kind, text):
    conab_server.faults({"match": ".txt", **fault})
    with pytest.raises(FetchError, match=text) as caught:
        checked(conab, wanted, tmp_path)
    assert type(caught.value) is kind
    assert checked(conab, wanted, tmp_path)["rows"] > 2000  # and the next file is taken


def test_a_cut_file_is_fetched_again_and_a_busy_server_asked_again(conab, conab_server, tmp_path, quick):
    conab_server.faults(
        {"match": SERIES, "kind": "cut", "share": 0.3}, {"match": SURVEYS, "kind": "status", "status": 503}
    )
    summary, cache = fetch(conab, tmp_path, quick)
    assert summary.missing == []
    assert len([r for r in conab_server.log() if SERIES in r["path"]]) == 2
    assert cache.verified(REQUESTS[1])["tries"] == 2
    assert cache.path(REQUESTS[0]).read_bytes().count(b"\r\n") == 1 + 11 * 9 * 27


def test_a_changed_file_leaves_the_earlier_one_in_its_place(now, conab, conab_server, tmp_path):
    once = Retry(tries=1, first_s=0.01, longest_s=0.01)
    fetch(conab, tmp_path, once)
    tomorrow = now.date() + dt.timedelta(days=1)
    conab_server.faults({"match": ".txt", "kind": "tabs", "times": 2})
    summary, cache = fetch(conab, tmp_path, once, today=tomorrow)
    assert len(summary.missing) == 2
    assert len(read_surveys(cache, conab, REQUESTS)[0]) == 11 * 9 * 27 + 2 * 5 * 9 * 27


def test_utf_8_is_understood_as_well(conab, conab_server, tmp_path):
    conab.fetch(REQUESTS[0], tmp_path / "a.txt", PendingJob(tmp_path / "j"))
    text = (tmp_path / "a.txt").read_bytes().decode("cp1252")
    (tmp_path / "b.txt").write_bytes(text.encode("utf-8-sig"))
    assert conab.check(REQUESTS[0], tmp_path / "b.txt") == conab.check(REQUESTS[0], tmp_path / "a.txt")


@pytest.mark.parametrize(("today", "stale"), [("2026-11-20", False), ("2026-11-21", True)])
def test_the_files_are_asked_for_once_a_day(today, stale):
    record = {"fetched": "2026-11-20T23:59:00+00:00"}
    assert Conab("http://127.0.0.1:9").stale(REQUESTS[0], record, dt.date.fromisoformat(today)) is stale


def test_the_address_comes_from_the_argument_then_the_environment(monkeypatch):
    monkeypatch.setenv("YIELDCAST_CONAB_URL", "http://127.0.0.1:9/arquivos/")
    assert Conab().base_url == "http://127.0.0.1:9/arquivos"
    assert Conab("http://127.0.0.1:8").base_url == "http://127.0.0.1:8"
    monkeypatch.delenv("YIELDCAST_CONAB_URL")
    assert Conab().base_url == "https://portaldeinformacoes.conab.gov.br/downloads/arquivos"


# -- the real series --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The real series 1976/77 to 2017/18, written in the layout of the text file."""
    source = Path(__file__).parents[3] / "shared" / "brazil" / "conab_grain_series_state.csv.gz"
    if not source.exists():
        pytest.skip("the real series is not beside this clone")
    rows = pd.read_csv(source, dtype=str, keep_default_na=False)
    names = ["season", "conab_crop_detail", "state", "product", "product_id"]
    rows = rows[[*names, "area_planted_kha", "production_kt", "yield_t_ha"]]
    lines = [
        ";".join(COLUMNS[SERIES]),
        *(";".join(cell.ljust(15) for cell in row) for row in rows.to_numpy()),
    ]
    folder = tmp_path_factory.mktemp("real") / "conab"
    cache = RequestCache(folder)
    cache.make()
    cache.temporary(REQUESTS[0]).write_bytes("\r\n".join(lines).encode("cp1252"))
    conab = Conab("http://127.0.0.1:9")
    facts = conab.check(REQUESTS[0], cache.temporary(REQUESTS[0]))
    cache.commit(REQUESTS[0], {"fetched": "2026-11-20T12:00:00+00:00", **facts})
    return read_surveys(cache, conab, REQUESTS[:1])


def test_the_real_series_holds_each_state_once_a_season(real):
    frame, notes = real
    # 42 seasons x 27 states; the raw file has most of them twice: 32,192 rows
    counts = (
        frame[frame["crop"].isin(["soybean", "corn", "rice", "wheat", "beans"])]
        .groupby(["crop", "safra"])
        .size()
    )
    safras = {"beans": ["1ª", "2ª", "3ª"], "corn": ["1ª", "2ª"]}
    assert counts.to_dict() == {
        (crop, safra): 42 * 27
        for crop in ("soybean", "corn", "rice", "wheat", "beans")
        for safra in safras.get(crop, ["UNICA"])
    }
    said = {n.text.split(": ")[1].split(",")[0].split(" (")[0]: n.count for n in notes}
    copies = said["duplicate rows"]
    others = said["rows that differ from another row of the same key"]
    assert copies + others + len(frame) == 32192
    assert said["rows whose yield is not production / area"] < 50
    assert not any(n.missing for n in notes)


def test_the_real_totals_are_those_that_conab_published(real):
    frame = real[0][real[0]["harvest_year"] == 2018]
    numbers = ["area_planted_ha", "production_t"]
    brazil = frame.groupby("crop")[numbers].sum()
    # The file's sums of 2017/18: soybean 123,258.9 thousand t on 35,149.2 thousand ha;
    # corn 26,810.7 + 53,898.9 thousand t
    assert brazil.loc["soybean"].tolist() == pytest.approx([35_149.2e3, 123_258.9e3])
    assert brazil.loc["corn", "production_t"] == pytest.approx(80_709.6e3)
    # seed cotton is lint and seed together: 2,006.1 thousand t of lint
    lint_and_seed = brazil.loc[["algodao em pluma", "caroco de algodao"], "production_t"].sum()
    assert brazil.loc["cotton", "production_t"] == pytest.approx(lint_and_seed, rel=1e-3)
    # Mato Grosso's corn: 199.4 + 26,201.2 thousand t on 27.2 + 4,471.2 thousand ha
    mt = frame[(frame["crop"] == "corn") & (frame["state"] == "MT")][numbers].sum()
    assert mt.tolist() == pytest.approx([4_498.4e3, 26_400.6e3])


# -- estimates -------------------------------------------------------------------------------------------


def estimates(conab, folder, retry, crops=("corn", "soybean"), years=(2025, 2026), states=("AC", "MT")):
    requests = REQUESTS[1:]
    _, cache = fetch(conab, folder, retry, requests)
    return read_estimates(cache, conab, requests, crops, years, states)


def test_surveys_1_to_11_are_estimates_with_their_day_of_release(conab, tmp_path, quick):
    table, notes = estimates(conab, tmp_path, quick)
    assert set(table["crop"].values) == {"corn", "corn_1", "corn_2", "corn_3", "soybean"}
    assert set(table["reference"].values) == {"survey 1", "survey 2", "survey 3"}
    mine = table.isel(
        estimate=(table["crop"].values == "corn") & (table["unit"].values == "AC")
        & (table["harvest_year"].values == 2025)
    )  # fmt: skip
    assert mine["public_from"].values.astype("datetime64[D]").astype(str).tolist() == [
        "2024-10-15", "2024-11-15", "2024-12-15",
    ]  # fmt: skip
    assert mine["reference_month"].values[0] == np.datetime64("2024-10-01")
    assert mine["carried_over"].values.tolist() == [0, 1, 1]
    # Server, Acre 2025: areas 95 + 10 safra = 95, 105, 115 thousand ha at 2.0 t/ha
    assert float(mine["area_planted_ha"][0]) == 315_000
    assert float(mine["production_t"][0]) == 630_000
    assert float(mine["yield_kg_ha"][0]) == 2000
    assert np.isnan(mine["area_harvested_ha"].values).all()
    left_out = next(n for n in notes if "which CONAB overwrites" in n.text)
    assert left_out.count == 2 * 2 * 4  # 2 years, 2 states, 4 safras of the two crops


def test_winter_crops_and_other_years_have_no_estimate(conab, tmp_path, quick):
    table, notes = estimates(conab, tmp_path, quick, ("wheat",))
    assert table is None
    assert any("winter crops" in n.text for n in notes)
    assert estimates(conab, tmp_path, quick, years=(2019,))[0] is None


def test_days_of_release():
    assert release_day(2018, 1) == dt.date(2017, 10, 10)
    assert release_day(2018, 11) == dt.date(2018, 8, 9)
    assert release_day(2026, 1) == dt.date(2025, 10, 15)
    assert release_day(2026, 4) == dt.date(2026, 1, 15)
