"""Tables to pixel series: units, gaps, clouds, steps; and every kind of bad table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.pixels.compositing import to_months
from yieldcast.pixels.pixel_series import check_series
from yieldcast.pixels.series_tables import TableSettings, read_series, series_of

CROPTYPE = Path(__file__).parents[4] / "shared" / "croptype"


def table(rows=6, steps=4, **changes):
    """Sentinel-2 (x 10000), Sentinel-1 (dB), temperature (K), rain (mm); `changes` replace whole bands."""
    rng = np.random.default_rng(3)
    middle = {
        "B2": 500, "B3": 800, "B4": 700, "B8": 2800, "B11": 2300, "B12": 1500, "VV": -11, "VH": -17,
        "temperature": 290, "precipitation": 80,
    }  # fmt: skip
    columns = {}
    for name, value in middle.items():
        made = value + abs(value) * 0.2 * rng.uniform(-1, 1, (rows, steps)) * (name != "temperature")
        made = changes.get(name, lambda same: same)(made)
        columns |= {f"{name}_{k:02d}": made[:, k] for k in range(made.shape[1])}
    return pd.DataFrame(
        columns
        | {
            "sample_id": [f"s{i}" for i in range(rows)], "lat": 50 + np.arange(rows) / 100, "lon": 4.0,
            "start_month": 12, "elevation": 100, "slope": 2, "crop": "maize", "year": 2021,
        }
    )  # fmt: skip


def values(made, band):
    return made.series["values"].sel(band=band).values


def test_one_labelled_dataset():
    made = series_of(table(), TableSettings(label="crop"))
    series = made.series
    assert series["values"].dims == ("sample", "step", "band")
    assert series["band"].values.tolist() == [
        "VV", "VH", "B2", "B3", "B4", "B8", "B11", "B12", "temperature", "precipitation"
    ]  # fmt: skip
    assert series["month"].values[0].tolist() == [11, 0, 1, 2]
    assert set(series["label"].values) == {"maize"}
    assert set(series["season"].values) == {"2021"}
    assert series["static"].sel(static_band="slope").values.tolist() == [2] * 6
    assert made.units["precipitation"] == "mm"


@pytest.mark.parametrize(
    ("band", "change", "unit"),
    [
        ("temperature", lambda v: v - 273.15, "degC"),
        ("temperature", lambda v: v * 100, "Kx100"),
        ("precipitation", lambda v: v / 1000, "m"),
        ("precipitation", lambda v: v * 100, "mmx100"),
    ],
)
def test_scales_of_weather_are_found(band, change, unit):
    changed = {band: change}
    if unit == "Kx100":  # the two go together
        changed["precipitation"] = lambda v: v * 100
    made = series_of(table(**changed))
    assert made.units[band] == unit
    np.testing.assert_allclose(values(made, band), values(series_of(table()), band), rtol=1e-5)


def test_scales_of_images_are_found():
    small = {name: lambda v: v / 10000 for name in ("B2", "B3", "B4", "B8", "B11", "B12")}
    numbers = {name: lambda v: 10 ** ((v + 83) / 20) for name in ("VV", "VH")}
    made, wanted = series_of(table(**small, **numbers)), series_of(table())
    assert (made.units["B8"], made.units["VV"]) == ("1", "DN")
    np.testing.assert_allclose(made.series["values"], wanted.series["values"], rtol=1e-4)


def swapped(one, other):
    """The table with the columns of two bands exchanged."""
    frame = table()
    names = {f"{a}_{k:02d}": f"{b}_{k:02d}" for a, b in ((one, other), (other, one)) for k in range(4)}
    return frame.rename(columns=names)


def mixed_rows(**changes):
    return pd.concat([table(rows=3), table(rows=3, **changes).assign(sample_id=list("xyz"), lon=5.0)])


def scaled(factor):
    return {name: lambda v: v * factor for name in ("B2", "B3", "B4", "B8", "B11", "B12")}


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (table(B8=lambda v: v / 10000), "one scale for all bands of reflectance"),
        (table(**scaled(1 / 100)), "unit of B2 is not clear"),
        (mixed_rows(**scaled(1 / 10000)), "unit of B2 is not clear"),
        (table(temperature=lambda v: v * 10), "unit of temperature is not clear"),
        (table(temperature=lambda v: v * 100), "temperature is in K x 100"),
        (table(precipitation=lambda v: v / 60), "unit of precipitation is not clear"),
        (table(VV=lambda v: 10 ** (v / 10), VH=lambda v: 10 ** (v / 10)), "unit of VV is not clear"),
        (swapped("B4", "B8"), "bands in another order"),
        (swapped("VV", "VH"), "bands in another order"),
        (mixed_rows().assign(start_month=[12, 12, 12, 6, 6, 6]), "mixed seasons"),
        (table(steps=1), "two steps or more"),
        (table().assign(sample_id="s"), "each sample once"),
        (table().assign(lat=95.0), "latitude of -90 to 90"),
        (table().drop(columns="lat"), "expected a column lat"),
        (table().drop(columns="start_month"), "start_month or start_date"),
        (table().drop(columns="B4_02"), "B4_00, B4_01, ... without a gap"),
        (table().drop(columns="B4_03"), "same number of steps"),
        (table().assign(B4_03="dark"), "expected numbers in column B4_03"),
        (table().assign(lat=50.0, location_id=range(6)), "one location for one place"),
        (table()[["sample_id", "lat", "lon"]], "expected columns BAND_00"),
        (table().assign(slope=120), "slope"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused(frame, said):
    with pytest.raises(SchemaError, match=said) as error:
        series_of(frame)
    assert error.value.exit_code == 5


def test_series_of_one_date_is_refused():
    frame = table()
    steps = [name for name in frame if name.endswith(("_01", "_02", "_03"))]
    frame.loc[2, steps] = np.nan
    with pytest.raises(SchemaError, match="two dates or more in each series, received fewer in s2"):
        series_of(frame)


def test_other_order_of_bands_in_a_dataset_is_refused():
    series = series_of(table()).series
    with pytest.raises(SchemaError, match="bands in the order"):
        check_series(series.isel(band=[1, 0, *range(2, 10)]))
    with pytest.raises(SchemaError, match="VV: expected"):
        check_series(series.assign(values=series["values"] * np.float32(1000)))


def test_units_can_be_told():
    frame = table(precipitation=lambda v: v / 60)
    made = series_of(frame, TableSettings(units={"precipitation": "mm"}))
    assert values(made, "precipitation").max() < 0.01
    with pytest.raises(SchemaError, match="unit of precipitation: expected m or mm or mmx100, received inch"):
        series_of(frame, TableSettings(units={"precipitation": "inch"}))


def test_single_impossible_values_become_gaps_and_are_counted():
    frame = table(rows=60)
    frame.loc[3, "B4_01"] = 61504.0
    frame.loc[4, "B4_01"] = -9999.0
    made = series_of(frame)
    assert made.faults == [("B4", 1)]
    assert made.series["missing"].sel(band="B4").values[3:5, 1].all()


def test_cloud_flags_hide_optical_bands_only():
    frame = table().assign(**{f"SCL_{k:02d}": 4 for k in range(4)})
    frame["SCL_02"] = [9, 4, 4, 4, 4, 3]
    made = series_of(frame)
    assert made.cloudy == 2
    assert made.series["missing"].sel(band="B8").values[:, 2].tolist() == [True, *[False] * 4, True]
    assert not made.series["missing"].sel(band="VV").values.any()
    with pytest.raises(SchemaError, match="flag SCL"):
        series_of(frame.assign(SCL_01=12))


def test_months_of_modis_and_of_ten_days():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({f"NDVI_{k:02d}": rng.uniform(0.2, 0.8, 3) for k in range(23)})
    frame = frame.assign(sample_id=list("abc"), lat=[1.0, 2.0, 3.0], lon=0.0)
    dated = frame.assign(start_date="2013-09-14", end_date="2014-08-29")
    made = series_of(dated).series
    assert made.attrs["step"] == "16-days"
    # days of the year 257, 273 (both September), 289 (October), ..., 353 (December), 1, ...
    assert made["month"].values[0, :9].tolist() == [8, 8, 9, 10, 10, 11, 11, 0, 0]
    tens = series_of(frame, TableSettings(step="ten-days", start="11-25")).series
    assert tens["month"].values[0, :5].tolist() == [10, 11, 11, 11, 0]
    months = to_months(made)
    assert months.sizes["step"] == 12
    first = frame[["NDVI_00", "NDVI_01"]].mean(axis=1)  # the median of two
    np.testing.assert_allclose(months["values"].values[:, 0, 0], first, rtol=1e-6)
    with pytest.raises(SchemaError, match="days 1, 17"):
        series_of(frame.assign(start_date="2013-09-10", end_date="2014-08-25"))
    with pytest.raises(SchemaError, match="steps of ten days, 16 days or a month"):
        series_of(dated.assign(end_date=["2014-08-29", "2014-08-29", "2015-08-29"]))
    with pytest.raises(ConfigError, match="expected a start of"):
        series_of(frame, TableSettings(step="month", start="December"))


def dated_table():
    """Two samples of four days; the second is cloudy on one."""
    days = ["2021-01-02", "2021-01-12", "2021-01-31", "2021-02-05"]
    rows = [
        {"sample_id": one, "date": day, "lat": lat, "lon": 0.0, "B4": 500.0 + k, "B8": 3000.0 + 10 * k,
         "VV": vv, "cloud": int(one == "b" and k == 1), "crop": one}
        for one, lat in (("a", 1.0), ("b", 2.0))
        for k, (day, vv) in enumerate(zip(days, (-10.0, -20.0, -10.0, -12.0), strict=True))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_dated_observations_become_steps():
    made = series_of(dated_table(), TableSettings(label="crop"))
    assert made.series["month"].values.tolist() == [[0, 1], [0, 1]]
    np.testing.assert_allclose(values(made, "B8"), [[3010, 3030], [3010, 3030]])
    np.testing.assert_allclose(values(made, "B4"), [[501, 503], [501, 503]])
    # mean of the powers 0.1, 0.01 and 0.1: 0.07
    np.testing.assert_allclose(values(made, "VV")[0], [10 * np.log10(0.07), -12], rtol=1e-5)
    tens = series_of(dated_table(), TableSettings(step="ten-days"))
    np.testing.assert_allclose(values(tens, "B8")[1], [3000, np.nan, 3020, 3030, np.nan, np.nan])
    assert made.cloudy == 1


def test_sums_of_rain_need_every_day():
    days = pd.date_range("2021-01-01", "2021-02-28").strftime("%Y-%m-%d")
    frame = pd.DataFrame({"sample_id": "a", "date": days, "lat": 1.0, "lon": 0.0, "precipitation": 2.0})
    frame["NDVI"] = 0.5
    made = values(series_of(frame), "precipitation")
    np.testing.assert_allclose(made, [[0.062, 0.056]], rtol=1e-5)
    short = values(series_of(frame.drop(index=40)), "precipitation")
    np.testing.assert_allclose(short, [[0.062, np.nan]], rtol=1e-5)


def test_mixed_seasons_of_dated_observations_are_refused():
    frame = dated_table()
    later = frame.assign(date=frame["date"].str.replace("2021", "2022"))
    with pytest.raises(SchemaError, match="mixed seasons: expected observations of one season"):
        series_of(pd.concat([frame, later]))
    other = frame.assign(date=frame["date"].where(frame["sample_id"] == "a", "2021-07-01"))
    with pytest.raises(SchemaError, match="mixed seasons: expected series that start in the same month"):
        series_of(other)


def test_files(tmp_path):
    frame = table()
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_csv(tmp_path / "s.csv", index=False, sep=";")
    frame.to_parquet(tmp_path / "t.parquet")
    wanted = series_of(frame).series
    for name in ("t.csv", "s.csv", "t.parquet"):
        assert read_series(tmp_path / name).series.equals(wanted)
    with pytest.raises(MissingDataError, match="no table"):
        read_series(tmp_path / "none.csv")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(SchemaError, match="not a table"):
        read_series(tmp_path / "bad.parquet")


@pytest.mark.skipif(not CROPTYPE.is_dir(), reason="the shared data are not beside this checkout")
def test_months_of_ten_days_are_those_of_the_monthly_table():
    """The monthly rows of France 2023 were made of the same steps, from 1 December, by other code."""
    tens = read_series(
        CROPTYPE / "samples" / "fra2023_dekadal.parquet", TableSettings(step="ten-days", start="2022-09-01")
    ).series
    made = to_months(tens.isel(step=slice(9, 45)))
    months = read_series(CROPTYPE / "samples" / "s2_s1_meteo_monthly.parquet").series
    months = months.sel(sample=made["sample"])
    assert made["month"].equals(months["month"])
    gaps = made["missing"] != months["missing"]
    assert not gaps.sel(band=[n for n in made["band"].values if n != "precipitation"]).any()
    assert made["missing"].sel(band="precipitation").mean() < 0.1  # there, sums of what is known
    difference = np.abs(made["values"] - months["values"]).max(("sample", "step"))
    limits = {
        "VV": 0.02,
        "VH": 0.02,
        "temperature": 0.02,
        "precipitation": 1e-5,
    }  # the others are rounded to 1
    for name in made["band"].values.tolist():
        assert not (difference.sel(band=name) > limits.get(name, 1.0))
