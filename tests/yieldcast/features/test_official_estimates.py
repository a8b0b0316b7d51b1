"""Estimates as public on a date."""

import datetime as dt

import numpy as np
import xarray as xr

from yieldcast.features.official_estimates import OfficialEstimates

STATES = np.array(["MT", "PR", "RS"])
ROWS = [  # source, unit, harvest year, reference month, public from, kg/ha
    ("IBGE LSPA", "RS", 2012, "2012-01", "2012-02-15", 2600.0),
    ("IBGE LSPA", "RS", 2012, "2012-02", "2012-03-15", 2600.0),
    ("IBGE LSPA", "RS", 2012, "2012-03", "2012-04-15", 1500.0),
    ("IBGE LSPA", "MT", 2012, "2012-01", "2012-02-15", 3100.0),
    ("IBGE LSPA", "MT", 2011, "2011-12", "2012-01-15", 3000.0),
    ("IBGE LSPA", "MT", 2010, "2010-01", "2010-02-15", 2950.0),
    ("CONAB", "PR", 2012, "2011-12", "2011-12-10", 2900.0),
    ("IBGE LSPA", "XX", 2012, "2012-01", "2012-02-15", 9999.0),
]


def table(rows=ROWS, crop="soybean"):
    columns = list(zip(*rows, strict=True))
    dims = ("estimate",)
    return xr.Dataset({
        "source": (dims, np.array(columns[0])), "crop": (dims, np.full(len(rows), crop)),
        "unit": (dims, np.array(columns[1])), "harvest_year": (dims, np.array(columns[2], dtype=np.int16)),
        "reference_month": (dims, np.array(columns[3], dtype="datetime64[ns]")),
        "public_from": (dims, np.array(columns[4], dtype="datetime64[ns]")),
        "yield_kg_ha": (dims, np.array(columns[5], dtype=np.float32)),
    })  # fmt: skip


def newest(day, year=2012, **more):
    return OfficialEstimates(table(), "soybean", STATES, **more).newest(year, dt.date.fromisoformat(day))


def test_nothing_is_known_before_its_day():
    before, on = newest("2012-02-14"), newest("2012-02-15")
    assert np.isnan(before.yield_kg_ha).all()
    np.testing.assert_array_equal(on.yield_kg_ha, [3100.0, np.nan, 2600.0])
    assert on.months.tolist() == [1, 0, 1]


def test_an_entry_that_repeats_the_last_one_is_carried_over():
    march, april = newest("2012-03-20"), newest("2012-04-15")
    assert march.carried_over.tolist() == [False, False, True]
    assert march.months.tolist() == [1, 0, 2]
    assert april.carried_over.tolist() == [False, False, False]
    assert april.yield_kg_ha[2] == 1500.0


def test_a_late_revision_of_an_early_month_does_not_replace_a_later_month():
    revised = [*ROWS, ("IBGE LSPA", "RS", 2012, "2012-01", "2012-06-01", 2650.0)]
    found = OfficialEstimates(table(revised), "soybean", STATES).newest(2012, dt.date(2012, 7, 1))
    assert found.yield_kg_ha[2] == 1500.0
    # A revision of the newest month does count, from its own day on.
    revised = [*ROWS, ("IBGE LSPA", "RS", 2012, "2012-03", "2012-06-01", 1550.0)]
    estimates = OfficialEstimates(table(revised), "soybean", STATES)
    assert estimates.newest(2012, dt.date(2012, 5, 31)).yield_kg_ha[2] == 1500.0
    assert estimates.newest(2012, dt.date(2012, 6, 1)).yield_kg_ha[2] == 1550.0


def test_december_of_the_year_before_and_other_sources():
    assert newest("2012-01-15", 2011).yield_kg_ha[0] == 3000.0
    assert newest("2012-01-15", 2011).months[0] == 12
    conab = newest("2012-06-01", source="CONAB")
    assert conab.yield_kg_ha[1] == 2900.0
    assert conab.months[1] == 1  # December before the harvest year counts as its first month


def test_other_crops_and_no_table():
    none = OfficialEstimates(table(), "corn", STATES).newest(2012, dt.date(2013, 1, 1))
    empty = OfficialEstimates(None, "soybean", STATES).newest(2012, dt.date(2013, 1, 1))
    assert np.isnan(none.yield_kg_ha).all()
    assert np.isnan(empty.yield_kg_ha).all()


def test_readers_are_told_where_an_estimate_comes_from():
    estimates = OfficialEstimates(table(), "soybean", STATES)
    units = ["all", str(STATES[2]), str(STATES[1])]
    found = estimates.described(units, 2012, dt.date(2012, 3, 20))
    np.testing.assert_array_equal(found.yield_kg_ha, [np.nan, 2600.0, np.nan])
    assert found.source.tolist() == ["", "IBGE LSPA", ""]
    assert found.reference.tolist() == ["", "2012-02", ""]
    assert found.public_from.tolist() == ["", str(newest_day("2012-02")), ""]
    before = estimates.described(units, 2012, dt.date(2012, 2, 14))
    assert np.isnan(before.yield_kg_ha).all()
    assert set(before.public_from.tolist()) == {""}


def newest_day(month):
    """Day of publication of the estimate of RS."""
    (row,) = [one for one in ROWS if one[1] == "RS" and one[3] == month]
    return row[4]
