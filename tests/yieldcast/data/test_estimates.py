"""Official estimates: the contract, carried-over figures by hand, and vintages that no merge loses."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from yieldcast.data import synthetic
from yieldcast.data.estimates import COUNTRY, KEY, VALUES, check_estimates, estimates_table, merge_estimates
from yieldcast.data.files import fingerprint, read_netcdf, write_netcdf
from yieldcast.data.store import Store
from yieldcast.errors import MissingDataError, SchemaError

SEEN = dt.date(2026, 12, 1)
FIRST = synthetic.country(seed=1, municipalities=6, harvest_years=3)
STATE = str(FIRST.static["state"].values[0])


def entry(reference="2018-01", kg_ha=3000.0, retrieved=None, public=None, **changes):
    """One row of a table of estimates; public on the 15th of the month after unless another day is given."""
    month = pd.Timestamp(reference)
    row = {
        "source": "lspa", "crop": "soybean", "unit": STATE, "harvest_year": 2018, "reference": reference,
        "reference_month": month, "yield_kg_ha": kg_ha, "area_harvested_ha": 100.0,
        "public_from": pd.Timestamp(public) if public else month + pd.DateOffset(months=1, days=14),
        "retrieved": pd.Timestamp(retrieved) if retrieved else pd.NaT,
    }  # fmt: skip
    return row | changes


def table(*rows):
    return estimates_table(pd.DataFrame(list(rows)))


def known(merged):
    """Value and first day of every entry, in order."""
    days = merged["public_from"].values.astype("datetime64[D]").astype(str)
    return list(zip(merged["yield_kg_ha"].values.tolist(), days.tolist(), strict=True))


# --- the contract -----------------------------------------------------------------------------------------


def test_entries_are_sorted_and_typed():
    made = table(entry("2018-03"), entry("2018-01"), entry("2018-01", crop="corn"))
    assert made["crop"].values.tolist() == ["corn", "soybean", "soybean"]
    assert made["reference"].values.tolist() == ["2018-01", "2018-01", "2018-03"]
    assert made["harvest_year"].dtype == np.int16
    assert made["carried_over"].dtype == np.int8
    assert np.isnat(made["retrieved"].values).all()
    assert np.isnan(made["production_t"].values).all()
    assert made["yield_kg_ha"].attrs["units"] == "kg/ha"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"public": "2017-12-31"}, "public_from of a day in or after its reference month"),
        ({"reference_month": pd.Timestamp("2018-01-02")}, "first day of a month"),
        ({"harvest_year": 1918}, "within 2 of the reference month"),
        ({"public_from": pd.NaT}, "public_from of a date"),
        ({"unit": ""}, "unit of a text"),
        ({"kg_ha": 9e6}, "yield_kg_ha of 0 to 500000 kg/ha"),
        ({"kg_ha": np.nan, "area_harvested_ha": np.nan}, "at least one value"),
    ],
)
def test_wrong_entries_are_refused(changes, message):
    with pytest.raises(SchemaError, match=message):
        table(entry("2018-02"), entry(**changes))


def test_repeated_and_contradicting_entries_are_refused():
    with pytest.raises(SchemaError, match="every estimate once"):
        table(entry(), entry())
    with pytest.raises(SchemaError, match=r"one value of an estimate on a day, received source lspa"):
        table(entry(), entry(kg_ha=3100.0))
    table(entry(), entry(kg_ha=3100.0, public="2018-04-01"))  # a revision with its own day


def test_a_table_without_entries_or_with_other_columns_is_refused():
    made = table(entry())
    with pytest.raises(SchemaError, match="dim 'estimate' with entries"):
        check_estimates(made.isel(estimate=slice(0, 0)))
    with pytest.raises(SchemaError, match="expected no variables"):
        check_estimates(made.assign(note=("estimate", np.array(["x"]))))
    with pytest.raises(SchemaError, match="harvest_year of type int16"):
        check_estimates(made.assign(harvest_year=made["harvest_year"].astype("int64")))


def test_carried_over_by_hand():
    made = table(
        entry("2018-01"),  # the first one is news
        entry("2018-02"),  # equal: carried over
        entry("2018-03", area_harvested_ha=101.0),  # another area is news
        entry("2018-03", unit="ZZ"),  # another state is not before it
        entry("2018-04", area_harvested_ha=101.0),
        entry("2018-01", harvest_year=2017),  # another harvest year
        entry("2018-02", source="other"),
    )
    order = sorted(range(7), key=lambda i: [str(made[n].values[i]) for n in ("source", "unit", *KEY)])
    flags = {
        tuple(str(made[n].values[i]) for n in ("source", "unit", "harvest_year", "reference")): int(
            made["carried_over"].values[i]
        )
        for i in order
    }
    assert sum(flags.values()) == 2
    assert flags["lspa", STATE, "2018", "2018-02"] == 1
    assert flags["lspa", STATE, "2018", "2018-04"] == 1


def test_a_later_revision_does_not_change_what_was_carried_over():
    """February equals January as it was known then, although January was revised in April."""
    plain = table(entry("2018-01"), entry("2018-02"))
    revised = table(entry("2018-01"), entry("2018-01", 2500.0, public="2018-04-01"), entry("2018-02"))
    february = [
        int(t["carried_over"].values[t["reference"].values == "2018-02"][0]) for t in (plain, revised)
    ]
    assert february == [1, 1]


# --- vintages ---------------------------------------------------------------------------------------------


def test_a_revision_is_kept_beside_the_earlier_value_and_known_when_seen():
    old = table(entry(retrieved="2018-02-20T08:00"))
    new = table(entry(kg_ha=3100.0, retrieved="2018-06-03T10:30"))
    merged = merge_estimates(old, new, SEEN)
    assert known(merged) == [(3000, "2018-02-15"), (3100, "2018-06-03")]


def test_a_revision_seen_before_publication_is_not_known_before_the_earlier_value():
    old = table(entry(retrieved="2018-02-10"))
    merged = merge_estimates(old, table(entry(kg_ha=3100.0, retrieved="2018-02-12")), SEEN)
    assert known(merged) == [(3000, "2018-02-15"), (3100, "2018-02-15")]


def test_an_import_without_dates_of_retrieval_is_a_revision_from_the_day_of_the_import():
    old = table(entry())
    merged = merge_estimates(old, table(entry(kg_ha=3100.0), entry("2018-02")), SEEN)
    assert known(merged) == [(3000, "2018-02-15"), (3100, "2026-12-01"), (3000, "2018-03-15")]
    assert merged["retrieved"].values[1] == np.datetime64("2026-12-01")
    assert np.isnat(merged["retrieved"].values[[0, 2]]).all()


def test_equal_entries_are_not_doubled_and_keep_their_first_date():
    old = table(entry(retrieved="2018-02-20"))
    for again in (table(entry()), table(entry(retrieved="2020-01-01"))):
        xr.testing.assert_identical(merge_estimates(old, again, SEEN), old)


def test_an_earlier_download_that_is_merged_later_is_the_first_value():
    later = table(entry(kg_ha=3100.0, retrieved="2018-06-03"))
    merged = merge_estimates(later, table(entry(retrieved="2018-02-20")), SEEN)
    assert known(merged) == [(3000, "2018-02-15"), (3100, "2018-06-03")]


def test_nothing_to_merge_into_gives_the_table():
    made = table(entry(), entry("2018-02", 2900.0))
    xr.testing.assert_identical(merge_estimates(None, made, SEEN), made)


@st.composite
def downloads(draw):
    """Downloads on different days; a figure of a month may have another value in each of them."""
    days = draw(st.lists(st.integers(0, 400), min_size=1, max_size=4, unique=True))
    months = st.sampled_from(["2018-01", "2018-02", "2018-03"])
    made = []
    for day in days:
        when = pd.Timestamp("2018-01-20") + pd.Timedelta(days=day)
        figures = draw(st.dictionaries(months, st.sampled_from([2000.0, 2500.0, np.nan]), min_size=1))
        made.append(table(*(entry(m, v, retrieved=when) for m, v in figures.items())))
    return made


def join(tables):
    merged = None
    for one in tables:
        merged = merge_estimates(merged, one, SEEN)
    return merged


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(downloads(), st.randoms(use_true_random=False))
def test_merging_downloads_is_idempotent_in_any_order_and_loses_nothing(tables, random):
    merged = join(tables)
    assert fingerprint(merge_estimates(merged, merged, SEEN)) == fingerprint(merged)
    shuffled = list(tables)
    random.shuffle(shuffled)
    assert fingerprint(join(shuffled)) == fingerprint(merged)
    repeated = [*tables, *shuffled]
    assert fingerprint(join(repeated)) == fingerprint(merged)
    held = {tuple(map(str, row)) for row in merged[[*KEY, *VALUES]].to_dataframe()[[*KEY, *VALUES]].values}
    for one in tables:
        rows = one[[*KEY, *VALUES]].to_dataframe()[[*KEY, *VALUES]].values
        assert {tuple(map(str, row)) for row in rows} <= held


@settings(deadline=None, max_examples=20)
@given(downloads())
def test_a_later_download_changes_nothing_that_was_known_before_it(tables):
    """What a forecast of a date finds is the same before and after later downloads are merged."""
    tables = sorted(tables, key=lambda one: one["retrieved"].values[0])
    before, after = join(tables[:-1]), join(tables)
    if before is None:
        return
    day = tables[-1]["retrieved"].values.min()
    names = [*KEY, *VALUES, "public_from", "carried_over"]

    def seen_before(merged):
        rows = merged.isel(estimate=merged["public_from"].values < day).to_dataframe()[names]
        return rows[rows["reference"].isin(before["reference"].values)].reset_index(drop=True)

    new = set(after["reference"].values.tolist()) - set(before["reference"].values.tolist())
    if not new:  # a month that no earlier download had is public by its rule, whenever it is fetched
        pd.testing.assert_frame_equal(seen_before(after), seen_before(before))


# --- in a store -------------------------------------------------------------------------------------------


def test_the_table_survives_the_disk(tmp_path: Path):
    made = table(entry(), entry("2018-02", retrieved="2018-04-01T07:30:15"))
    write_netcdf(tmp_path / "x.nc", made)
    back = read_netcdf(tmp_path / "x.nc")
    assert fingerprint(back) == fingerprint(made)
    xr.testing.assert_identical(check_estimates(back), made)


def test_a_store_without_estimates_names_the_command(tmp_path: Path):
    store = Store.write(tmp_path, FIRST, {})
    assert "estimates" not in store
    with pytest.raises(MissingDataError, match="has no estimates yet") as caught:
        _ = store.estimates
    assert "yieldcast fetch estimates" in caught.value.hint


def test_an_update_merges_and_an_import_of_all_tables_keeps_vintages(tmp_path: Path):
    store = Store.write(tmp_path, FIRST, {})
    Store.update(
        tmp_path, {"estimates": table(entry(retrieved="2018-02-20"))}, {"estimates-lspa": {"file": "a"}}
    )
    second = table(entry(kg_ha=3100.0, retrieved="2018-06-03"), entry("2018-02", retrieved="2018-06-03"))
    Store.update(tmp_path, {"estimates": second}, {"estimates-conab": {"file": "b"}})
    opened = Store.open(tmp_path)
    assert known(opened.estimates) == [(3000, "2018-02-15"), (3100, "2018-06-03"), (3000, "2018-03-15")]
    assert opened.fingerprints == store.fingerprints  # those of the other tables
    assert set(opened.sources) == {"estimates-lspa", "estimates-conab"}
    again = Store.write(tmp_path, FIRST, {"places": "places.csv"})
    assert known(again.estimates) == known(opened.estimates)
    assert set(again.sources) == {"places", "estimates-lspa", "estimates-conab"}
    assert len(list(tmp_path.glob("estimates-*.nc"))) == 1


def test_estimates_of_states_that_a_new_import_lacks_are_not_kept(tmp_path: Path):
    Store.write(tmp_path, FIRST, {}, optional={"estimates": table(entry(), entry(unit=COUNTRY))})
    others = FIRST._replace(static=FIRST.static.assign(state=FIRST.static["state"] + "x"))
    assert Store.write(tmp_path, others, {}).estimates["unit"].values.tolist() == [COUNTRY]


def test_unknown_states_are_refused_and_nothing_is_written(tmp_path: Path):
    Store.write(tmp_path, FIRST, {})
    with pytest.raises(SchemaError, match=r"expected states of the static table \(.*received ZZ"):
        Store.update(tmp_path, {"estimates": table(entry(unit="ZZ"))}, {})
    assert "estimates" not in Store.open(tmp_path)


def test_dropped_or_damaged_estimates_are_begun_anew(tmp_path: Path):
    Store.write(tmp_path, FIRST, {}, optional={"estimates": table(entry())})
    new = table(entry(kg_ha=3100.0))
    Store.update(tmp_path, {"estimates": new}, {}, drop=["estimates"])
    assert known(Store.open(tmp_path).estimates) == [(3100, "2018-02-15")]
    (file,) = tmp_path.glob("estimates-*.nc")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(SchemaError, match="damaged"):
        _ = Store.open(tmp_path).estimates
    Store.update(tmp_path, {"estimates": table(entry())}, {})
    assert known(Store.open(tmp_path).estimates) == [(3000, "2018-02-15")]


def test_status_counts_by_hand(tmp_path: Path):
    rows = [entry(), entry("2018-02"), entry("2018-02", 3300.0, public="2018-05-01"), entry(unit=COUNTRY)]
    store = Store.write(tmp_path, FIRST, {}, optional={"estimates": table(*rows)})
    have = store.status()["tables"]["estimates"]
    assert have["entries"] == 4
    assert have["sources"]["lspa"] == {
        "entries": 4, "crops": ["soybean"], "units": sorted([STATE, COUNTRY]), "first_harvest_year": 2018,
        "last_harvest_year": 2018, "first_reference_month": "2018-01", "last_reference_month": "2018-02",
        "newest_public_from": "2018-05-01", "revisions": 1, "carried_over": 1,
    }  # fmt: skip
    assert "lspa: 4 estimates of soybean, 2018-01 to 2018-02" in repr(store)
