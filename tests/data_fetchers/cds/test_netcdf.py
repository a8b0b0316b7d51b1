"""Answers of the CDS are opened in any packing and in one layout."""

from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from data_fetchers.cds.netcdf import open_answer, reading
from data_fetchers.engine.source import RetryableError
from yieldcast.errors import FetchError

DAYS = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]").astype("datetime64[ns]")
LATITUDE, LONGITUDE = np.array([-10.0, -10.5, -11.0]), np.array([-56.0, -55.5, -55.0, -54.5])


def field(time: str = "valid_time", first: float = 0.0, **coords: object) -> xr.Dataset:
    values = np.arange(first, first + 36, dtype=np.float32).reshape(3, 3, 4)
    axes = {time: DAYS, "latitude": LATITUDE, "longitude": LONGITUDE, "number": 0}
    return xr.Dataset({"t2m": ((time, "latitude", "longitude"), values)}, {**axes, **coords})


def packed(ds: xr.Dataset) -> bytes:
    return bytes(ds.to_netcdf(engine="h5netcdf"))


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def opened(path: Path) -> xr.Dataset:
    with reading(path) as [ds]:
        return ds.load()


def written(path: Path, ds: xr.Dataset) -> Path:
    path.write_bytes(packed(ds))
    return path


def test_netcdf_under_any_name_loses_the_scalar_number(tmp_path):
    ds = opened(written(tmp_path / "answer.zip", field()))
    assert ds["t2m"].dims == ("valid_time", "latitude", "longitude")
    assert "number" not in ds.variables
    np.testing.assert_array_equal(ds["t2m"], field()["t2m"])


def test_zip_under_a_netcdf_name_gives_every_member_and_leaves_no_file(tmp_path):
    file = zipped(tmp_path / "a.nc", **{"x.nc": packed(field()), "y/z.nc": packed(field(first=100))})
    with reading(file) as datasets:
        assert [float(ds["t2m"].min()) for ds in datasets] == [0, 100]
    assert list(tmp_path.iterdir()) == [file]


def test_old_time_name_scalar_time_and_forecast_dims(tmp_path):
    assert opened(written(tmp_path / "a.nc", field("time")))["t2m"].dims[0] == "valid_time"
    single = opened(written(tmp_path / "b.nc", field().isel(valid_time=0)))
    assert single["t2m"].shape == (1, 3, 4)
    seasonal = field("forecastMonth").assign_coords(forecastMonth=[1, 2, 3], number=[0])
    seasonal = seasonal.assign(t2m=seasonal["t2m"].expand_dims("number", axis=0))
    kept = opened(written(tmp_path / "c.nc", seasonal))
    assert kept["t2m"].dims == ("number", "forecastMonth", "latitude", "longitude")


def test_longitudes_from_0_to_360_are_turned_and_values_move_with_them(tmp_path):
    # 0, 90, 180, 270 -> 0, 90, -180, -90 -> sorted: -180 (third), -90 (fourth), 0 (first), 90 (second)
    ds = opened(written(tmp_path / "a.nc", field().assign_coords(longitude=[0.0, 90.0, 180.0, 270.0])))
    assert ds["longitude"].values.tolist() == [-180, -90, 0, 90]
    assert ds["t2m"].values[0, 0].tolist() == [2, 3, 0, 1]


def test_expver_becomes_text_along_time(tmp_path):
    one = opened(written(tmp_path / "a.nc", field(expver="0001")))
    assert one["expver"].values.tolist() == ["0001"] * 3
    each = field(expver=("valid_time", np.array(["0001", "0001", "0005"], object)))
    assert opened(written(tmp_path / "b.nc", each))["expver"].values.tolist() == ["0001", "0001", "0005"]


def test_expver_dimension_takes_final_values_then_preliminary_ones(tmp_path):
    # Old layout: days 1 and 2 are final, days 2 and 3 are there as preliminary ones, the rest is NaN.
    whole = field()["t2m"]
    final = whole.where(whole["valid_time"] < DAYS[2])
    early = (whole + 1000).where(whole["valid_time"] >= DAYS[1])
    both = xr.concat([early, final], "expver").assign_coords(expver=[5, 1]).to_dataset(name="t2m")
    ds = opened(written(tmp_path / "a.nc", both.transpose("valid_time", "expver", "latitude", "longitude")))
    expected = whole.values.copy()
    expected[2] += 1000
    np.testing.assert_array_equal(ds["t2m"], expected)
    assert ds["t2m"].dims == ("valid_time", "latitude", "longitude")
    assert ds["expver"].values.tolist() == ["0001", "0001", "0005"]


@pytest.mark.parametrize(
    ("content", "error", "named"),
    [
        (b"CDF\x01" + bytes(40), FetchError, "netCDF-3"),
        (b"GRIB" + bytes(40), FetchError, "GRIB"),
        (b"<!DOCTYPE html><html>", RetryableError, "web page"),
        (b'{"title": "error"}', RetryableError, "JSON"),
        (b"", RetryableError, "nothing"),
        (b"\x00\x01\x02\x03 what", RetryableError, r"begins with"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), RetryableError, "damaged"),
        (b"PK\x03\x04" + bytes(100), RetryableError, "damaged"),
    ],
)
def test_what_is_not_netcdf4_is_named(tmp_path, content, error, named):
    (tmp_path / "a.nc").write_bytes(content)
    with pytest.raises(FetchError, match=named) as caught:
        open_answer(tmp_path / "a.nc")
    assert type(caught.value) is error


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_cut_files_are_never_half_an_answer(tmp_path, share):
    noise = np.random.default_rng(1).normal(size=(3, 60, 60)).astype(np.float32)
    ds = xr.Dataset({"t2m": (("valid_time", "latitude", "longitude"), noise)}, {"valid_time": DAYS})
    whole = packed(ds)
    for name, content in (("a.nc", whole), ("b.nc", zipped(tmp_path / "z", m=whole).read_bytes())):
        (tmp_path / name).write_bytes(content[: int(len(content) * share)])
        with pytest.raises(RetryableError), reading(tmp_path / name) as datasets:
            [ds.load() for ds in datasets]


def test_damaged_values_are_found_when_they_are_read(tmp_path):
    values = np.random.default_rng(1).normal(size=(3, 60, 60)).astype(np.float32)
    ds = xr.Dataset({"t2m": (("valid_time", "latitude", "longitude"), values)})
    content = bytearray(ds.to_netcdf(engine="h5netcdf", encoding={"t2m": {"zlib": True, "fletcher32": True}}))
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    (tmp_path / "a.nc").write_bytes(content)
    with pytest.raises(RetryableError, match="damaged"), reading(tmp_path / "a.nc") as [ds]:
        ds.load()


@pytest.mark.parametrize(
    "name", ["../evil.nc", "/etc/evil.nc", "..\\evil.nc", "a/../../evil.nc", "C:evil.nc"]
)
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, name):
    with pytest.raises(FetchError, match="plain file names") as caught:
        open_answer(zipped(tmp_path / "a.nc", **{name: packed(field())}))
    assert not isinstance(caught.value, RetryableError)


def test_zip_bomb_foreign_member_and_empty_zip_are_refused(tmp_path):
    bomb = zipped(tmp_path / "a.nc", **{"x.nc": packed(field()), "y.nc": bytes(3_000_000)})
    with pytest.raises(FetchError, match="unpacks to"):
        open_answer(bomb, limit=2_000_000)
    with pytest.raises(RetryableError, match=r"y.nc.*begins with"):
        open_answer(bomb)
    with pytest.raises(RetryableError, match="empty"):
        open_answer(zipped(tmp_path / "b.nc"))


def test_files_are_closed_after_reading_and_after_errors(tmp_path, monkeypatch):
    def open_files() -> int:
        return h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE)

    before, kept = open_files(), []  # kept: so that it is not the collector that closes them
    content = packed(field())
    zipped(tmp_path / "a.nc", **{"x.nc": content, "y.nc": content})
    (tmp_path / "b.nc").write_bytes(content)
    for name in ("a.nc", "b.nc"):
        with reading(tmp_path / name) as datasets:
            kept += datasets
            assert open_files() > before
        assert open_files() == before
    zipped(tmp_path / "c.nc", **{"x.nc": content, "y.nc": b"GRIB"})
    closed, close = [], xr.Dataset.close
    monkeypatch.setattr(xr.Dataset, "close", lambda ds: (closed.append(ds), close(ds))[1])
    with pytest.raises(FetchError, match="GRIB"):
        open_answer(tmp_path / "c.nc")
    assert closed
    assert open_files() == before


def test_locked_zip_is_an_error_of_ours(tmp_path):
    file = zipped(tmp_path / "a.nc", m=packed(field()))
    content = bytearray(file.read_bytes())
    content[6] |= 1  # the encryption bit of the local header, and of the directory
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(content)
    with pytest.raises(RetryableError, match="damaged"):
        open_answer(file)


def test_real_answers(samples):
    folder = samples / "era5"
    crop = opened(folder / "era5-land-monthly-t2m-2025-02_brazil-crop.nc")
    assert (crop["longitude"].values[0], crop["longitude"].values[-1]) == (-74.9, -33.1)
    assert crop["expver"].values.tolist() == ["0001"]
    with reading(folder / "era5-land-monthly-temp-feb-2025-global.nc") as [whole]:
        assert (whole["longitude"].values[0], whole["longitude"].values[-1]) == (-180.0, 179.9)
        assert (np.diff(whole["longitude"].values) > 0).all()
        selected = whole["t2m"].sel(crop.indexes, method="nearest", tolerance=0.01).load()
    # The crop was cut out of the global file: turning both must keep every value in its place.
    np.testing.assert_array_equal(selected.values, crop["t2m"].values)
    daily = opened(folder / "era5-land-daily-mean-temperature-2m-july-2025-sierra-leone.nc")
    assert "expver" not in daily.variables
    assert daily["t2m"].shape == (31, 41, 41)
