"""Daily weather: the contract, and a user's netCDF of municipalities or regions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from yieldcast.data import synthetic
from yieldcast.data.daily import check_daily, daily_table
from yieldcast.data.files import fingerprint
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.importing.check import Reader
from yieldcast.importing.codes import Codes
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.daily import read_daily
from yieldcast.importing.files import UserFiles, read_files, read_tables

PLACES = """municipality_code,name,lat,lon,state,region_2013,region_name
20,Boa Vista,-15.5,-50.25,MT,7,x
9,Mirim,-20,-48,SP,5,y
100,Cedro,-10,-45,BA,7,x
30,Novo,-10,-45,BA,,z
"""
CODES = Codes(["20", "9", "100", "30"])


def days(units=(7, 5), dim="region", count=40, start="2016-01-20", **extra):
    time = (np.datetime64(start, "D") + np.arange(count)).astype("datetime64[ns]")
    base = 25 + np.arange(len(units))[:, None] + np.arange(count)[None, :] / 10
    data = {"tmax_degC": base, "tmin_degC": base - 10, "precipitation_mm": base - 20, **extra}
    arrays = {name: ((dim, "time"), np.broadcast_to(v, base.shape).copy()) for name, v in data.items()}
    return xr.Dataset(arrays, coords={dim: np.asarray(units), "time": time})


@pytest.fixture
def put(tmp_path):
    (tmp_path / "places.csv").write_text(PLACES, encoding="utf-8")

    def write(ds):
        ds.to_netcdf(tmp_path / "days.nc", engine="h5netcdf")
        return tmp_path / "days.nc", tmp_path / "places.csv"

    return write


def test_regions_by_hand(put):
    file, places = put(days(dewpoint_degC=12.0, radiation_W_m2=250.0))
    log = ImportLog()
    table = read_daily(file, CODES, log, places)
    assert table["unit"].values.tolist() == [5, 7]
    assert table["municipality"].values.tolist() == [9, 20, 30, 100]
    assert table["municipality_unit"].values.tolist() == [0, 1, -1, 1]
    assert table.sizes["time"] == 40
    assert table["tmax_degC"].dtype == np.float32
    assert table["tmax_degC"].values[:, 0].tolist() == [26, 25]  # 7 is the first in the file
    assert float(table["radiation_MJ_m2"][0, 0]) == pytest.approx(21.6)  # 250 W/m2 x 86400 s
    assert ("places", "region_2013 assigns the units of daily weather", 3) in log.read
    assert ("daily", "days from 2016-01-20 to 2016-02-28", 40) in log.read
    assert log.warnings == [("daily", "places without daily weather", 1)]


def test_municipalities_need_no_places(put):
    file, _ = put(days((100, 9), "municipality", wind_m_s=2.0))
    table = read_daily(file, CODES, ImportLog())
    assert table["unit"].values.tolist() == [9, 100]
    assert table["municipality_unit"].values.tolist() == [0, -1, -1, 1]
    assert "wind_m_s" in table


def test_gaps_are_filled_counted_and_reported(put):
    ds = days().isel(time=[*range(5), *range(8, 40)])
    ds["tmax_degC"][0, 2] = np.nan
    file, places = put(ds)
    log = ImportLog()
    table = read_daily(file, CODES, log, places)
    assert table.sizes["time"] == 40
    assert np.isnan(table["tmin_degC"].values[:, 5:8]).all()
    assert ("daily", "days not in the file, set to missing", 3) in log.warnings
    assert ("daily", "missing days of units in tmax_degC", 7) in log.warnings
    assert ("daily", "missing days of units in tmin_degC", 6) in log.warnings


def test_units_that_are_texts_are_numbered(put):
    file, places = put(days(("b", "a")))
    places.write_text(PLACES.replace(",7,", ",b,").replace(",5,", ",a,"), encoding="utf-8")
    table = read_daily(file, CODES, ImportLog(), places)
    assert table["unit"].values.tolist() == [1, 2]
    assert table["municipality_unit"].values.tolist() == [0, 1, -1, 1]


def test_wrong_files_are_refused(put):
    file, places = put(days())
    with pytest.raises(ConfigError, match="its units are of 'region', not municipalities"):
        read_daily(file, CODES, ImportLog())
    places.write_text(PLACES.replace("region_", "zone_"), encoding="utf-8")
    with pytest.raises(SchemaError, match="expected a column region with units"):
        read_daily(file, CODES, ImportLog(), places)
    places.write_text(PLACES, encoding="utf-8")
    cases = [
        (days().rename(tmin_degC="tmin"), "or attribute units, received none"),
        (days().drop_vars("tmin_degC"), "expected the variables"),
        (days(tmin_degC=90.0), "tmin_degC of -90 to 60"),
        (days(tmin_degC=55.0), "tmin at or below tmax"),
        (days(precipitation_mm=5000.0), "at most 1900 mm a day"),
        (days(radiation_MJ_m2=400.0), "radiation_MJ_m2 of 0 to 50"),
        (days(dewpoint_K=385.0), "dewpoint_K of -90 to 45 degC"),
        (days((5, 5)), "every municipality once"),
    ]
    for ds, message in cases:
        with pytest.raises(SchemaError, match=message):
            read_daily(put(ds)[0], CODES, ImportLog(), places)
    kelvin = days()
    kelvin["tmax_degC"].attrs["units"] = "K"
    with pytest.raises(SchemaError, match="tmax_degC of -90 to 60 degC"):
        read_daily(put(kelvin)[0], CODES, ImportLog(), places)
    months = days(count=12).assign_coords(
        time=(np.datetime64("2016-01", "M") + np.arange(12)).astype("datetime64[ns]")
    )
    with pytest.raises(SchemaError, match="received one a month"):
        read_daily(put(months)[0], CODES, ImportLog(), places)


def test_the_contract():
    made = daily_table(
        {n: np.ones((2, 3)) for n in ("tmax_degC", "tmin_degC", "precipitation_mm")},
        np.arange("2016-01-01", "2016-01-04", dtype="datetime64[D]"),
        np.array([7, 5], np.int32),
        np.array([9, 20], np.int32),
        np.array([1, -1]),
    )
    check_daily(made)
    wrong = [
        (made.isel(time=[0, 2]), "every day without a gap"),
        (
            made.assign(municipality_unit=made["municipality_unit"] + np.int32(2)),
            "municipality_unit of -1 to 1",
        ),
        (made.assign(gdd=made["tmax_degC"]), "expected no variables"),
        (made.isel(unit=[1, 0]), "'unit' sorted"),
    ]
    for ds, message in wrong:
        with pytest.raises(SchemaError, match=message):
            check_daily(ds)


def test_a_daily_weather_file_gives_both_tables(tmp_path):
    made = synthetic.country(municipalities=4, harvest_years=2)
    synthetic.write_files(tmp_path, made)
    codes = made.static["code"].values.tolist()
    ds = days(
        codes,
        "municipality",
        count=800,
        start="2006-01-01",
        tmin_degC=10.0,
        tmax_degC=25.0,
        precipitation_mm=4.0,
    )
    ds.to_netcdf(tmp_path / "daily.nc", engine="h5netcdf")
    files = [tmp_path / name for name in ("places.csv", "yields.csv", "daily.nc")]
    read = read_files(UserFiles(*files), Reader())
    daily = read.optional["daily"]
    assert daily["municipality_unit"].values.tolist() == [0, 1, 2, 3]
    january = daily["precipitation_mm"].values[:, :31].sum(axis=1)
    np.testing.assert_allclose(read.weather["precipitation_mm"].values[:, 0], january, rtol=1e-5)
    assert fingerprint(read_tables(*files, None)[0].weather) == fingerprint(read.weather)
    assert not read_files(UserFiles(*files[:2], tmp_path / "weather.nc"), Reader()).optional
    store = Store.write(tmp_path / "store", read.whole, {}, optional=read.optional)
    xr.testing.assert_identical(Store.open(store.path).daily, daily)
    have = store.status()["tables"]["daily"]
    assert (have["units"], have["days"], have["first_day"]) == (4, 800, "2006-01-01")
    assert (have["municipalities_without_unit"], have["missing_cells"]) == (0, 0)
    with pytest.raises(MissingDataError, match="has no daily yet"):
        _ = Store.write(tmp_path / "other", made, {}).daily


def test_real_health_regions(brazil_files):
    file = brazil_files / "weather_daily_health_region.nc"
    places = brazil_files / "municipalities.csv"
    codes = Codes([line.split(",")[0] for line in places.read_text(encoding="utf-8").splitlines()[1:]])
    log = ImportLog()
    table = read_daily(file, codes, log, places)
    assert table.sizes == {"unit": 438, "time": 3652, "municipality": 5570}
    assert (table["municipality_unit"].values >= 0).all()
    assert ("places", "health_region_2013 assigns the units of daily weather", 5570) in log.read


@pytest.mark.slow
def test_all_of_brazil_for_ten_years_stays_below_two_gigabytes(tmp_path: Path):
    code = """
import sys
from pathlib import Path
import numpy as np, xarray as xr
from yieldcast.data.store import Store
from yieldcast.importing.codes import Codes
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.daily import read_daily
out, step = Path(sys.argv[1]), sys.argv[2]
codes = np.arange(1_000_000, 1_005_570)
if step == "write":
    time = np.arange("2009-01-01", "2019-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    rng = np.random.default_rng(0)
    ds = xr.Dataset(coords={"municipality": codes, "time": time})
    for name, low in (("tmax_degC", 25), ("tmin_degC", 10), ("precipitation_mm", 0)):
        values = rng.random((len(codes), len(time)), dtype=np.float32) * 9 + low
        ds[name] = (("municipality", "time"), values)
    ds.to_netcdf(out, engine="h5netcdf")
else:
    table = read_daily(out, Codes(map(str, codes)), ImportLog())
    static = xr.Dataset({n: ("municipality", codes.astype(str)) for n in ("code", "name", "state", "region")})
    for name in ("latitude_deg", "longitude_deg"):
        static[name] = ("municipality", np.zeros(len(codes)))
    from yieldcast.data import schema
    static = schema.set_units(static.assign_coords(municipality=codes.astype("int32")))
    Store.update(out.parent / "store", {"static": static, "daily": table}, {})
    # not ru_maxrss, which a process inherits from the one that started it
    status = Path("/proc/self/status").read_text()
    (peak_kB,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(int(peak_kB) // 1024)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = ""
    for step in ("write", "read"):
        found = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "days.nc"), step],
            check=True, capture_output=True, text=True, env=environment,
        ).stdout  # fmt: skip
    assert int(found) < 2000
