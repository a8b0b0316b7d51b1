import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yieldcast.errors import SchemaError
from yieldcast.publication import Publication, add_months
from yieldcast.variables import resolve


@pytest.mark.parametrize(
    ("column", "name", "factor", "layer"),
    [
        ("yield_kg_ha", "yield_kg_ha", 1.0, ""),
        ("yield_t_ha", "yield_kg_ha", 1000.0, ""),
        ("tmax_degC", "tmax_degC", 1.0, ""),
        ("cec_mmolc_kg_0_30cm", "cec_cmolc_kg", 0.1, "0_30cm"),  # 10 mmol are 1 cmol
        ("ph_h2o_5cm", "ph_h2o", 1.0, "5cm"),
        ("bulk_density_kg_m3_200cm", "bulk_density_kg_dm3", 0.001, "200cm"),  # 1 m3 = 1000 dm3
        ("gdd10_degC_day", "gdd_10_degC_day", 1.0, ""),
        ("gdd_8_30_degC_day", "gdd_8_30_degC_day", 1.0, ""),
    ],
)
def test_a_column_name_gives_quantity_factor_and_layer(column, name, factor, layer):
    found = resolve(column)
    assert (found.quantity.name, found.factor, found.layer) == (name, factor, layer)


@pytest.mark.parametrize("column", ["source", "tmean_degC", "yielding", "clay_pct", "is_state_capital"])
def test_names_we_do_not_know_are_extra_columns(column):
    assert resolve(column) is None


@pytest.mark.parametrize(
    ("column", "hint"), [("yield", "yield_UNIT"), ("tmax_K", "273.15"), ("precipitation_m", "1000")]
)
def test_a_missing_or_refused_unit_is_an_error_that_says_what_to_do(column, hint):
    with pytest.raises(SchemaError) as caught:
        resolve(column)
    assert hint in caught.value.hint


def test_publication_dates_by_hand():
    default = Publication()
    # PAM 2017: nine months after 31 Dec 2017 is 1 Oct 2018.
    assert default.yields_public(2017) == dt.date(2018, 10, 1)
    # Final ERA5 of September 2017: three months after the month's end, 1 January 2018.
    assert default.weather_public(dt.date(2017, 9, 1)) == dt.date(2018, 1, 1)
    # Preliminary ERA5T: the sixth of the next month.
    assert Publication(0, 5).weather_public(dt.date(2017, 12, 1)) == dt.date(2018, 1, 6)
    # At the end of a soybean window (31 May 2018) the newest PAM is 2016, in October 2018 it is 2017.
    assert default.last_public_harvest_year(dt.date(2018, 5, 31)) == 2016
    assert default.last_public_harvest_year(dt.date(2018, 9, 30)) == 2016
    assert default.last_public_harvest_year(dt.date(2018, 10, 1)) == 2017
    # Before sowing, 15 September 2017, PAM 2016 is not out yet: Y-3 for harvest year 2018.
    assert default.last_public_harvest_year(dt.date(2017, 9, 15)) == 2015


@given(st.dates(dt.date(1990, 1, 1), dt.date(2060, 1, 1)), st.integers(-30, 30))
def test_months_add_up(date, months):
    there = add_months(date, months)
    assert there.day == 1
    assert add_months(there, -months) == date.replace(day=1)
    assert (there.year - date.year) * 12 + there.month - date.month == months


@given(st.dates(dt.date(1990, 1, 1), dt.date(2060, 1, 1)))
def test_the_last_public_year_is_public_and_the_next_is_not(date):
    publication = Publication()
    year = publication.last_public_harvest_year(date)
    assert publication.yields_public(year) <= date < publication.yields_public(year + 1)
