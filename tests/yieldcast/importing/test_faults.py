"""Wrong files are refused with the line and what to do; a failed import does not change the store."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from yieldcast.data import synthetic
from yieldcast.data.files import fingerprint
from yieldcast.data.store import Store
from yieldcast.errors import MissingDataError, SchemaError, YieldcastError
from yieldcast.importing.files import read_tables

NAMES = ("places.csv", "yields.csv", "weather.nc", "soil.csv")
MADE = synthetic.country(municipalities=6, harvest_years=3)


def write_files(folder: Path) -> None:
    """The four files of a small synthetic country, as a user would import them."""
    code = MADE.static["code"].to_series()
    places = ["code", "name", "state", "region", "latitude_deg", "longitude_deg"]
    MADE.static[places].to_dataframe().to_csv(folder / "places.csv", index=False)
    yields = MADE.yields.to_dataframe().dropna(subset=["yield_kg_ha"]).reset_index()
    yields["municipality"] = yields["municipality"].map(code)
    yields.to_csv(folder / "yields.csv", index=False)
    soil = MADE.static["clay_pct"].isel(soil_layer=1, drop=True).to_dataframe()
    soil.assign(code=code).rename(columns={"clay_pct": "clay_pct_5cm"}).dropna().to_csv(
        folder / "soil.csv", index=False
    )
    weather = MADE.weather.assign_coords(municipality=code.to_numpy().astype(int))
    weather.to_netcdf(folder / "weather.nc", engine="h5netcdf")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def refused(folder: Path, message: str, kind: type[YieldcastError] = SchemaError) -> YieldcastError:
    with pytest.raises(kind, match=message) as caught:
        read_tables(*(folder / name for name in NAMES))
    assert caught.value.hint
    assert caught.value.exit_code == (3 if kind is MissingDataError else 5)
    return caught.value


def edit(path: Path, line: int, column: str, value: str) -> None:
    """Replace one cell; line 1 is the header."""
    lines = [text.split(",") for text in path.read_text().splitlines()]
    lines[line - 1][lines[0].index(column)] = value
    path.write_text("\n".join(",".join(cells) for cells in lines) + "\n")


def header(folder: Path, name: str) -> list[str]:
    return (folder / name).read_text().splitlines()[0].split(",")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_not_there(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refused(folder, rf"cannot read .*{name}.*No such file", MissingDataError)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_instead_of_a_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    refused(folder, f"cannot read .*{name}.*directory", MissingDataError)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_file(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    refused(folder, rf"{name} \(\w+\): the file is empty")


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.dat", "a")


FOREIGN: list[tuple[Callable[[Path], object], str]] = [
    (lambda p: p.write_text("<!DOCTYPE html><html>503</html>"), "an HTML or XML page: b'<!DOCTYPE html"),
    (lambda p: p.write_text("\n  <html>"), "an HTML or XML page"),
    (zipped, "a zip or xlsx archive|netCDF-4 .HDF5., received unknown|text, perhaps CSV"),
    (lambda p: p.write_bytes(b"GRIB\0\0\0\1"), "GRIB"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("make", "message"), FOREIGN)
def test_another_format_under_the_name(
    folder: Path, name: str, make: Callable[[Path], object], message: str
) -> None:
    make(folder / name)
    refused(folder, message)


def test_csv_and_netcdf_exchanged(folder: Path) -> None:
    (folder / "weather.nc").write_text("municipality,time,tmax_degC\n1,2010-01,30\n")
    refused(folder, "received text, perhaps CSV: b'municipality,time")
    (folder / "weather.nc").write_bytes(b"CDF\x01" + bytes(60))
    refused(folder, "expected the variables")  # netCDF-3 is read; this one is empty
    write_files(folder)
    (folder / "yields.csv").write_bytes((folder / "weather.nc").read_bytes())
    refused(folder, "received netCDF-4")


@pytest.mark.parametrize("share", [0.001, 0.05, 0.3, 0.6, 0.9, 0.999])
def test_a_netcdf_cut_off(folder: Path, share: float) -> None:
    content = (folder / "weather.nc").read_bytes()
    (folder / "weather.nc").write_bytes(content[: max(8, int(share * len(content)))])
    refused(folder, "not readable as netCDF-4")


def test_a_netcdf_with_damaged_values(folder: Path) -> None:
    """Every byte after the head is noise: an error, never a crash or a table."""
    path = folder / "weather.nc"
    content = bytearray(path.read_bytes())
    content[300:] = np.random.default_rng(1).bytes(len(content) - 300)
    path.write_bytes(content)
    refused(folder, "weather")


def test_a_gzip_cut_off(folder: Path) -> None:
    packed = gzip.compress((folder / "yields.csv").read_bytes())
    (folder / "yields.csv").write_bytes(packed[: len(packed) // 2])
    refused(folder, "damaged gzip")


def test_a_csv_cut_off_within_a_line(folder: Path) -> None:
    text = (folder / "yields.csv").read_text().rstrip().rsplit(",", 2)[0]
    (folder / "yields.csv").write_text(text)
    refused(folder, rf"as in the first line, received \d on line {len(text.splitlines())} \(1 such lines\)")


def test_a_csv_with_too_many_cells(folder: Path) -> None:
    with open(folder / "yields.csv", "a") as file:
        file.write("x" + "," * 40 + "\n")
    refused(folder, r"received 41 on line \d+ \(1 such lines\)")


def test_a_quote_without_its_end(folder: Path) -> None:
    with open(folder / "yields.csv", "a") as file:
        file.write('"20,soybean,2018\n')
    refused(folder, "not a regular CSV: line")


def test_a_header_without_rows(folder: Path) -> None:
    (folder / "yields.csv").write_text(",".join(header(folder, "yields.csv")) + "\n")
    refused(folder, "a header but no rows")


@pytest.mark.parametrize("text", ["abc", "3,5", "1 00", "inf", "1e999", "3000 kg"])
def test_text_in_numbers(folder: Path, text: str) -> None:
    path = folder / "yields.csv"
    lines = path.read_text().splitlines()
    cells = lines[3].split(",")
    cells[lines[0].split(",").index("yield_kg_ha")] = f'"{text}"'
    lines[3] = ",".join(cells)
    path.write_text("\n".join(lines))
    error = refused(folder, f"yields.csv: line 4, column 'yield_kg_ha': expected a number, received '{text}'")
    assert ("Decimals" in error.hint) == ("," in text)


@pytest.mark.parametrize(
    ("name", "column", "value", "message"),
    [
        ("yields.csv", "yield_kg_ha", "10000000", "expected 0 to 500000 kg/ha, received 1e.07 kg/ha .1 such"),
        ("yields.csv", "yield_kg_ha", "-5", "received -5"),
        ("yields.csv", "YEAR", "2017/18", "expected a number, received '2017/18'"),
        ("yields.csv", "YEAR", "17", "expected a year from 1900 to 2100, received '17'"),
        ("yields.csv", "YEAR", "2017.5", "expected a year"),
        ("yields.csv", "CODE", "", "is empty"),
        ("yields.csv", "CODE", "77", "expected codes of the places table, received 1 others: '77'"),
        ("yields.csv", "CODE", "0", "received 1 others: '0'"),
        ("soil.csv", "CODE", "77", "soil.csv: expected codes of the places table"),
        ("places.csv", "LAT", "91", "expected -90 to 90 degrees_north, received 91"),
        ("places.csv", "LAT", "", "is empty"),
        ("places.csv", "LON", "500", "expected -180 to 180 degrees_east"),
        ("places.csv", "state", "", "column 'state' is empty"),
    ],
)
def test_a_bad_cell_is_named(folder: Path, name: str, column: str, value: str, message: str) -> None:
    aliases = {
        "YEAR": ("year", "harvest_year"),
        "CODE": ("municipality_code", "code", "municipality"),
        "LAT": ("lat", "latitude", "latitude_deg"),
        "LON": ("lon", "longitude", "longitude_deg"),
    }
    names = aliases.get(column, (column,))
    edit(folder / name, 3, next(c for c in header(folder, name) if c in names), value)
    error = refused(folder, message)
    assert "line 3" in str(error) or "codes of the places" in str(error)


@pytest.mark.parametrize(
    ("name", "key"), [("places.csv", "code"), ("soil.csv", "code"), ("yields.csv", "crop")]
)
def test_a_row_twice(folder: Path, name: str, key: str) -> None:
    lines = (folder / name).read_text().splitlines()
    (folder / name).write_text("\n".join([*lines, lines[1]]))
    refused(folder, rf"{key}.* once, received .* on lines .2, {len(lines) + 1}. \(2 such lines\)")


def test_a_column_twice(folder: Path) -> None:
    text = (folder / "yields.csv").read_text().splitlines()
    (folder / "yields.csv").write_text("\n".join(f"{line},{line.split(',')[0]}" for line in text))
    refused(folder, "occurs twice")


@pytest.mark.parametrize(
    ("header_line", "message"),
    [
        ("code,crop,year,yield", "'yield': expected a unit in its name"),
        ("code,crop,year,yield_bushel", "'bushel': expected a unit of"),
        ("code,crop,year,yield_ton_ha", "a ton is 907, 1000 or 1016 kg"),
        ("code,crop,year,rendimento_medio", "Rename it yield_kg_ha|expected a unit in its name"),
        ("code,crop,year,production_t", "expected a yield"),
        ("code,crop,when,yield_kg_ha", "expected a column harvest_year or year"),
        ("code,plant,year,yield_kg_ha", "expected a column crop"),
        ("place,crop,year,yield_kg_ha", "expected a column municipality_code or"),
    ],
)
def test_yield_columns_missing(folder: Path, header_line: str, message: str) -> None:
    (folder / "yields.csv").write_text(f"{header_line}\n{MADE.static.code.values[0]},soybean,2010,3000\n")
    refused(folder, message)


def test_the_same_quantity_twice(folder: Path) -> None:
    code = MADE.static.code.values[0]
    (folder / "yields.csv").write_text(f"code,crop,year,yield_kg_ha,yield_t_ha\n{code},soybean,2010,3000,3\n")
    refused(folder, "'yield_kg_ha' and 'yield_t_ha' are the same quantity")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("clay_pct", "column 'clay_pct': expected a soil layer in its name"),
        ("clay_0_30cm", "expected a unit in its name"),
        ("clay", "expected a unit in its name"),
        ("loam", "expected soil columns"),
    ],
)
def test_soil_columns(folder: Path, column: str, message: str) -> None:
    (folder / "soil.csv").write_text(f"code,{column}\n{MADE.static.code.values[0]},30\n")
    refused(folder, message)


def test_no_yield_at_all(folder: Path) -> None:
    code = MADE.static.code.values[0]
    (folder / "yields.csv").write_text(f"code,crop,year,yield_kg_ha\n{code},soybean,2010,0\n")
    refused(folder, "no row has a yield above zero")


def reweather(folder: Path, change: Callable[[xr.Dataset], xr.Dataset]) -> None:
    with xr.open_dataset(folder / "weather.nc", engine="h5netcdf") as opened:
        ds = opened.load().drop_encoding()
    change(ds).to_netcdf(folder / "weather.nc", engine="h5netcdf")


def units(name: str, text: str) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda ds: ds.assign({name: ds[name].assign_attrs(units=text)})


def scaled(name: str, factor: float, offset: float = 0.0) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda ds: ds.assign({name: ds[name] * np.float32(factor) + np.float32(offset)})


def repeat_month(ds: xr.Dataset) -> xr.Dataset:
    days = ds.time.values.copy()
    days[1] = days[0] + np.timedelta64(20, "D")
    return ds.assign_coords(time=days)


def text_values(ds: xr.Dataset) -> xr.Dataset:
    return ds.assign(tmax_degC=(("municipality", "time"), np.full(ds.tmax_degC.shape, "x")))


BAD_WEATHER: list[tuple[Callable[[xr.Dataset], xr.Dataset], str, str]] = [
    (scaled("tmax_degC", 1, 273.15), "received [23][0-9][0-9]", "looks like kelvin"),
    (scaled("tmin_degC", 1, 273.15), "tmin_degC of -90 to 60 degC", "looks like kelvin"),
    (scaled("tmax_degC", 10), "tmax_degC of -90 to 60 degC", "tenths"),
    (scaled("tmax_degC", 1.8, 32), "tmax_degC of -90 to 60 degC", "looks like Fahrenheit"),
    (units("tmin_degC", "K"), "received -2[0-9][0-9]", "left from an earlier file"),
    (units("tmin_degC", "mm"), "expected a unit of temperature such as degC, received length", "Convert"),
    (units("precipitation_mm", "mm/pentad"), "'pentad' is not known .understood: mm", "kg m-2 s-1"),
    (lambda ds: ds.rename(tmax_degC="tmax").drop_attrs(), "expected a unit in its name", "Set its units"),
    (lambda ds: ds.assign(tasmax=ds.tmax_degC), "'tmax_degC' and 'tasmax' are the same", "Keep one"),
    (scaled("precipitation_mm", 0.001), "looks like metres", "Multiply"),
    (
        lambda ds: scaled("precipitation_mm", 0.03)(ds.drop_attrs()),
        "expected a year of 150 to 6000 mm",
        "mm/day",
    ),
    (units("precipitation_mm", "m"), "precipitation_mm of 0 to 9300 mm", "left from an earlier file"),
    (units("precipitation_mm", "mm/day"), "expected a year of 150 to 6000 mm|0 to 9300 mm", "units"),
    (lambda ds: ds.drop_vars("tmin_degC"), "expected the variables .'tmin_degC'.", "Name each"),
    (lambda ds: ds.isel(municipality=0), "dims municipality and time", "a series for each place"),
    (lambda ds: ds.expand_dims(member=2), r"dims municipality and time, received member \(2\)", "Select one"),
    (
        lambda ds: ds.rename(municipality="cell").assign_coords(cell=np.arange(6)),
        "dims municipality and time",
        "Rename cell",
    ),
    (lambda ds: ds.drop_vars("time"), "expected a coordinate 'time'", "coordinates"),
    (lambda ds: ds.drop_vars("municipality"), "expected a coordinate 'municipality'", "codes"),
    (lambda ds: ds.assign_coords(time=np.arange(ds.sizes["time"])), "time as dates", "units"),
    (repeat_month, "2 values in 2006-01", "duplicates"),
    (lambda ds: ds.isel(time=[0, 0, 1]), "2 values on 2006-01-01", "duplicates"),
    (lambda ds: ds.isel(municipality=[0, 0]), "every municipality once", "one series"),
    (
        lambda ds: ds.assign_coords(municipality=np.arange(6)),
        "received 6 others: '0', .*, ...$",
        "Add them",
    ),
    (lambda ds: ds.assign(tmin_degC=ds.tmax_degC + 1), "tmin at or below tmax", "swapped"),
    (lambda ds: ds.assign(tmax_degC=ds.tmax_degC * np.nan), "tmax_degC has no values", "fill value"),
    (lambda ds: ds.assign(tmax_degC=ds.tmax_degC * 0 - 9999), "received -9999", "mark of missing values"),
    (text_values, "to hold numbers", "Convert"),
    (lambda ds: ds.isel(time=[]), "expected a coordinate 'time' with values", "dates"),
]


@pytest.mark.parametrize(("change", "message", "hint"), BAD_WEATHER)
def test_bad_weather(
    folder: Path, change: Callable[[xr.Dataset], xr.Dataset], message: str, hint: str
) -> None:
    reweather(folder, change)
    assert hint in refused(folder, message).hint


def test_hourly_values(folder: Path) -> None:
    def hourly(ds: xr.Dataset) -> xr.Dataset:
        start = np.datetime64("2006-01-01", "ns")
        return ds.assign_coords(time=start + np.arange(ds.sizes["time"]) * np.timedelta64(1, "h"))

    reweather(folder, hourly)
    refused(folder, "received 24 values on 2006-01-01")


def test_dry_years_are_accepted(folder: Path) -> None:
    reweather(folder, scaled("precipitation_mm", 0))
    assert read_tables(*(folder / name for name in NAMES))[0].weather.precipitation_mm.max() == 0


def test_nothing_is_written_when_a_file_is_bad(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    edit(folder / "yields.csv", 3, "yield_kg_ha", "x")
    refused(folder, "expected a number")
    assert sorted(folder.rglob("*")) == before


PROGRAM = """
import resource, signal, sys
from pathlib import Path
from yieldcast.errors import YieldcastError
from yieldcast.importing.files import read_tables
from yieldcast.data.store import Store
folder, store, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
print("begin", flush=True)
try:
    names = ("places.csv", "yields.csv", "weather.nc", "soil.csv")
    tables, report = read_tables(*(folder / name for name in names))
    Store.write(store, tables, report.sources)
except YieldcastError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def program(folder: Path, store: Path, limit: int) -> list[str]:
    return [sys.executable, "-c", PROGRAM, str(folder), str(store), str(limit)]


def test_a_disk_that_fills_during_an_import(folder: Path, tmp_path: Path) -> None:
    old = synthetic.country(seed=9, municipalities=4, harvest_years=2)
    store = Store.write(tmp_path / "store", old, {})
    done = subprocess.run(program(folder, store.path, 2000), capture_output=True, text=True)
    assert done.returncode == 3
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert fingerprint(Store.open(store.path).weather) == store.fingerprints["weather"]
    assert len(list(store.path.iterdir())) == 4


@pytest.mark.parametrize("delay", [0.05, 0.2, 0.35])
def test_a_killed_import_leaves_one_whole_store(folder: Path, tmp_path: Path, delay: float) -> None:
    old = synthetic.country(seed=9, municipalities=4, harvest_years=2)
    store = Store.write(tmp_path / "store", old, {})
    with subprocess.Popen(program(folder, store.path, 0), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        time.sleep(delay)
        process.kill()
    left = Store.open(store.path)
    found = [fingerprint(getattr(left, table)) for table in ("static", "weather", "yields")]
    assert found in ([fingerprint(t) for t in old], [fingerprint(t) for t in MADE])


@pytest.mark.parametrize("where", ["/proc/store", "/dev/null/store", "places.csv/store"])
def test_a_store_that_cannot_be_written(folder: Path, where: str) -> None:
    tables, report = read_tables(*(folder / name for name in NAMES))
    with pytest.raises(MissingDataError, match="cannot write"):
        Store.write(folder / where, tables, report.sources)
