"""LSPA: categories by label, complete answers only, estimates by hand, vintages, both interfaces."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from data_fetchers.engine.cache import PendingJob, RequestCache
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.engine.source import RetryableError
from data_fetchers.ibge import lspa, sidra
from data_fetchers.ibge.source import Ibge
from yieldcast.data.estimates import merge_estimates
from yieldcast.errors import ConfigError, MissingDataError, SchemaError

STATES = sorted(sidra.STATES)
CROPS = ("corn", "soybean")


@pytest.fixture
def ibge(ibge_server):
    yield Ibge(ibge_server.url)
    # settings of the server outlive a test
    ibge_server.set(limit=50_000, refuse_values=False, month_modified={}, estimate_factors={})


def get(ibge, requests, folder, retry, today=None):
    (summary,) = fetch_requests([(ibge, requests)], folder, retry=retry, today=today)
    return summary


def fetched(ibge, folder, retry, crops=CROPS, years=(2014,), today=None):
    """Labels and periods, then the values: source, requests, notes, summary, cache."""
    cache = RequestCache(folder / ibge.name)
    get(ibge, ibge.estimate_metadata(), folder, retry, today)
    requests, notes = ibge.estimate_requests(crops, years, cache)
    source = ibge.with_periods(cache)
    return source, requests, notes, get(source, requests, folder, retry, today), cache


def of(table, **labels):
    """Entries with these labels, by reference."""
    mask = np.ones(table.sizes["estimate"], dtype=bool)
    for name, value in labels.items():
        mask &= table[name].values == value
    return table.isel(estimate=mask)


# -- categories ----------------------------------------------------------------------------------------


def labels(names, units=("Hectares", "Hectares", "Toneladas", "Quilogramas por Hectare")):
    return {
        "variaveis": [{"id": v, "unidade": u} for v, u in zip((109, 216, 35, 36), units, strict=True)],
        "classificacoes": [{"id": 48, "categorias": [{"id": i, "nome": n} for i, n in names.items()]}],
    }


def test_categories_are_found_by_label_whatever_their_number_and_code():
    held = {1: "1.15 Soja", 2: "1.17 Soja verde", 3: "1.13 Milho (1ª Safra)", 4: "2.1 Milho (2ª safra)"}
    assert lspa.codes_of(labels(held), ["soybean", "corn_1", "corn_2"]) == {
        "soybean": 1, "corn_1": 3, "corn_2": 4,
    }  # fmt: skip
    # the known code decides between labels that begin alike, but not against its own label
    assert lspa.codes_of(labels({39443: "1.17 Soja (em grão)", 5: "Soja verde"}), ["soybean"]) == {
        "soybean": 39443
    }
    assert lspa.codes_of(labels({39443: "1.2 Amendoim", 5: "1.17 Soja"}), ["soybean"]) == {"soybean": 5}


@pytest.mark.parametrize(
    ("held", "units", "message"),
    [
        ({39443: "1.2 Amendoim"}, None, r"one category 'soja' for soybean, received \[\]"),
        ({1: "Soja verde", 2: "Soja preta"}, None, r"received \[1, 2\]"),
        ({1: "Soja"}, ("Hectares", "Hectares", "Mil toneladas", "Quilogramas por Hectare"), "variable 35"),
    ],
)
def test_changed_labels_and_units_are_refused(held, units, message):
    with pytest.raises(SchemaError, match=message) as caught:
        lspa.codes_of(labels(held, units) if units else labels(held), ["soybean"])
    assert "yieldcast needs an update" in caught.value.hint


def test_crops_of_pam_and_what_lspa_lacks():
    assert lspa.categories_of(["corn", "corn_second", "rice", "coffee"]) == (
        ["corn_1", "corn_2", "rice"],
        ["coffee"],
    )


# -- requests and answers ------------------------------------------------------------------------------


def test_one_request_per_year_of_published_months(ibge, tmp_path, quick):
    _, requests, notes, summary, _ = fetched(
        ibge, tmp_path, quick, ("corn", "orange"), years=(2005, 2006, 2014, 2026)
    )
    assert [r.name for r in requests] == ["lspa-2006", "lspa-2014", "lspa-2026"]
    assert requests[0].parameters["months"] == [200609, 200610, 200611, 200612]
    assert requests[2].parameters["months"][-1] == 202610
    assert requests[1].parameters["crops"] == {"corn_1": 39441, "corn_2": 39442}
    assert [(n.text, n.missing) for n in notes] == [
        ("LSPA has no month of 2005", False),
        ("LSPA has no orange", False),
    ]
    assert (summary.fetched, summary.missing) == (3, [])


def test_an_unknown_crop_is_refused(ibge, tmp_path, quick):
    with pytest.raises(ConfigError, match="expected crops of PAM"):
        sidra.known(["soja"])


@pytest.mark.parametrize("kind", ["short", "wrong_year", "changed_column"])
def test_incomplete_answers_are_refused_and_asked_for_again(ibge, ibge_server, tmp_path, quick, kind):
    _, requests, _, _, _ = fetched(ibge, tmp_path / "first", quick)
    ibge_server.faults({"match": "/values", "kind": kind})
    target = tmp_path / "answer.json.gz"
    ibge.fetch(requests[0], target, PendingJob(tmp_path / "job.json"))
    with pytest.raises(RetryableError, match="SIDRA: expected"):
        ibge.check(requests[0], target)
    ibge_server.faults({"match": "/values", "kind": kind})
    summary = get(ibge, requests, tmp_path / "second", quick)
    assert (summary.fetched, summary.missing) == (1, [])


def test_a_state_or_a_crop_that_is_missing_is_not_complete(ibge, tmp_path, quick):
    _, requests, _, _, cache = fetched(ibge, tmp_path, quick)
    rows = json.loads(gzip.decompress(cache.path(requests[0]).read_bytes()))
    code = next(key for key, label in rows[0].items() if label == "Unidade da Federação (Código)")
    without = [row for row in rows if row[code] != "51"]
    with pytest.raises(RetryableError, match="expected state"):
        lspa.check_values(json.dumps(without).encode(), requests[0].parameters)
    with pytest.raises(RetryableError, match="each once"):
        lspa.check_values(json.dumps([*rows, rows[1]]).encode(), requests[0].parameters)


def test_a_request_above_the_limit_is_split_to_the_same_table(ibge, ibge_server, tmp_path, quick):
    _, whole, _, _, cache = fetched(ibge, tmp_path / "whole", quick)
    ibge_server.set(limit=700)  # 27 states x 4 variables x 6 months = 648
    _, requests, _, summary, parts = fetched(ibge, tmp_path / "parts", quick)
    assert summary.missing == []
    assert summary.fetched == 6  # 3 crops x 2 half years
    made = [lspa.read_estimates(one, r, STATES)[0] for one, r in ((cache, whole), (parts, requests))]
    pd.testing.assert_frame_equal(*(t.drop_vars("retrieved").to_dataframe() for t in made))


def test_a_network_that_the_old_interface_refuses_uses_the_new_one(ibge, ibge_server, tmp_path, quick):
    _, plain, _, _, first = fetched(ibge, tmp_path / "old", quick)
    ibge_server.set(refuse_values=True)
    _, requests, _, summary, second = fetched(ibge, tmp_path / "new", quick)
    assert summary.missing == []
    assert first.path(plain[0]).read_bytes() == second.path(requests[0]).read_bytes()


def test_a_service_that_is_down_leaves_the_rest_for_later(ibge, ibge_server, tmp_path, quick):
    _, requests, _, _, _ = fetched(ibge, tmp_path / "labels", quick)
    ibge_server.faults({"match": "/values", "kind": "status", "status": 503, "times": 99})
    assert len(get(ibge, requests, tmp_path / "again", quick).missing) == 1
    ibge_server.faults()
    summary = get(ibge, requests, tmp_path / "again", quick)
    assert (summary.fetched, summary.missing) == (1, [])


# -- the table -----------------------------------------------------------------------------------------


def test_estimates_by_hand(ibge, tmp_path, quick):
    _, requests, _, _, cache = fetched(ibge, tmp_path, quick)
    table, notes = lspa.read_estimates(cache, requests, ["MT", "GO", "RO"])
    assert set(table["unit"].values) == {"MT", "GO", "RO"}
    assert set(table["source"].values) == {"lspa"}
    assert set(table["crop"].values) == {"corn", "corn_1", "corn_2", "soybean"}
    soybean = of(table, crop="soybean", unit="MT")
    assert soybean["reference"].values.tolist() == [f"2014-{m:02d}" for m in range(1, 13)]
    assert soybean["public_from"].values[0] == np.datetime64("2014-02-15")
    assert soybean["public_from"].values[11] == np.datetime64("2015-01-15")
    assert set(soybean["harvest_year"].values) == {2014}
    # Server, March: 2600 + 45 * 9 + 10 * 3 + 51 = 3086 kg/ha; planted 1000 + 5100 + 39443 % 50 = 6143 ha,
    # harvested 6143 - 122 = 6021 ha, production 18581 t, 1000 * 18581 / 6021 = 3086.03 kg/ha
    march = soybean.isel(estimate=2)
    names = ("yield_kg_ha", "area_planted_ha", "area_harvested_ha", "production_t")
    assert [float(march[name]) for name in names] == [3086, 6143, 6021, 18581]
    assert soybean["carried_over"].values.tolist() == [0, 1, 1] + [0] * 9  # January's projection repeated
    assert soybean["retrieved"].values[0] == np.datetime64("2026-11-20T12:00")
    assert any("'-' (zero)" in note.text for note in notes)


def test_corn_is_the_sum_of_both_crops(ibge, tmp_path, quick):
    _, requests, _, _, cache = fetched(ibge, tmp_path, quick)
    table, _ = lspa.read_estimates(cache, requests, STATES)
    for unit in ("MT", "PR", "RO", "BA"):
        both, first, second = (of(table, crop=c, unit=unit) for c in ("corn", "corn_1", "corn_2"))
        for name in ("production_t", "area_harvested_ha"):
            parts = [one[name].values if one.sizes["estimate"] else 0.0 for one in (first, second)]
            np.testing.assert_allclose(both[name].values, sum(parts))
        rounded = np.round(1000 * both["production_t"].values / both["area_harvested_ha"].values)
        np.testing.assert_array_equal(both["yield_kg_ha"].values, rounded)


def frame(values):
    """Long values of one state: {(month, product code, variable): value}."""
    rows = [
        {"state": 51, "month": m, "product": p, "variable": v, "value": x, "crop": f"corn_{p}"}
        for (m, p, v), x in values.items()
    ]
    return pd.DataFrame(rows).assign(retrieved=pd.Timestamp("2026-01-01"))


def corn_of(second):
    first = {35: 6000.0, 36: 6000.0, 109: 1000.0, 216: 1000.0}
    values = {(m, 1, v): x for m in (201401, 201402) for v, x in first.items()}
    values |= {(m, 2, v): x for m, row in second.items() for v, x in row.items()}
    wide = lspa._wide(frame(values))
    return wide[wide["crop"] == "corn"].set_index("month")["yield_kg_ha"].to_dict()


def test_corn_is_unknown_in_a_month_without_one_of_its_crops():
    known = {35: 2000.0, 36: 4000.0, 109: 500.0, 216: 500.0}
    unknown = dict.fromkeys(known, np.nan)
    none = {35: 0.0, 36: np.nan, 109: 0.0, 216: 0.0}
    assert corn_of({201401: none, 201402: known}) == {201401: 6000, 201402: 5333}  # 8000 t / 1500 ha
    assert corn_of({201401: unknown, 201402: known}) == {201402: 5333}
    assert corn_of({201401: unknown, 201402: unknown}) == {201401: 6000, 201402: 6000}  # not grown all year


def test_a_revised_month_is_a_further_vintage(ibge, ibge_server, tmp_path, quick, set_clock):
    _, requests, _, _, cache = fetched(ibge, tmp_path, quick)
    first, _ = lspa.read_estimates(cache, requests, STATES)
    later = pd.Timestamp("2026-12-03T08:00", tz="UTC").to_pydatetime()
    set_clock(later)
    ibge_server.set(month_modified={"201405": "01/12/2026"}, estimate_factors={"201405": 1.1})
    _, requests, _, summary, cache = fetched(ibge, tmp_path, quick, today=later.date())
    assert summary.revised == ["lspa-2014"]
    second, _ = lspa.read_estimates(cache, requests, STATES)
    merged = merge_estimates(first, second, later.date())
    may = of(merged, crop="soybean", unit="MT", reference="2014-05")
    assert may["public_from"].values.astype("datetime64[D]").astype(str).tolist() == [
        "2014-06-15",
        "2026-12-03",
    ]
    assert may["yield_kg_ha"].values[1] > 1.05 * may["yield_kg_ha"].values[0]
    april = of(merged, crop="soybean", unit="MT", reference="2014-04")
    assert april.sizes["estimate"] == 1
    assert april["retrieved"].values[0] == np.datetime64("2026-11-20T12:00")
    # asked for again only because a month was revised
    assert get(ibge.with_periods(cache), requests, tmp_path, quick, later.date()).kept == 1


def test_nothing_in_the_cache_names_the_command(tmp_path):
    with pytest.raises(MissingDataError, match="no estimates") as caught:
        lspa.read_estimates(RequestCache(tmp_path), [], STATES)
    assert "yieldcast fetch estimates" in caught.value.hint
