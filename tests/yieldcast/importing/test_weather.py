"""Weather in the units, times and layouts that people have: right by hand, or refused with the reason."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from yieldcast.errors import SchemaError, YieldcastError
from yieldcast.importing.codes import Codes
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.files import read_tables
from yieldcast.importing.netcdf import ZIP_LIMIT_bytes
from yieldcast.importing.weather import read_weather

CASES = Path(__file__).parents[3] / ".." / "shared" / "cases"
CODES = Codes(["1100015", "5107925"])
DIMS = ("municipality", "time")
JANUARY, FEBRUARY = "2016-01-01", "2016-02-01"  # a leap year: 31 and 29 days
Change = Callable[[xr.Dataset], xr.Dataset]


def weather(rain: float = 3.0, units: str | None = "mm/day", **names: str) -> xr.Dataset:
    """Two years of two places, rain the same every month, temperatures that differ."""
    time = np.arange("2016-01", "2018-01", dtype="datetime64[M]").astype("datetime64[ns]")
    base = np.arange(2)[:, None] + np.arange(24)[None, :] / 4
    made = xr.Dataset(
        {
            "tmax_degC": (DIMS, 25 + base, {"units": "degC"}),
            "tmin_degC": (DIMS, 12 + base, {"units": "degC"}),
            "precipitation_mm": (DIMS, rain + 0 * base, {} if units is None else {"units": units}),
        },
        coords={"municipality": [1100015, 5107925], "time": time},
    )
    return made.rename(names)


def days(units: str = "mm", hour: int = 0) -> xr.Dataset:
    time = np.arange("2016-01-01", "2017-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    base = np.arange(2)[:, None] + np.arange(len(time))[None, :] / 100
    return xr.Dataset(
        {
            "tmax_degC": (DIMS, 25 + base, {"units": "degC"}),
            "tmin_degC": (DIMS, 12 + base, {"units": "degC"}),
            "precipitation_mm": (DIMS, 3 + 0 * base, {"units": units}),
        },
        coords={"municipality": [1100015, 5107925], "time": time + np.timedelta64(hour, "h")},
    )


def read(folder: Path, ds: xr.Dataset) -> tuple[xr.Dataset, ImportLog]:
    path, log = folder / "weather.nc", ImportLog()
    ds.to_netcdf(path, engine="h5netcdf")
    return read_weather(path, CODES, log).monthly, log


def rain(table: xr.Dataset, month: str = JANUARY) -> float:
    return float(table.precipitation_mm.sel(municipality=1100015, time=month))


def warned(log: ImportLog, text: str) -> bool:
    return any(text in line for _, line, _ in log.warnings)


@pytest.mark.parametrize(
    ("value", "units", "january", "february"),
    [
        (3.0, "mm day**-1", 93, 87), (3.0, "mm.day^-1", 93, 87), (3.0, "mm/dia", 93, 87),
        (3.0, "kg m-2 day-1", 93, 87), (0.125, "mm/hr", 93, 87), (0.003, "m/day", 93, 87),
        (3 / 86400, "kg m**-2 s**-1", 93, 87), (9.3, "cm/month", 93, 93), (93.0, "kg m-2", 93, 93),
        (93.0, "mm month-1", 93, 93), (0.093, "m", 93, 93), (930.0, "0.1 mm", 93, 93),
    ],
)  # fmt: skip
def test_rain_of_a_month_by_hand(
    tmp_path: Path, value: float, units: str, january: float, february: float
) -> None:
    table, _ = read(tmp_path, weather(value, units))
    assert rain(table) == pytest.approx(january, rel=1e-6)
    assert rain(table, FEBRUARY) == pytest.approx(february, rel=1e-6)


def test_names_of_others_need_their_units(tmp_path: Path) -> None:
    kelvin = weather().assign(tmax_degC=lambda ds: (ds.tmax_degC + 273.15).assign_attrs(units="K"))
    names = {"tmax_degC": "tasmax", "tmin_degC": "T2M_MIN", "precipitation_mm": "pr"}
    table, log = read(tmp_path, kelvin.rename(names))
    assert float(table.tmax_degC[0, 0]) == pytest.approx(25, abs=1e-4)
    assert rain(table) == 93
    assert ("weather", "tasmax converted from K to degC", 1) in log.read
    fahrenheit = weather(93, "mm").assign(tmin_degC=lambda ds: ds.tmin_degC * 1.8 + 32).drop_attrs()
    table, _ = read(tmp_path, fahrenheit.rename(tmin_degC="tmin_degF"))
    assert float(table.tmin_degC[0, 0]) == pytest.approx(12, abs=1e-5)


@pytest.mark.parametrize(("units", "value"), [(None, 3.0), (None, 900.0), ("mm/day", 93.0), ("m", 3.0)])
def test_rain_without_sure_units_needs_a_plausible_year(
    tmp_path: Path, units: str | None, value: float
) -> None:
    with pytest.raises(
        SchemaError, match=r"expected a year of 150 to 6000 mm|0 to 9300 mm|sum of the month in mm"
    ) as caught:
        read(tmp_path, weather(value, units))
    assert "mean per day" in f"{caught.value}" or "units" in caught.value.hint
    assert rain(read(tmp_path, weather(93, None))[0]) == 93


def lower(name: str, by: float, factor: float = 1.0) -> Change:
    return lambda ds: ds.assign({name: (ds[name] * factor - by).assign_attrs(units="degC")})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda ds: lower("tmax_degC", 25)(lower("tmin_degC", 25)(ds)), "never above 10 degC: anomalies"),
        (lambda ds: lower("tmax_degC", 0, 0.1)(lower("tmin_degC", 0, 0.1)(ds)), "tenths of a degree"),
        (lambda ds: ds.assign(tmin_degC=ds.tmax_degC), "tmin and tmax are equal everywhere"),
        (lambda ds: lower("tmin_degC", -12)(ds), "tmax is less than 2 degC above tmin"),
        (
            lambda ds: ds.assign(precipitation_mm=(ds.precipitation_mm * 0 + 93).assign_attrs(units="mm")),
            "precipitation has one single",
        ),
        (lambda ds: ds.assign(tmax_degC=ds.tmax_degC - ds.tmax_degC[:, :1] + 25), "tmax is the same in all"),
        (
            lambda ds: ds.assign(precipitation_mm=(ds.precipitation_mm / 10).assign_attrs(units="mm")),
            "no place",
        ),
    ],
)
def test_possible_but_strange_values_are_reported(tmp_path: Path, change: Change, said: str) -> None:
    rising = weather(93, "mm")
    rising["precipitation_mm"] = (rising.precipitation_mm + rising.tmax_degC).assign_attrs(units="mm")
    assert read(tmp_path, rising)[1].warnings == []
    assert warned(read(tmp_path, change(rising))[1], said)


def with_bounds(ds: xr.Dataset, start: np.ndarray, end: np.ndarray, stamps: np.ndarray) -> xr.Dataset:
    """The dataset with CF bounds in their own units, as xarray writes them, and other stamps."""
    edges = np.stack([start, end], axis=1).astype("datetime64[ns]")
    ds = ds.assign_coords(time=stamps.astype("datetime64[ns]")).assign(time_bnds=(("time", "bnds"), edges))
    ds["time"].attrs["bounds"] = "time_bnds"
    ds["time"].encoding = {"units": "seconds since 2000-01-01"}
    return ds


def test_bounds_decide_which_month_a_stamp_means(tmp_path: Path) -> None:
    plain = read(tmp_path, weather())[0]
    months = np.arange("2016-01", "2018-02", dtype="datetime64[M]").astype("datetime64[s]")
    start, end = months[:-1], months[1:]
    for stamps in (end, start, start + (end - start) // 2):
        xr.testing.assert_identical(read(tmp_path, with_bounds(weather(), start, end, stamps))[0], plain)
    shift = np.timedelta64(3, "h")
    table, log = read(tmp_path, with_bounds(weather(), start + shift, end + shift, end + shift))
    xr.testing.assert_identical(table, plain)
    assert ("weather", "time from its bounds, which differ from its stamps", 24) in log.read
    with pytest.raises(SchemaError, match="outside its own bounds"):
        read(tmp_path, with_bounds(weather(), start, end, end + np.timedelta64(40, "D")))
    with pytest.raises(SchemaError, match="expected bounds of days or of months"):
        read(tmp_path, with_bounds(weather(), start, start + np.timedelta64(10, "D"), start))
    middle = start + np.timedelta64(14, "D")
    with pytest.raises(SchemaError, match="expected bounds of days or of months"):
        read(tmp_path, with_bounds(weather(), middle, middle + np.timedelta64(30, "D"), middle))


def test_bounds_of_days(tmp_path: Path) -> None:
    plain = read(tmp_path, days())[0]
    start = days().time.values
    end = start + np.timedelta64(24, "h")
    shift = np.timedelta64(3, "h")
    found = read(tmp_path, with_bounds(days(), start + shift, end + shift, end + shift))[0]
    xr.testing.assert_identical(found, plain)


@pytest.mark.parametrize("hour", [1, 3, 6, 18, 21])
def test_stamps_in_another_time_zone_are_refused(tmp_path: Path, hour: int) -> None:
    shift = np.timedelta64(hour if hour < 12 else hour - 24, "h")  # after or before the month begins
    monthly = weather()
    for ds in (days(hour=hour), monthly.assign_coords(time=monthly.time.values + shift)):
        with pytest.raises(SchemaError, match=f"every time stamp at {hour:02d}:00.*UTC is midnight in UTC"):
            read(tmp_path, ds)


def test_clock_times_that_leave_no_doubt(tmp_path: Path) -> None:
    plain = read(tmp_path, days())[0]
    xr.testing.assert_identical(read(tmp_path, days(hour=12))[0], plain)
    table, log = read(tmp_path, days(hour=23))
    xr.testing.assert_identical(table, plain)
    assert warned(log, "stamps at 23:00, read as the last hour of the day")
    late = weather()
    ends = (late.time.values.astype("datetime64[M]") + 1).astype("datetime64[s]") - np.timedelta64(1, "s")
    table, log = read(tmp_path, late.assign_coords(time=ends.astype("datetime64[ns]")))
    xr.testing.assert_identical(table, read(tmp_path, weather())[0])
    assert not warned(log, "stamps")


@pytest.mark.parametrize(
    "stamps",
    [
        [f"{y}-{m:02d}" for y in (2016, 2017) for m in range(1, 13)],
        [f"{y}-{m:02d}-01T00:00:00Z" for y in (2016, 2017) for m in range(1, 13)],
        [f"{y}{m:02d}" for y in (2016, 2017) for m in range(1, 13)],
        [y * 100 + m for y in (2016, 2017) for m in range(1, 13)],
        [y * 10000 + m * 100 + 1 for y in (2016, 2017) for m in range(1, 13)],
        [float(y * 100 + m) for y in (2016, 2017) for m in range(1, 13)],
    ],
)
def test_months_written_as_texts_and_numbers(tmp_path: Path, stamps: list[object]) -> None:
    plain = read(tmp_path, weather())[0]
    xr.testing.assert_identical(read(tmp_path, weather().assign_coords(time=stamps))[0], plain)


def test_a_float_just_below_midnight_is_midnight(tmp_path: Path) -> None:
    ds = days()
    ds = ds.assign_coords(time=np.arange(366) - 1e-9 * (np.arange(366) % 2))
    ds["time"].attrs["units"] = "days since 2016-01-01"
    xr.testing.assert_identical(read(tmp_path, ds)[0], read(tmp_path, days())[0])


def numbered(units: str, calendar: str | None = None) -> xr.Dataset:
    ds = weather().assign_coords(time=np.arange(24))
    ds["time"].attrs = {"units": units} | ({"calendar": calendar} if calendar else {})
    return ds


def test_months_since_a_date(tmp_path: Path) -> None:
    xr.testing.assert_identical(
        read(tmp_path, numbered("months since 2016-01-01"))[0], read(tmp_path, weather())[0]
    )


@pytest.mark.parametrize(
    ("units", "calendar", "said"),
    [
        ("days since 2016-01-01", "noleap", "calendar noleap .years without 29 February"),
        ("days since 2016-01-01", "360_day", "calendar 360_day .twelve months of 30 days"),
        ("days since 2016-01-01 00:00:00 -03:00", None, "every time stamp at 03:00"),
        ("days since 2016-01-01", "lunar", "calendar lunar .not known"),
        ("years since 2016-01-01", None, "expected time as dates"),
        ("days since someday", None, "expected time as dates, received 0 with the units"),
        ("weeks", None, "received int64 from 0 on, units 'weeks'"),
    ],
)
def test_times_that_are_no_dates(tmp_path: Path, units: str, calendar: str | None, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        read(tmp_path, numbered(units, calendar))


def test_a_climatology_is_refused(tmp_path: Path) -> None:
    ds = weather()
    ds["time"].attrs["climatology"] = "climatology_bounds"
    with pytest.raises(SchemaError, match="means of many years"):
        read(tmp_path, ds)


def two_versions(ds: xr.Dataset) -> xr.Dataset:
    """Final values to the 20th month, preliminary ones (100 degC lower) of all."""
    final = ds.where(ds.time < ds.time[20])
    return xr.concat([final, ds.assign(tmax_degC=ds.tmax_degC + 9)], xr.Variable("expver", [1, 5]))


def test_dims_of_services(tmp_path: Path) -> None:
    plain = read(tmp_path, weather())[0]
    same: list[Change] = [
        lambda ds: ds.rename(time="valid_time"),
        lambda ds: ds.expand_dims(number=[0]).expand_dims(height=[2.0]),
        lambda ds: ds.rename(municipality="CD_MUN"),
        lambda ds: ds.rename(municipality="station"),
        lambda ds: ds.rename(municipality="x").reset_index("x").reset_coords("x").rename(x="CD_MUN"),
        lambda ds: ds.assign_coords(expver=("time", ["0001"] * 24), number=0),
        lambda ds: ds.assign_coords(municipality=ds.municipality.astype(float)),
    ]
    for change in same:
        xr.testing.assert_identical(read(tmp_path, change(weather()))[0], plain)
    table, log = read(tmp_path, two_versions(weather()))
    np.testing.assert_allclose(table.tmax_degC[:, :20], plain.tmax_degC[:, :20])
    np.testing.assert_allclose(table.tmax_degC[:, 20:], plain.tmax_degC[:, 20:] + 9)
    assert ("weather", "preliminary and final values merged (expver)", 1) in log.read


def test_packed_formats_are_read_or_named(tmp_path: Path) -> None:
    plain, path = read(tmp_path, weather())[0], tmp_path / "weather.nc"
    content = path.read_bytes()

    def from_zip(members: dict[str, bytes]) -> xr.Dataset:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, one in members.items():
                archive.writestr(name, one)
        return read_weather(path, CODES, ImportLog()).monthly

    xr.testing.assert_identical(from_zip({"data.nc": content, "__MACOSX/data.nc": b"x"}), plain)
    xr.testing.assert_identical(from_zip({"../../data.nc": content}), plain)  # never a path
    with pytest.raises(SchemaError, match=r"a zip with 2: a.nc, b.nc") as caught:
        from_zip({"a.nc": content, "b.nc": content})
    assert "--weather-grid" in caught.value.hint
    with pytest.raises(SchemaError, match=r"zip or xlsx archive with xl/a.xml, xl/b.xml"):
        from_zip({"xl/a.xml": b"<", "xl/b.xml": b"<"})
    with pytest.raises(SchemaError, match="received GRIB"):
        from_zip({"data.grib": b"GRIB" + bytes(100)})
    weather().to_netcdf(path, engine="scipy")
    xr.testing.assert_identical(read_weather(path, CODES, ImportLog()).monthly, plain)
    for start, hint in ((b"GRIB\0\0\0\2", "cfgrib"), (b"\x1f\x8b\x08", "gunzip"), (b"CDF\x05", "nccopy")):
        path.write_bytes(start + bytes(100))
        with pytest.raises(SchemaError, match="expected netCDF-4") as caught:
            read_weather(path, CODES, ImportLog())
        assert hint in caught.value.hint


def test_files_that_claim_too_much_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "weather.nc"

    def claimed(shape: tuple[int, ...], chunks: tuple[int, ...], name: str = "tmax_degC") -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset(name, shape, "f4", chunks=chunks, compression="gzip")

    for shape, chunks in (((12, 10**10), (12, 1000)), ((10**9,), (1000,)), ((12, 10**9), (12, 8 * 10**7))):
        claimed(shape, chunks)
        assert path.stat().st_size < 100_000
        with pytest.raises(SchemaError, match="it claims") as caught:
            read_weather(path, CODES, ImportLog())
        assert caught.value.exit_code == 5
    block = io.BytesIO()
    with zipfile.ZipFile(block, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.nc", "w") as member:
        for _ in range(ZIP_LIMIT_bytes // 10**8 + 1):
            member.write(bytes(10**8))
    path.write_bytes(block.getvalue())
    with pytest.raises(SchemaError, match="unpacks to at most 400 MB"):
        read_weather(path, CODES, ImportLog())


# Right values of the shared cases: rain of 2010-01 at the first place, or a part of the reason.
RIGHT = {
    "20/weather.nc": 210.22, "20/weather_end_utc.nc": "03:00", "28/daily_utc3.nc": "21:00",
    "21/weather_mmday_star.nc": 210.22, "21/weather_mmday_caret.nc": 210.22, "21/weather_mmday_pt.nc": 210.22,
    "21/weather_mmday_none.nc": "expected a year", "21/weather_cmmonth.nc": 210.22,
    "28/daily_mmhr.nc": 210.22,
    "28/daily_mmhr1.nc": 210.22, "23/weather_noleap.nc": "noleap", "24/weather_valid_time.nc": 210.22,
    "24/weather_number.nc": 210.22, "24/weather_expver_dim.nc": 210.22, "24/weather_CD_MUN.nc": 210.22,
    "24/weather_6.nc": 210.22, "25/download.nc": "t2m is a mean", "25/download.grib": "GRIB",
    "28/anomalies.nc": 210.22, "28/tenths.nc": 210.22, "28/tmin_equals_tmax.nc": 210.22,
}  # fmt: skip


def test_the_shared_cases() -> None:
    if not CASES.is_dir():
        pytest.skip("the shared cases are not beside this checkout")
    base = CASES / "base"
    for name, right in RIGHT.items():
        files = base / "places.csv", base / "yields.csv", CASES / name, None
        if isinstance(right, str):
            with pytest.raises(YieldcastError) as caught:
                read_tables(*files)
            assert right in f"{caught.value} {caught.value.hint}", name
            continue
        tables, log = read_tables(*files)
        found = float(tables.weather.precipitation_mm.sel(municipality=1100015, time="2010-01-01"))
        assert found == pytest.approx(right, abs=0.01), name
        assert name[3:-3] not in ("anomalies", "tenths", "tmin_equals_tmax") or log.warnings, name
