"""Seasonal forecasts: checks of the table, weather of the members by hand, nothing published after as_of."""

import datetime as dt

import numpy as np
import pytest
import xarray as xr
from factories import SEASONAL_ANOMALIES, SEASONAL_CODES, SEASONAL_DIMS, constant_seasonal, synthetic_seasonal
from hypothesis import given, settings
from hypothesis import strategies as st

from yieldcast.data import degree_days, schema
from yieldcast.data.files import read_netcdf, write_netcdf
from yieldcast.data.schema import check_seasonal
from yieldcast.errors import LeakageError, MissingDataError, SchemaError
from yieldcast.forecasting.seasonal_scenarios import seasonal_weather, start_fingerprint
from yieldcast.publication import Publication

CODES = SEASONAL_CODES
PRELIMINARY = Publication(weather_months=0, weather_days=5)


def weather(first="1993-01", months=288, codes=CODES, seed=1):
    """Noisy monthly weather with one column of degree days."""
    rng = np.random.default_rng(seed)
    time = np.arange(np.datetime64(first, "M"), np.datetime64(first, "M") + months)
    size = (len(codes), months)
    tmin = rng.uniform(10, 20, size)
    values = {
        "tmax_degC": tmin + rng.uniform(5, 15, size),
        "tmin_degC": tmin,
        "precipitation_mm": rng.uniform(0, 300, size),
        "gdd_8_30_degC_day": rng.uniform(0, 600, size),
    }
    return schema.check_weather(
        schema.set_units(
            xr.Dataset(
                {n: (("municipality", "time"), v.astype(np.float32)) for n, v in values.items()},
                coords={"municipality": np.array(codes, np.int32), "time": time.astype("datetime64[ns]")},
            )
        )
    )


def flat(first="1993-01", months=288, jumps=()):
    """tmax 30, tmin 20, rain 100 everywhere, but for (year, tmax) in `jumps`."""
    ds = weather(first, months)
    for name, value in (("tmax_degC", 30), ("tmin_degC", 20), ("precipitation_mm", 100)):
        ds[name] = ds[name].copy(data=np.full(ds[name].shape, value, np.float32))
    for year, value in jumps:
        ds["tmax_degC"].values[:, ds["time"].dt.year.values == year] = value
    return ds


def test_a_right_table_passes_and_survives_the_disk(tmp_path):
    ds = synthetic_seasonal(systems=[5, 51])
    assert check_seasonal(ds) is ds
    write_netcdf(tmp_path / "s.nc", ds)
    assert check_seasonal(read_netcdf(tmp_path / "s.nc")).equals(ds)


def replaced(name, function):
    def change(ds):
        return ds.assign({name: ds[name].copy(data=function(ds[name].values))})

    return change


WRONG = {
    "an anomaly beyond 30": (replaced("tmax_anomaly_degC", lambda v: v + 40), "-30 to 30 degC"),
    "a ratio below 0": (replaced("precipitation_ratio", lambda v: v - 3), "0 to 5"),
    "an infinite ratio": (replaced("precipitation_ratio", lambda v: v + np.inf), "0 to 5"),
    "a type": (lambda ds: ds.assign(start_system=ds["start_system"].astype(np.int64)), "int16"),
    "dims": (lambda ds: ds.transpose(..., "member"), "with dims"),
    "a variable missing": (lambda ds: ds.drop_vars("published"), "published"),
    "one too many": (lambda ds: ds.assign(sst=ds["published"]), "sst"),
    "kelvin": (lambda ds: ds.assign(tmin_anomaly_degC=ds["tmin_anomaly_degC"].assign_attrs(units="K")), "K"),
    "no licence": (lambda ds: ds.assign_attrs(licence=""), "licence"),
    "no hindcast years": (lambda ds: ds.assign_attrs(hindcast_years="all"), "1993-2016"),
    "a start within a month": (
        lambda ds: ds.assign_coords({SEASONAL_DIMS[0]: ds[SEASONAL_DIMS[0]].values + np.timedelta64(3, "D")}),
        "first of a month",
    ),
    "starts out of order": (lambda ds: ds.isel({SEASONAL_DIMS[0]: [1, 0]}), "sorted"),
    "leads from 2 on": (lambda ds: ds.isel(lead_month=slice(1, None)), "lead_month 1, 2, 3"),
    "out on the day it starts": (replaced("published", lambda v: v - np.timedelta64(6, "D")), "published"),
    "no day of release": (replaced("published", lambda v: np.full_like(v, "NaT")), "published"),
    "a system that is not there": (replaced("start_system", lambda v: v * 0 + 6), "start_system"),
    "a cell that is not there": (replaced("municipality_cell", lambda v: v + 5), "municipality_cell"),
    "cells not counted": (lambda ds: ds.isel(cell=slice(1, None)), "cells numbered"),
    "an empty start": (
        replaced("precipitation_ratio", lambda v: np.concatenate([v[:1], np.full_like(v[1:], np.nan)])),
        "precipitation_ratio",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_table_is_refused(case):
    change, said = WRONG[case]
    with pytest.raises(SchemaError, match=said) as caught:
        check_seasonal(change(synthetic_seasonal()))
    assert caught.value.hint
    assert str(caught.value).startswith("seasonal: expected")


def test_scenarios_by_hand():
    # Climatology 30, 20, 100; anomalies +2, -1; ratio 1.5. November to January.
    ds = seasonal_weather(
        constant_seasonal(synthetic_seasonal(["2016-11"]), 2, -1, 1.5),
        flat(),
        dt.date(2016, 11, 20),
        PRELIMINARY,
    )
    assert ds["tmax_degC"].dims == ("scenario", "municipality", "time")
    assert ds["tmax_degC"].shape == (2, 3, 3)
    for name, value in (("tmax_degC", 32), ("tmin_degC", 19), ("precipitation_mm", 150)):
        assert (ds[name].values[:, :2] == value).all()
        assert np.isnan(ds[name].values[:, 2]).all()  # this place has no cell
        assert ds[name].dtype == np.float32
    # limits 8 and 30: (30 + 19) / 2 - 8 = 16.5 a day; 30, 31 and 31 days
    np.testing.assert_allclose(ds["gdd_8_30_degC_day"].values[0, 0], [495.0, 511.5, 511.5])
    assert ds["time"].values.astype("datetime64[M]").astype(str).tolist() == ["2016-11", "2016-12", "2017-01"]
    assert str(ds["forecast_reference_time"].values)[:10] == "2016-11-01"
    assert ds["tmax_degC"].attrs["units"] == "degC"
    assert (ds.attrs["system"], ds.attrs["licence"]) == (51, "L")


def test_a_year_later_is_not_counted_twice():
    # The anomaly is measured from 1993-2016; that 2017-2020 were warm is part of it already.
    warm = flat(months=336, jumps=[(year, 33) for year in range(2017, 2021)])
    ds = seasonal_weather(
        constant_seasonal(synthetic_seasonal(["2020-12"]), 1), warm, dt.date(2020, 12, 20), PRELIMINARY
    )
    assert (ds["tmax_degC"].values[:, :2] == 31).all()
    assert ds.attrs["climatology_years"] == "1993-2016"


def test_with_few_years_of_the_hindcast_all_known_years_count():
    # 2015 and 2016 at 30, 2017 and 2018 at 34: two years within the hindcast's are too few. On 10 November
    # 2018 all months up to October 2018 are public. November and December: (30 + 30 + 34) / 3; January, known
    # in all four years: (30 + 30 + 34 + 34) / 4 = 32.
    short = flat("2015-01", 48, jumps=[(2017, 34), (2018, 34)])
    ds = seasonal_weather(
        constant_seasonal(synthetic_seasonal(["2018-11"])), short, dt.date(2018, 11, 10), PRELIMINARY
    )
    np.testing.assert_allclose(ds["tmax_degC"].values[0, 0], [94 / 3, 94 / 3, 32], rtol=1e-6)
    assert ds.attrs["climatology_years"] == "2015-2018"


def test_tmin_is_lowered_to_tmax():
    # tmax 30 - 8 = 22, tmin 20 + 8 = 28: tmin becomes 22, tmax stays
    ds = seasonal_weather(
        constant_seasonal(synthetic_seasonal(["2016-11"]), -8, 8), flat(), dt.date(2016, 11, 20), PRELIMINARY
    )
    assert (ds["tmax_degC"].values[:, :2] == 22).all()
    assert (ds["tmin_degC"].values[:, :2] == 22).all()


def test_every_number_comes_from_its_own_place_member_and_lead():
    few, ours = synthetic_seasonal(["2016-11"], members=4), weather()
    ds = seasonal_weather(few, ours, dt.date(2016, 11, 20), PRELIMINARY)
    # October 2016 is the last public month: November 1993-2015, December 1993-2015, January 1993-2016
    for place in (0, 1):
        for lead, (month, last) in enumerate(((11, 2015), (12, 2015), (1, 2016))):
            own = ours["tmax_degC"].values[place, month - 1 :: 12][: last - 1993 + 1]
            for member in range(4):
                anomaly = few["tmax_anomaly_degC"].values[0, lead, member, place]
                got = ds["tmax_degC"].values[member, place, lead]
                np.testing.assert_allclose(got, own.astype(np.float64).mean() + anomaly, rtol=1e-5)
    base = degree_days.from_monthly(
        ds["tmax_degC"].values, ds["tmin_degC"].values, np.array([30, 31, 31]), 8, 30
    )
    np.testing.assert_allclose(ds["gdd_8_30_degC_day"].values, base, rtol=1e-4)


def test_the_newest_start_that_was_out():
    few = synthetic_seasonal(["2016-10", "2016-11", "2016-12"])
    for day, start in ((6, "2016-10"), (7, "2016-11")):
        ds = seasonal_weather(few, weather(), dt.date(2016, 11, day), PRELIMINARY)
        assert str(ds["forecast_reference_time"].values)[:7] == start
    asked = seasonal_weather(
        few, weather(), dt.date(2016, 12, 20), PRELIMINARY, start=np.datetime64("2016-11")
    )
    assert str(asked["forecast_reference_time"].values)[:7] == "2016-11"


def test_each_start_is_read_in_the_cells_of_its_system():
    both = synthetic_seasonal(["2022-10", "2022-11"], systems=[5, 51])
    for row, (day, first) in enumerate(((20, 0), (20, 2))):
        ds = seasonal_weather(both, flat(), dt.date(2022, 10 + row, day), PRELIMINARY)
        wanted = 30 + both["tmax_anomaly_degC"].values[row, :, :, first : first + 2]
        np.testing.assert_allclose(ds["tmax_degC"].values[:, :2], wanted.transpose(1, 2, 0), rtol=1e-5)


def test_a_start_that_was_not_out_is_a_leak():
    with pytest.raises(LeakageError, match="2016-12"):
        seasonal_weather(
            synthetic_seasonal(), weather(), dt.date(2016, 12, 6), PRELIMINARY, start=np.datetime64("2016-12")
        )


@pytest.mark.parametrize("day", [dt.date(2016, 11, 6), dt.date(2017, 3, 1)])
def test_no_usable_start_says_what_to_do(day):
    # before the first is out, and after the last valid month (February 2017)
    with pytest.raises(MissingDataError, match="2016-11, 2016-12") as caught:
        seasonal_weather(synthetic_seasonal(), weather(), day, PRELIMINARY)
    assert "yieldcast fetch seasonal" in caught.value.hint


def test_a_start_that_is_not_in_the_table_and_places_that_are_not():
    with pytest.raises(MissingDataError, match="2015-01") as caught:
        seasonal_weather(
            synthetic_seasonal(),
            weather(),
            dt.date(2016, 12, 20),
            PRELIMINARY,
            start=np.datetime64("2015-01"),
        )
    assert "yieldcast fetch seasonal" in caught.value.hint
    with pytest.raises(MissingDataError, match="none of the 2 municipalities"):
        seasonal_weather(synthetic_seasonal(), weather(codes=[7, 8]), dt.date(2016, 12, 20), PRELIMINARY)


def test_places_in_another_order_and_number_find_their_own():
    few, ours = synthetic_seasonal(["2016-11"]), weather(codes=[1000, 1200, 1500])
    ds = seasonal_weather(few, ours, dt.date(2016, 11, 20), PRELIMINARY)
    assert np.isnan(ds["tmax_degC"].values[:, [0, 2]]).all()
    own = ours["tmax_degC"].values[1, 10::12][:23].astype(np.float64).mean()
    anomaly = few["tmax_anomaly_degC"].values[0, 0, :, 1]
    np.testing.assert_allclose(ds["tmax_degC"].values[:, 1, 0], own + anomaly, rtol=1e-5)


STARTS = [f"{year}-{month:02d}" for year in (2015, 2016) for month in range(1, 13)]
DECADES = weather("2004-01", 168)
FORECASTS = synthetic_seasonal(STARTS, leads=6)


@settings(max_examples=60, deadline=None)
@given(
    as_of=st.dates(dt.date(2015, 2, 1), dt.date(2016, 12, 31)),
    publication=st.sampled_from([Publication(), PRELIMINARY]),
    seed=st.integers(0, 2**32 - 1),
)
def test_law_nothing_published_after_as_of_changes_any_scenario(as_of, publication, seed):
    rng = np.random.default_rng(seed)
    ours, forecasts = DECADES.copy(deep=True), FORECASTS.copy(deep=True)
    late = [publication.weather_public(d) > as_of for d in ours["time"].values.astype("M8[D]").tolist()]
    for name in ours:
        noise = rng.normal(0, 50, ours[name].shape).astype(np.float32)
        noise[rng.random(noise.shape) < 0.2] = np.nan
        ours[name].values[:, late] = noise[:, late]
    late = forecasts["published"].values > np.datetime64(as_of)
    for name in (*SEASONAL_ANOMALIES, "precipitation_ratio"):
        forecasts[name].values[late] = rng.uniform(0, 5, forecasts[name].shape)[late]
    before = seasonal_weather(FORECASTS, DECADES, as_of, publication)
    after = seasonal_weather(forecasts, ours, as_of, publication)
    assert before.identical(after)
    # also when the later starts are not in the table at all, and the later weather is not there
    known = seasonal_weather(forecasts.isel(forecast_reference_time=~late), ours, as_of, publication)
    assert known.identical(before)


def test_what_is_public_does_change_the_scenarios():
    # The law's test could pass with scenarios that never change.
    as_of, forecasts, ours = dt.date(2016, 6, 20), FORECASTS.copy(deep=True), DECADES.copy(deep=True)
    before = seasonal_weather(FORECASTS, DECADES, as_of, PRELIMINARY)
    ours["tmax_degC"].loc[{"time": np.datetime64("2014-07-01", "ns")}] += 5
    assert not seasonal_weather(FORECASTS, ours, as_of, PRELIMINARY).equals(before)
    forecasts["tmax_anomaly_degC"].loc[{SEASONAL_DIMS[0]: np.datetime64("2016-06-01", "ns")}] += 1
    assert not seasonal_weather(forecasts, DECADES, as_of, PRELIMINARY).equals(before)


def test_the_fingerprint_is_of_the_newest_published_start():
    # Starts of November and December 2016 are out on the 7th of their months.
    table, day = synthetic_seasonal, dt.date(2016, 12, 6)
    made = table(("2016-11", "2016-12"))
    mark = start_fingerprint(made, day)
    assert mark.startswith("2016-11 ")
    assert start_fingerprint(made, dt.date(2016, 12, 7)).startswith("2016-12 ")
    assert start_fingerprint(made, dt.date(2016, 11, 6)) == ""
    # A start that is not out may be another or not there; an earlier one is not used.
    assert start_fingerprint(made.isel(forecast_reference_time=[0]), day) == mark
    later = made.copy(deep=True)
    later["tmax_anomaly_degC"].loc[{"forecast_reference_time": "2016-12-01"}] = 5
    assert start_fingerprint(later, day) == mark
    later["tmax_anomaly_degC"].loc[{"forecast_reference_time": "2016-11-01", "member": 1}] = 5
    assert start_fingerprint(later, day) != mark
    # The table may grow by a start of another system, with a grid of its own.
    one = table(("2016-11",), systems=[51], seed=4)
    both = table(("2016-11", "2016-12"), systems=[51, 52], seed=5)
    for name in ("tmax_anomaly_degC", "tmin_anomaly_degC", "precipitation_ratio"):
        both[name].values[0, :, :, :2] = one[name].values[0]
    assert start_fingerprint(both, day) == start_fingerprint(one, day)
    both["municipality_cell"].values[0] = [1, 0, -1]  # the same cells, of other places
    assert start_fingerprint(both, day) != start_fingerprint(one, day)
