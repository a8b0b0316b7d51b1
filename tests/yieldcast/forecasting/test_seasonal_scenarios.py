"""The seasonal table's contract, and scenarios by hand-worked numbers; as_of is law here too."""

import datetime as dt

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from yieldcast.data import degree_days, schema
from yieldcast.data.files import read_netcdf, write_netcdf
from yieldcast.data.schema import check_seasonal
from yieldcast.errors import LeakageError, MissingDataError, SchemaError
from yieldcast.forecasting import scenarios
from yieldcast.publication import Publication

CODES = [1100, 1200, 1300]
PRELIMINARY = Publication(weather_months=0, weather_days=5)
FIELD = ("forecast_reference_time", "lead_month", "member", "cell")
ANOMALIES = ("tmax_anomaly_degC", "tmin_anomaly_degC")


def table(starts=("2016-11", "2016-12"), leads=3, members=2, systems=None, seed=0):
    """Three places in two cells per system; the third place has none."""
    rng = np.random.default_rng(seed)
    starts = np.array(starts, "datetime64[M]")
    systems = systems or [51] * len(starts)
    different = sorted(set(systems))
    size = (len(starts), leads, members, 2 * len(different))
    mine = np.array([[different.index(s) == c // 2 for c in range(size[3])] for s in systems])[:, None, None]

    def field(low, high):
        return np.where(mine, rng.uniform(low, high, size), np.nan).astype(np.float32)

    cells = np.array([[2 * i, 2 * i + 1, -1] for i in range(len(different))], np.int32)
    return xr.Dataset(
        {
            "tmax_anomaly_degC": (FIELD, field(-3, 3), {"units": "degC"}),
            "tmin_anomaly_degC": (FIELD, field(-3, 3), {"units": "degC"}),
            "precipitation_ratio": (FIELD, field(0, 2), {"units": "1"}),
            "published": (FIELD[:1], starts.astype("datetime64[ns]") + np.timedelta64(6, "D")),
            "start_system": (FIELD[:1], np.array(systems, np.int16)),
            "cell_latitude_deg": ("cell", np.linspace(-12.5, -9.5, size[3])),
            "cell_longitude_deg": ("cell", np.linspace(-57.5, -54.5, size[3])),
            "municipality_cell": (("system", "municipality"), cells),
        },
        coords={
            FIELD[0]: starts.astype("datetime64[ns]"),
            "lead_month": np.arange(1, leads + 1, dtype=np.int16),
            "member": np.arange(members, dtype=np.int16),
            "cell": np.arange(size[3], dtype=np.int32),
            "system": np.array(different, np.int16),
            "municipality": np.array(CODES, np.int32),
        },
        attrs={"licence": "L", "attribution": "A", "hindcast_years": "1993-2016"},
    )


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


def constant(ds, tmax=0.0, tmin=0.0, ratio=1.0):
    for name, value in zip((*ANOMALIES, "precipitation_ratio"), (tmax, tmin, ratio), strict=True):
        ds[name] = ds[name].copy(data=np.where(np.isnan(ds[name].values), np.nan, value).astype(np.float32))
    return ds


def test_a_right_table_passes_and_survives_the_disk(tmp_path):
    ds = table(systems=[5, 51])
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
        lambda ds: ds.assign_coords({FIELD[0]: ds[FIELD[0]].values + np.timedelta64(3, "D")}),
        "first of a month",
    ),
    "starts out of order": (lambda ds: ds.isel({FIELD[0]: [1, 0]}), "sorted"),
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
        check_seasonal(change(table()))
    assert caught.value.hint
    assert str(caught.value).startswith("seasonal: expected")


def test_scenarios_by_hand():
    # Climatology 30, 20, 100; anomalies +2, -1; ratio 1.5. November to January.
    ds = scenarios.scenarios(
        constant(table(["2016-11"]), 2, -1, 1.5), flat(), dt.date(2016, 11, 20), PRELIMINARY
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
    ds = scenarios.scenarios(constant(table(["2020-12"]), 1), warm, dt.date(2020, 12, 20), PRELIMINARY)
    assert (ds["tmax_degC"].values[:, :2] == 31).all()
    assert ds.attrs["climatology_years"] == "1993-2016"


def test_with_few_years_of_the_hindcast_all_known_years_count():
    # 2015 and 2016 at 30, 2017 and 2018 at 34: two years within the hindcast's are too few. On 10 November
    # 2018 all months up to October 2018 are public. November and December: (30 + 30 + 34) / 3; January, known
    # in all four years: (30 + 30 + 34 + 34) / 4 = 32.
    short = flat("2015-01", 48, jumps=[(2017, 34), (2018, 34)])
    ds = scenarios.scenarios(constant(table(["2018-11"])), short, dt.date(2018, 11, 10), PRELIMINARY)
    np.testing.assert_allclose(ds["tmax_degC"].values[0, 0], [94 / 3, 94 / 3, 32], rtol=1e-6)
    assert ds.attrs["climatology_years"] == "2015-2018"


def test_tmin_is_lowered_to_tmax():
    # tmax 30 - 8 = 22, tmin 20 + 8 = 28: tmin becomes 22, tmax stays
    ds = scenarios.scenarios(constant(table(["2016-11"]), -8, 8), flat(), dt.date(2016, 11, 20), PRELIMINARY)
    assert (ds["tmax_degC"].values[:, :2] == 22).all()
    assert (ds["tmin_degC"].values[:, :2] == 22).all()


def test_every_number_comes_from_its_own_place_member_and_lead():
    few, ours = table(["2016-11"], members=4), weather()
    ds = scenarios.scenarios(few, ours, dt.date(2016, 11, 20), PRELIMINARY)
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
    few = table(["2016-10", "2016-11", "2016-12"])
    for day, start in ((6, "2016-10"), (7, "2016-11")):
        ds = scenarios.scenarios(few, weather(), dt.date(2016, 11, day), PRELIMINARY)
        assert str(ds["forecast_reference_time"].values)[:7] == start
    asked = scenarios.scenarios(
        few, weather(), dt.date(2016, 12, 20), PRELIMINARY, start=np.datetime64("2016-11")
    )
    assert str(asked["forecast_reference_time"].values)[:7] == "2016-11"


def test_each_start_is_read_in_the_cells_of_its_system():
    both = table(["2022-10", "2022-11"], systems=[5, 51])
    for row, (day, first) in enumerate(((20, 0), (20, 2))):
        ds = scenarios.scenarios(both, flat(), dt.date(2022, 10 + row, day), PRELIMINARY)
        wanted = 30 + both["tmax_anomaly_degC"].values[row, :, :, first : first + 2]
        np.testing.assert_allclose(ds["tmax_degC"].values[:, :2], wanted.transpose(1, 2, 0), rtol=1e-5)


def test_a_start_that_was_not_out_is_a_leak():
    with pytest.raises(LeakageError, match="2016-12"):
        scenarios.scenarios(
            table(), weather(), dt.date(2016, 12, 6), PRELIMINARY, start=np.datetime64("2016-12")
        )


@pytest.mark.parametrize("day", [dt.date(2016, 11, 6), dt.date(2017, 3, 1)])
def test_no_usable_start_says_what_to_do(day):
    # before the first is out, and after the last valid month (February 2017)
    with pytest.raises(MissingDataError, match="2016-11, 2016-12") as caught:
        scenarios.scenarios(table(), weather(), day, PRELIMINARY)
    assert "yieldcast fetch seasonal" in caught.value.hint


def test_a_start_that_is_not_in_the_table_and_places_that_are_not():
    with pytest.raises(MissingDataError, match="2015-01") as caught:
        scenarios.scenarios(
            table(), weather(), dt.date(2016, 12, 20), PRELIMINARY, start=np.datetime64("2015-01")
        )
    assert "yieldcast fetch seasonal" in caught.value.hint
    with pytest.raises(MissingDataError, match="none of the 2 municipalities"):
        scenarios.scenarios(table(), weather(codes=[7, 8]), dt.date(2016, 12, 20), PRELIMINARY)


def test_places_in_another_order_and_number_find_their_own():
    few, ours = table(["2016-11"]), weather(codes=[1000, 1200, 1500])
    ds = scenarios.scenarios(few, ours, dt.date(2016, 11, 20), PRELIMINARY)
    assert np.isnan(ds["tmax_degC"].values[:, [0, 2]]).all()
    own = ours["tmax_degC"].values[1, 10::12][:23].astype(np.float64).mean()
    anomaly = few["tmax_anomaly_degC"].values[0, 0, :, 1]
    np.testing.assert_allclose(ds["tmax_degC"].values[:, 1, 0], own + anomaly, rtol=1e-5)


STARTS = [f"{year}-{month:02d}" for year in (2015, 2016) for month in range(1, 13)]
DECADES = weather("2004-01", 168)
FORECASTS = table(STARTS, leads=6)


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
    for name in (*ANOMALIES, "precipitation_ratio"):
        forecasts[name].values[late] = rng.uniform(0, 5, forecasts[name].shape)[late]
    before = scenarios.scenarios(FORECASTS, DECADES, as_of, publication)
    after = scenarios.scenarios(forecasts, ours, as_of, publication)
    assert before.identical(after)
    # also when the later starts are not in the table at all, and the later weather is not there
    known = scenarios.scenarios(forecasts.isel(forecast_reference_time=~late), ours, as_of, publication)
    assert known.identical(before)


def test_what_is_public_does_change_the_scenarios():
    # The law's test could pass with scenarios that never change.
    as_of, forecasts, ours = dt.date(2016, 6, 20), FORECASTS.copy(deep=True), DECADES.copy(deep=True)
    before = scenarios.scenarios(FORECASTS, DECADES, as_of, PRELIMINARY)
    ours["tmax_degC"].loc[{"time": np.datetime64("2014-07-01", "ns")}] += 5
    assert not scenarios.scenarios(FORECASTS, ours, as_of, PRELIMINARY).equals(before)
    forecasts["tmax_anomaly_degC"].loc[{FIELD[0]: np.datetime64("2016-06-01", "ns")}] += 1
    assert not scenarios.scenarios(forecasts, DECADES, as_of, PRELIMINARY).equals(before)
